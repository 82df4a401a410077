/* test_proxy_request.c - what the proxy takes for a request, what it makes of it, and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proxy/request.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static struct request r;

/* The status, 0 when it was taken. */
static int
parse(const char *text, size_t len)
{
    struct refusal refusal = {0, ""};
    const int rc = request_parse(text, len, &r, &refusal);

    assert_true(rc != 0);
    return rc > 0 ? 0 : refusal.status;
}

static void
takes_connect(void **state)
{
    static const char text[] = "CONNECT Example.org:8443 HTTP/1.1\r\nHost: other:1\r\n\r\n\x16\x03";

    (void)state;
    assert_int_equal(parse(text, sizeof(text) - 1), 0);
    assert_true(r.connect);
    assert_string_equal(r.host.text, "example.org");
    assert_int_equal(r.port, 8443);
    assert_int_equal(r.size, sizeof(text) - 1 - 2);
    assert_int_equal(r.forward_len, 0);
}

static void
takes_addresses(void **state)
{
    static const char v4[] = "CONNECT 192.0.2.1:443 HTTP/1.0\r\n\r\n";
    static const char v6[] = "CONNECT [2600:0::7]:443 HTTP/1.1\r\n\r\n";

    (void)state;
    assert_int_equal(parse(v4, sizeof(v4) - 1), 0);
    assert_true(r.host.literal);
    assert_string_equal(r.host.text, "192.0.2.1");
    assert_int_equal(parse(v6, sizeof(v6) - 1), 0);
    assert_true(r.host.literal);
    assert_string_equal(r.host.text, "2600::7");
}

static void
check_forward(const char *in, const char *out)
{
    assert_int_equal(parse(in, strlen(in)), 0);
    assert_false(r.connect);
    assert_true(r.forward_len < sizeof(r.forward));
    assert_string_equal(r.forward, out);
    assert_int_equal(r.forward_len, strlen(out));
}

/* The host that is connected to is the one that is named, whatever Host says; what concerns the proxy is not passed on. */
static void
rewrites_plain_requests(void **state)
{
    (void)state;
    check_forward("GET http://Example.org/a?b=c HTTP/1.1\r\nHost: evil.test\r\nAccept: */*\r\n\r\n",
                  "GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n"
                  "Connection: close\r\n\r\n");
    check_forward("GET http://a.test HTTP/1.0\r\n\r\n",
                  "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    check_forward("GET http://a.test?q HTTP/1.1\r\n\r\n",
                  "GET /?q HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    check_forward("HEAD HTTP://[2600::7]:8080/ HTTP/1.1\r\n\r\n",
                  "HEAD / HTTP/1.1\r\nHost: [2600::7]:8080\r\nConnection: close\r\n\r\n");
    check_forward("GET http://a.test/ HTTP/1.1\r\nConnection: keep-alive, X-One\r\nX-One: 1\r\n"
                  "X-Two:2 \r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\n"
                  "Upgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n",
                  "GET / HTTP/1.1\r\nHost: a.test\r\nX-Two: 2\r\nConnection: close\r\n\r\n");
    check_forward("POST http://a.test:81/x HTTP/1.1\r\nContent-Length: 5\r\n"
                  "Connection: content-length\r\n\r\nhello",
                  "POST /x HTTP/1.1\r\nHost: a.test:81\r\nContent-Length: 5\r\n"
                  "Connection: close\r\n\r\n");
    assert_int_equal(r.body, 5);
    assert_int_equal(r.port, 81);
}

