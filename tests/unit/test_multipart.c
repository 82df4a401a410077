/* test_multipart.c - forms taken apart, whole and in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "multipart.h"

#define TYPE "multipart/form-data; boundary=AaB03x"

/* What came of a body: "name=filename:bytes|" of each part, "$" for the end, "!" for an error. */
struct result {
    char text[4096];
    size_t len;
};

static void
add(struct result *r, const char *bytes, size_t n)
{
    assert_true(r->len + n < sizeof(r->text));
    memcpy(r->text + r->len, bytes, n);
    r->len += n;
    r->text[r->len] = '\0';
}

static void
take(struct multipart *m, struct result *r, const char *data, size_t len)
{
    while (len > 0) {
        const char *bytes = NULL;
        size_t used, n = 0;
        struct err err = ERR_INIT;
        const enum multipart_event event = multipart_next(m, data, len, &used, &bytes, &n, &err);

        assert_true(used <= len);
        data += used;
        len -= used;
        if (event == MULTIPART_PART) {
            add(r, m->name, strlen(m->name));
            if (m->has_filename) {
                add(r, "=", 1);
                add(r, m->filename, strlen(m->filename));
            }
            add(r, ":", 1);
        } else if (event == MULTIPART_DATA) {
            add(r, bytes, n);
        } else if (event == MULTIPART_PART_END) {
            add(r, "|", 1);
        } else if (event == MULTIPART_END) {
            add(r, "$", 1);
        } else if (event == MULTIPART_BAD) {
            assert_int_equal(err.code, ERR_BAD_REQUEST);
            add(r, "!", 1);
            return;
        }
    }
}

static void
expect(const char *body, const char *wanted)
{
    const size_t len = strlen(body);

    for (size_t piece = 1; piece <= len; piece++) {
        struct multipart m;
        struct result r = {.len = 0};

        assert_int_equal(multipart_init(&m, TYPE), 1);
        for (size_t at = 0; at < len && (r.len == 0 || r.text[r.len - 1] != '!'); at += piece)
            take(&m, &r, body + at, len - at < piece ? len - at : piece);
        assert_string_equal(r.text, wanted);
    }
}

#define PART(disposition, bytes)                                                                   \
    "--AaB03x\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" bytes "\r\n"
#define END "--AaB03x--\r\n"

static void
test_forms(void **state)
{
    (void)state;
    expect(PART("name=\"a\"; filename=\"f.txt\"", "hello") END, "a=f.txt:hello|$");
    expect(PART("name=\"path\"", "x") PART("name=b; filename=g", "") END, "path:x|b=g:|$");
    expect("preamble\r\n" PART("name=\"a\"", "1") END "epilogue --AaB03x", "a:1|$");
    expect("--AaB03x  \t\r\nX: y\r\nContent-Disposition: form-data; name=\"a\"\r\nZ: "
           "q\r\n\r\n1\r\n" END,
           "a:1|$");
    expect("--AaB03x--", "$");
    expect(PART("filename=\"q;name=z\"; name=\"a\"", "") END, "a=q;name=z:|$");
    expect(PART("name=\"a\"; filename=\"\"", "") END, "a=:|$");
    expect(PART("name=\"a\\\"b\\\\c\"; filename=\"C:\\x\"", "") END, "a\"b\\c=C:\\x:|$");
}

/* Bytes that begin as the delimiter does. */
static void
test_what_is_no_delimiter(void **state)
{
    (void)state;
    expect(PART("name=a", "\r\n--AaB03\r\n--AaB03\r\r\n-") END,
           "a:\r\n--AaB03\r\n--AaB03\r\r\n-|$");
    expect(PART("name=a", "\r\r\r\n\r\n") END, "a:\r\r\r\n\r\n|$");
    expect(PART("name=a", "--AaB03x") END, "a:--AaB03x|$");
    expect(PART("name=a", "\n--AaB03x") END, "a:\n--AaB03x|$");
}

static void
test_forms_that_are_none(void **state)
{
    (void)state;
    expect("--AaB03x\r\nX: y\r\n\r\n1\r\n" END, "!");
    expect("--AaB03x\r\nContent-Disposition: form-data\r\n\r\n1\r\n" END, "!");
    expect("--AaB03xyz\r\n", "!");
    expect(PART("name=a", "1") "--AaB03x?", "a:1|");
    expect(PART("name=a", "1"), "a:1");
    expect("no form at all", "");
}

static void
test_long_headers(void **state)
{
    static char body[2 * MULTIPART_HEADERS];
    struct multipart m;
    struct result r = {.len = 0};

    (void)state;
    memset(body, 'x', sizeof(body));
    assert_int_equal(multipart_init(&m, TYPE), 1);
    take(&m, &r, "--AaB03x\r\n", 10);
    take(&m, &r, body, sizeof(body));
    assert_string_equal(r.text, "!");
}

static void
test_boundaries(void **state)
{
    struct multipart m;

    (void)state;
    assert_int_equal(multipart_init(&m, NULL), 0);
    assert_int_equal(multipart_init(&m, "application/json"), 0);
    assert_int_equal(multipart_init(&m, "multipart/form-data"), -1);
    assert_int_equal(multipart_init(&m, "multipart/form-data; boundary="), -1);
    assert_int_equal(multipart_init(&m, "multipart/form-data; boundary=\"\""), -1);
    assert_int_equal(multipart_init(&m, "multipart/form-data; boundary=\"a"), -1);
    assert_int_equal(multipart_init(&m, "Multipart/Form-Data;charset=x; Boundary=\"a b\""), 1);
    assert_string_equal(m.delimiter, "\r\n--a b");
    assert_int_equal(
        multipart_init(&m,
                       "multipart/form-data; boundary="
                       "01234567890123456789012345678901234567890123456789012345678901234567890"),
        -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_what_is_no_delimiter),
        cmocka_unit_test(test_forms_that_are_none),
        cmocka_unit_test(test_long_headers),
        cmocka_unit_test(test_boundaries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
