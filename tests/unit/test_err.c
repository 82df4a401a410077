/* test_err.c - what an error carries, and that building one is safe whatever its message is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/err.h"
#include "gateway/utf8.h"

static void
set_fills_code_and_message(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&err, ERR_BUSY, "%d of %s", 3, "four"), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(err.sys_errno, 0);
    assert_string_equal(err.field, "");
    assert_string_equal(err.msg, "3 of four");
}

static void
field_names_the_field(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(err_field(&err, ERR_BAD_REQUEST, "code", "%s", "must be a string"), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_string_equal(err.field, "code");
    assert_string_equal(err.msg, "must be a string");
}

static void
sys_appends_errno(void **state)
{
    struct err err = ERR_INIT;
    char expected[100];

    (void)state;
    errno = ENOENT;
    assert_int_equal(err_sys(&err, "open %s", "/x"), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
    assert_int_equal(err.sys_errno, ENOENT);
    snprintf(expected, sizeof(expected), "open /x: %s", strerror(ENOENT));
    assert_string_equal(err.msg, expected);
}

static void
later_error_leaves_nothing_of_the_one_before(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    errno = EPERM;
    err_sys(&err, "first");
    err_field(&err, ERR_CONFIG, "listen", "second");
    assert_int_equal(err.sys_errno, 0);
    err_set(&err, ERR_PEER, "third");
    assert_string_equal(err.field, "");
    assert_string_equal(err.msg, "third");
}

static void
long_text_is_cut(void **state)
{
    struct err err = ERR_INIT;
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_field(&err, ERR_CONFIG, text, "%s", text);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    errno = EIO;
    err_sys(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    assert_int_equal(err.sys_errno, EIO);
}

static void
text_is_utf8(void **state)
{
    struct err err = ERR_INIT;
    char text[1000];

    (void)state;
    for (size_t begin = 0; begin < 2;
         begin++) { /* one of the two is cut in the middle of a character */
        memset(text, 'x', begin);
        for (size_t i = begin; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xc3\xa4", 3);
        err_field(&err, ERR_FORBIDDEN, text, "%s", text);
        assert_int_equal(utf8_valid_prefix(err.field, sizeof(err.field) - 1), strlen(err.field));
        assert_int_equal(utf8_valid_prefix(err.msg, sizeof(err.msg) - 1), strlen(err.msg));
        assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    }
}

static void
null_is_allowed(void **state)
{
    (void)state;
    errno = EIO;
    assert_int_equal(err_set(NULL, ERR_PEER, "x"), -1);
    assert_int_equal(err_field(NULL, ERR_PEER, "f", "x"), -1);
    assert_int_equal(err_sys(NULL, "x"), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_code_and_message),
        cmocka_unit_test(field_names_the_field),
        cmocka_unit_test(sys_appends_errno),
        cmocka_unit_test(later_error_leaves_nothing_of_the_one_before),
        cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(null_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