static void
refuses(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET http://a.test/\r\n\r\n", 505},
        {"GET  http://a.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1 \r\n\r\n", 505},
        {"GET http://a.test/ HTTP/2.0\r\n\r\n", 505},
        {"GET http://a.test/ http/1.1\r\n\r\n", 505},
        {"get http://a.test/ HTTP/1.1\r\n\r\n", 405},
        {"TRACE http://a.test/ HTTP/1.1\r\n\r\n", 405},
        {"connect a.test:443 HTTP/1.1\r\n\r\n", 405},
        {"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
        {"GET https://a.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET ftp://a.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET http:///x HTTP/1.1\r\n\r\n", 400},
        {"GET http://u:p@a.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test@b.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test:0/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test:65536/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test:/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test:80:81/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test\\b.test/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test/#x HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test/\x01 HTTP/1.1\r\n\r\n", 400},
        {"GET http://a.test/\xc3\xa9 HTTP/1.1\r\n\r\n", 400},
        {"GET http://2130706433/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://0x7f.1/ HTTP/1.1\r\n\r\n", 400},
        {"GET http://0177.0.0.1/ HTTP/1.1\r\n\r\n", 400},
        {"CONNECT a.test HTTP/1.1\r\n\r\n", 400},
        {"CONNECT a.test: HTTP/1.1\r\n\r\n", 400},
        {"CONNECT :443 HTTP/1.1\r\n\r\n", 400},
        {"CONNECT http://a.test:443 HTTP/1.1\r\n\r\n", 400},
        {"CONNECT ::1:443 HTTP/1.1\r\n\r\n", 400},
        {"CONNECT a.test:443 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length: 1,1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length:\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nContent-Length : 1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nA\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\n: 1\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nA: 1\nB: 2\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nA: \x01\r\n\r\n", 400},
        {"GET http://a.test/ HTTP/1.1\r\nConnection: a\r\nConnection: b\r\n\r\n", 400},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const int status = parse(cases[i].text, strlen(cases[i].text));

        if (status != cases[i].status)
            fail_msg("%d, not %d: %s", status, cases[i].status, cases[i].text);
    }
}

static void
refuses_nul(void **state)
{
    static const char text[] = "GET http://a.test/ HTTP/1.1\r\nA: \0\r\n\r\n";

    (void)state;
    assert_int_equal(parse(text, sizeof(text) - 1), 400);
}

static void
waits_for_the_whole_head(void **state)
{
    static const char text[] = "CONNECT a.test:443 HTTP/1.1\r\nA: 1\r\n\r\n";
    struct refusal refusal;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        assert_int_equal(request_parse(text, len, &r, &refusal), 0);
    assert_int_equal(request_parse(text, sizeof(text) - 1, &r, &refusal), 1);
}

static void
has_limits(void **state)
{
    static char text[REQUEST_MAX + 100];
    char *end = text;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(parse(text, sizeof(text)), 431);
    end += sprintf(end, "GET http://a.test/ HTTP/1.1\r\n");
    for (int i = 0; i <= REQUEST_MAX_HEADERS; i++)
        end += sprintf(end, "a:\r\n");
    end += sprintf(end, "\r\n");
    assert_int_equal(parse(text, (size_t)(end - text)), 431);
}

/* What is added to a head of the largest size fits. */
static void
forwards_the_largest(void **state)
{
    static char text[REQUEST_MAX + 1];
    char *end = text;

    (void)state;
    end += sprintf(end, "GET http://a.test:1? HTTP/1.1\r\n");
    for (int i = 1; i < REQUEST_MAX_HEADERS; i++)
        end += sprintf(end, "a:b\r\n");
    end += sprintf(end, "c:");
    memset(end, 'd', (size_t)(text + REQUEST_MAX - 4 - end));
    strcpy(text + REQUEST_MAX - 4, "\r\n\r\n");
    assert_int_equal(parse(text, REQUEST_MAX), 0);
    assert_true(r.forward_len < sizeof(r.forward));
    assert_int_equal(strlen(r.forward), r.forward_len);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_connect),
        cmocka_unit_test(takes_addresses),
        cmocka_unit_test(rewrites_plain_requests),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_nul),
        cmocka_unit_test(waits_for_the_whole_head),
        cmocka_unit_test(has_limits),
        cmocka_unit_test(forwards_the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
