/* test_body.c - request bodies: what is taken, what is refused, and which field is named. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/body.h"

static const struct body_limits limits = {
    .max_code = 10, .max_timeout = 30, .most = {.cpu = 2, .memory_mb = 1024}};

static void
check_refused(const char *text, size_t len, enum err_code code, const char *field)
{
    struct body body;
    struct err err = ERR_INIT;

    assert_int_equal(body_parse_execute(text, len, &limits, &body, &err), -1);
    assert_int_equal(err.code, code);
    assert_string_equal(err.field, field);
    assert_true(strlen(err.msg) > 0);
    assert_null(body.json);
    body_clear(&body);
}

static void
refuses(void **state)
{
    static const struct {
        const char *text, *field;
        enum err_code code;
    } cases[] = {
        {"", "", ERR_BAD_REQUEST},
        {"{", "", ERR_BAD_REQUEST},
        {"[]", "", ERR_BAD_REQUEST},
        {"{}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":1,\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a b\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a/b\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\\u0000\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"\xc3\xa9\",\"code\":\"\"}", "user_uuid", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\"}", "code", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":null}", "code", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"01234567890\"}", "code", ERR_TOO_LARGE},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"code\":\"\"}", "", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"x\":1}", "x", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"key\":null}", "key", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"<b>\":1}", "", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":\"1\"}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":0}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":-1}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":30.1}", "timeout", ERR_BAD_REQUEST},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":true}", "timeout", ERR_BAD_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_refused(cases[i].text, strlen(cases[i].text), cases[i].code, cases[i].field);
}

static void
refuses_a_long_user(void **state)
{
    char name[BODY_USER_MAX + 2], text[BODY_USER_MAX + 64];
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    memset(name, 'a', sizeof(name));
    name[BODY_USER_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "{\"user_uuid\":\"%s\",\"code\":\"\"}", name);
    check_refused(text, strlen(text), ERR_BAD_REQUEST, "user_uuid");
    name[BODY_USER_MAX] = '\0';
    snprintf(text, sizeof(text), "{\"user_uuid\":\"%s\",\"code\":\"\"}", name);
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    body_clear(&body);
}

static void
takes_all_fields(void **state)
{
    static const char text[] = "{\"user_uuid\":\"aZ0._:@-\",\"code\":\"a\\u0000b\",\"timeout\":2.5,"
                               "\"network\":\"allowlist\"}";
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    assert_string_equal(body.user, "aZ0._:@-");
    assert_int_equal(body.code_len, 3);
    assert_memory_equal(body.code, "a\0b", 3);
    assert_true(body.timeout == 2.5);
    assert_int_equal(body.network, NETWORK_ALLOWLIST);
    body_clear(&body);
    body_clear(&body);
}

static void
takes_the_limit_without_timeout(void **state)
{
    static const char *const texts[] = {
        "{\"user_uuid\":\"a\",\"code\":\"0123456789\"}",
        "{\"user_uuid\":\"a\",\"code\":\"\",\"timeout\":null}",
    };
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(body_parse_execute(texts[i], strlen(texts[i]), &limits, &body, &err), 0);
        assert_true(body.timeout == 30);
        body_clear(&body);
    }
}

static void
check_limits(const char *fields, double cpu, unsigned memory_mb)
{
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\"%s}", fields);
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), 0);
    assert_true(body.limits.cpu == cpu);
    assert_int_equal(body.limits.memory_mb, memory_mb);
    body_clear(&body);
}

static void
takes_limits(void **state)
{
    (void)state;
    check_limits("", 0, 0);
    check_limits(",\"cpu\":null,\"memory_mb\":null", 0, 0);
    check_limits(",\"cpu\":0.5", 0.5, 0);
    check_limits(",\"cpu\":2,\"memory_mb\":1024", 2, 1024);
    check_limits(",\"cpu\":1e-9,\"memory_mb\":1", 1e-9, 1);
}

/* Range and type are one sentence, which says what is allowed. */
static void
refuses_limits(void **state)
{
    static const char *const cpu[] = {"0", "-1", "2.1", "1e9", "true", "\"1\"", "[]", "{}", "-0.0"};
    static const char *const memory[] = {"0",   "-1",     "1025", "1.5", "64.0",
                                         "1e2", "\"64\"", "true", "[]",  "9223372036854775807"};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cpu) / sizeof(cpu[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"cpu\":%s}", cpu[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "cpu");
    }
    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"memory_mb\":%s}",
                 memory[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "memory_mb");
    }
    assert_int_equal(body_parse_execute(text, strlen(text), &limits, &body, &err), -1);
    assert_string_equal(err.msg, "memory_mb: must be a whole number of MiB, 1 to 1024");
}

