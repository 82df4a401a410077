/* test_filehead.c - paths, ranges, entity tags and types of requests about files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "filehead.h"
#include "mem.h"

static void
test_paths(void **state)
{
    static const char *const good[] = {"", "a", "a/b", "...", ".a", "a/..b", "a b", "\xc3\xa4"};
    static const char *const bad[] = {"/",    "/a",  "a/",     "a//b", ".",  "..",   "./a",
                                      "../a", "a/.", "a/../b", "a/..", "//", "\x97", "\xc0\xaf"};
    char longest[4096 + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(filehead_is_path(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(filehead_is_path(bad[i]));
    memset(longest, 'a', sizeof(longest));
    longest[255] = '\0';
    assert_true(filehead_is_path(longest));
    longest[255] = 'a';
    longest[256] = '\0';
    assert_false(filehead_is_path(longest));
    for (size_t i = 0; i < 4096; i++)
        longest[i] = i % 2 ? '/' : 'a';
    longest[4095] = '\0';
    assert_true(filehead_is_path(longest));
    longest[4095] = '/';
    longest[4096] = 'a';
    longest[4097] = '\0';
    assert_false(filehead_is_path(longest));
}

/* -1: the range does not say. */
static void
expect_range(const char *header, json_int_t first, json_int_t last)
{
    json_auto_t *range = filehead_range(header);
    const json_t *f = json_object_get(range, "first"), *l = json_object_get(range, "last");

    assert_non_null(range);
    assert_int_equal(f ? json_integer_value(f) : -1, first);
    assert_int_equal(l ? json_integer_value(l) : -1, last);
}

static void
test_ranges(void **state)
{
    static const char *const ignored[] = {"bytes=",    "bytes=-",  "bytes=2-1",     "bytes=a-b",
                                          "lines=0-1", "bytes",    "bytes=0-1,3-4", "bytes=0-1x",
                                          "bytes=--1", "bytes=+1-"};

    (void)state;
    expect_range("bytes=0-0", 0, 0);
    expect_range("bytes=5-", 5, -1);
    expect_range("bytes=-5", -1, 5);
    expect_range("Bytes= 1-2 ", 1, 2);
    expect_range("bytes=99999999999999999999-", INT64_MAX, -1);
    assert_null(filehead_range(NULL));
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        assert_null(filehead_range(ignored[i]));
}

static void
test_match(void **state)
{
    bool ok;
    json_t *tags = filehead_match("\"a\", W/\"b\" , \"c\"", &ok);

    (void)state;
    assert_true(ok);
    assert_int_equal(json_array_size(tags), 2); /* a weak one matches nothing */
    assert_string_equal(json_string_value(json_array_get(tags, 1)), "c");
    json_decref(tags);
    assert_null(filehead_match(NULL, &ok));
    assert_true(ok);
    assert_true(json_is_true(filehead_match("*", &ok)));
    tags = filehead_match("a", &ok);
    assert_false(ok);
    json_decref(tags);
    tags = filehead_match("\"a", &ok);
    assert_false(ok);
    json_decref(tags);
    tags = filehead_match("", &ok);
    assert_true(ok);
    assert_int_equal(json_array_size(tags), 1);
    json_decref(tags);
}

static void
test_names(void **state)
{
    (void)state;
    assert_true(filehead_names("*", "x"));
    assert_true(filehead_names("\"a\", W/\"x\"", "x"));
    assert_false(filehead_names("\"a\"", "x"));
    assert_false(filehead_names("x", "x"));
    assert_false(filehead_names(NULL, "x"));
}

static void
expect_if_range(const char *header, const char *wanted)
{
    json_auto_t *tag = filehead_if_range(header);

    assert_string_equal(json_string_value(tag), wanted);
}

static void
test_if_range(void **state)
{
    (void)state;
    assert_null(filehead_if_range(NULL));
    expect_if_range("\"a\"", "a");
    expect_if_range("W/\"a\"", "");
    expect_if_range("\"\x97\"", "");
    expect_if_range("Sun, 22 Nov 2026 00:00:00 GMT", "");
}

static void
test_types(void **state)
{
    (void)state;
    assert_string_equal(filehead_type("a/b.png"), "image/png");
    assert_string_equal(filehead_type("a.png/b"), "application/octet-stream");
    assert_string_equal(filehead_type("X.JPG"), "image/jpeg");
    assert_string_equal(filehead_type("a"), "application/octet-stream");
}

static void
test_etags(void **state)
{
    (void)state;
    assert_true(filehead_is_etag("1a-2-3f"));
    assert_false(filehead_is_etag(""));
    assert_false(filehead_is_etag("a\r\nX: y"));
    assert_false(filehead_is_etag("a\""));
}

static void
test_cursors(void **state)
{
    static const char *const good[] = {"", "a", "a/b", "a~", "\xc3\xa4", "/a~ff/~7e", "/~c3"};
    static const char *const bad[] = {"/",    "//",     "/a~", "/a~f", "/a~FF",     "/a~00", "/..",
                                      "/~2e", "/a~2f~", "a/",  "\xff", "/\xc3\xa4", "/a\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(filehead_is_cursor(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(filehead_is_cursor(bad[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths), cmocka_unit_test(test_ranges),   cmocka_unit_test(test_match),
        cmocka_unit_test(test_names), cmocka_unit_test(test_if_range), cmocka_unit_test(test_types),
        cmocka_unit_test(test_etags), cmocka_unit_test(test_cursors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