static void
refuses_limits_where_there_are_none(void **state)
{
    static const struct body_limits none = {.max_code = 10, .max_timeout = 30};
    static const char *const fields[] = {"cpu", "memory_mb"};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"%s\":1}", fields[i]);
        assert_int_equal(body_parse_execute(text, strlen(text), &none, &body, &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_string_equal(err.field, fields[i]);
        assert_non_null(strstr(err.msg, "without root"));
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"%s\":null}", fields[i]);
        assert_int_equal(body_parse_execute(text, strlen(text), &none, &body, &err), 0);
        body_clear(&body);
    }
}

static void
takes_a_network(void **state)
{
    static const struct {
        const char *text;
        enum network_mode network;
    } cases[] = {
        {"{\"user_uuid\":\"a\",\"code\":\"\"}", NETWORK_UNSAID},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"network\":null}", NETWORK_UNSAID},
        {"{\"user_uuid\":\"a\",\"code\":\"\",\"network\":\"none\"}", NETWORK_NONE},
    };
    static const char *const wrong[] = {"\"\"", "\"all\"", "true", "[]", "\"none\\u0000\""};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            body_parse_execute(cases[i].text, strlen(cases[i].text), &limits, &body, &err), 0);
        assert_int_equal(body.network, cases[i].network);
        body_clear(&body);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"code\":\"\",\"network\":%s}",
                 wrong[i]);
        check_refused(text, strlen(text), ERR_BAD_REQUEST, "network");
    }
}

static void
release_takes_a_user_only(void **state)
{
    static const char good[] = "{\"user_uuid\":\"a\"}";
    static const char more[] = "{\"user_uuid\":\"a\",\"code\":\"\"}";
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_parse_release(good, strlen(good), &body, &err), 0);
    assert_string_equal(body.user, "a");
    body_clear(&body);
    assert_int_equal(body_parse_release(more, strlen(more), &body, &err), -1);
    assert_string_equal(err.field, "code");
}

static void
release_takes_a_key(void **state)
{
    static const char good[] = "{\"user_uuid\":\"a\",\"key\":\"0123456789ab\"}";
    static const char none[] = "{\"user_uuid\":\"a\",\"key\":null}";
    static const char *const wrong[] = {
        "\"\"", "\"0123456789aB\"",        "\"0123456789abc\"",   "1",
        "[]",   "\"0123456789ab\\u0000\"", "\"tci_0123456789ab\""};
    struct body body;
    struct err err = ERR_INIT;
    char text[100];

    (void)state;
    assert_int_equal(body_parse_release(good, strlen(good), &body, &err), 0);
    assert_string_equal(body.key, "0123456789ab");
    body_clear(&body);
    assert_int_equal(body_parse_release(none, strlen(none), &body, &err), 0);
    assert_null(body.key);
    body_clear(&body);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"user_uuid\":\"a\",\"key\":%s}", wrong[i]);
        assert_int_equal(body_parse_release(text, strlen(text), &body, &err), -1);
        assert_string_equal(err.field, "key");
    }
}

static void
a_session_needs_no_user(void **state)
{
    static const char *const wrong[][2] = {{"{\"user_uuid\":null}", "user_uuid"},
                                           {"{\"user_uuid\":\"a/b\"}", "user_uuid"},
                                           {"{\"network\":\"all\"}", "network"},
                                           {"{\"code\":\"\"}", "code"}};
    struct body body;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(body_parse_session("{}", 2, &body, &err), 0);
    assert_null(body.user);
    body_clear(&body);
    assert_int_equal(body_parse_session("{\"user_uuid\":\"a\"}", 17, &body, &err), 0);
    assert_string_equal(body.user, "a");
    body_clear(&body);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(body_parse_session(wrong[i][0], strlen(wrong[i][0]), &body, &err), -1);
        assert_string_equal(err.field, wrong[i][1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_a_long_user),
        cmocka_unit_test(takes_all_fields),
        cmocka_unit_test(takes_the_limit_without_timeout),
        cmocka_unit_test(takes_limits),
        cmocka_unit_test(refuses_limits),
        cmocka_unit_test(refuses_limits_where_there_are_none),
        cmocka_unit_test(takes_a_network),
        cmocka_unit_test(release_takes_a_user_only),
        cmocka_unit_test(release_takes_a_key),
        cmocka_unit_test(a_session_needs_no_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
