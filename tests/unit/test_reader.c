/* test_reader.c - what is mended, what is refused, and what is bounded in a kernel's JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/reader.h"
#include "gateway/utf8.h"

/* A literal with its length: it may contain NUL. */
#define TEXT(s) (s), sizeof(s) - 1

static json_t *
read_ok(const char *text, size_t len)
{
    struct err err = ERR_INIT;
    json_t *value = reader_object(text, len, "it", &err);

    if (value == NULL)
        fail_msg("%s: %s", text, err.msg);
    return value;
}

/* text is read as what json_loadb makes of `same`. */
static void
reads_as(const char *text, size_t len, const char *same)
{
    json_auto_t *value = read_ok(text, len);
    json_auto_t *expected = json_loads(same, JSON_ALLOW_NUL, NULL);

    assert_non_null(expected);
    if (!json_equal(value, expected))
        fail_msg("%s is not read as %s", text, same);
}

static void
refuses(const char *text, size_t len, const char *why)
{
    struct err err = ERR_INIT;

    assert_null(reader_object(text, len, "it", &err));
    assert_int_equal(err.code, ERR_PEER);
    if (strstr(err.msg, why) == NULL)
        fail_msg("%s: the error is: %s", text, err.msg);
}

static void
json_is_read_as_it_is(void **state)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : 1 , \"b\" : [ ] } \n",
        "{\"\": {\"a\": {\"a\": {\"a\": [[[]], {}]}}}}",
        "{\"n\": [0, -0, 1, -1, 9223372036854775807, -9223372036854775808]}",
        "{\"r\": [0.5, -1.25e3, 1E-2, 1e+2, 1e-999, 123456789012345678.0]}",
        "{\"w\": [true, false, null]}",
        "{\"e\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00 end\"}",
        "{\"s\": \"\\ud800\\udc00\\udbff\\udfff\\ud7ff\\ue000\\uffff\"}",
        "{\"u\": \"\x7f é 漢 😀\"}",
        "{\"k\\ney\": 1, \"\\u00e9\": 2}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        reads_as(texts[i], strlen(texts[i]), texts[i]);
}

static void
nul_in_a_string_is_kept(void **state)
{
    json_auto_t *value = read_ok(TEXT("{\"s\": \"a\\u0000b\"}"));
    const json_t *s = json_object_get(value, "s");

    (void)state;
    assert_int_equal(json_string_length(s), 3);
    assert_memory_equal(json_string_value(s), "a\0b", 4);
}

static void
nul_in_a_key_becomes_a_replacement(void **state)
{
    (void)state;
    reads_as(TEXT("{\"a\\u0000b\\u0000\": \"v\\n\"}"), "{\"a\ufffdb\ufffd\": \"v\\n\"}");
}

static void
bad_utf8_becomes_replacements(void **state)
{
    (void)state;
    reads_as(TEXT("{\"s\": \"a\xff"
                  "b\xc3\"}"),
             "{\"s\": \"a\ufffdb\ufffd\"}");
    reads_as(TEXT("{\"s\": \"\xf0\x9f\x98"
                  "x\xed\xa0\x80\xc0\xaf\"}"),
             "{\"s\": \"\ufffdx\ufffd\ufffd\ufffd\ufffd\ufffd\"}");
    reads_as(TEXT("{\"\xff\": 1}"), "{\"\ufffd\": 1}");
}

static void
lone_surrogates_become_replacements(void **state)
{
    (void)state;
    reads_as(TEXT("{\"s\": \"\\ud800\"}"), "{\"s\": \"\ufffd\"}");
    reads_as(TEXT("{\"s\": \"\\udc00x\"}"), "{\"s\": \"\ufffdx\"}");
    reads_as(TEXT("{\"s\": \"\\ud800\\ud83d\\ude00\"}"), "{\"s\": \"\ufffd😀\"}");
    reads_as(TEXT("{\"s\": \"\\ud800\\u0041\\n\"}"), "{\"s\": \"\ufffdA\\n\"}");
    reads_as(TEXT("{\"s\": \"\\ude00\\ud83d\"}"), "{\"s\": \"\ufffd\ufffd\"}");
}

static void
numbers_without_a_value_become_null(void **state)
{
    (void)state;
    reads_as(TEXT("{\"n\": [NaN, Infinity, -Infinity, 1e999, -1e999]}"),
             "{\"n\": [null, null, null, null, null]}");
}

static void
large_integers_become_reals(void **state)
{
    json_auto_t *value =
        read_ok(TEXT("{\"a\": 9223372036854775808, \"b\": -99999999999999999999}"));
    char digits[1000];

    (void)state;
    assert_true(json_is_real(json_object_get(value, "a")));
    assert_true(json_real_value(json_object_get(value, "a")) == 9223372036854775808.0);
    assert_true(json_real_value(json_object_get(value, "b")) == -1e20);

    snprintf(digits, sizeof(digits), "{\"a\": %0*d}", 900, 7);
    digits[6] = '9';
    reads_as(digits, strlen(digits), "{\"a\": null}"); /* beyond reals, too */
}

static void
last_of_equal_keys_stays(void **state)
{
    (void)state;
    reads_as(TEXT("{\"a\": 1, \"b\": 2, \"a\": 3}"), "{\"a\": 3, \"b\": 2}");
}

static void
what_is_not_json_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "it is not an object"},
        {"[]", "it is not an object"},
        {"1", "it is not an object"},
        {"\"{}\"", "it is not an object"},
        {"{", "a missing key"},
        {"{}{}", "more than one value"},
        {"{} x", "more than one value"},
        {"{\"a\"}", "a missing colon"},
        {"{\"a\": }", "an unknown word"},
        {"{\"a\": 1", "it ends too early"},
        {"{\"a\": ", "it ends too early"},
        {"{\"a\": 1 \"b\": 2}", "a missing comma"},
        {"{\"a\": 1,}", "a missing key"},
        {"{a: 1}", "a missing key"},
        {"{\"a\": [1,]}", "an unknown word"},
        {"{\"a\": [1}", "a missing comma"},
        {"{\"a\": [}", "an unknown word"},
        {"{\"a\": \"", "a string without end"},
        {"{\"a\": \"\\", "a string without end"},
        {"{\"a\": \"\\\"}", "a string without end"},
        {"{\"a\": \"\xf0\x9f", "a string without end"},
        {"{\"a\": \"\\x41\"}", "a bad escape"},
        {"{\"a\": \"\\u12g4\"}", "a bad \\u escape"},
        {"{\"a\": \"\\u12\"}", "a bad \\u escape"},
        {"{\"a\": \"\\u12", "a bad \\u escape"},
        {"{\"a\": \"x\ny\"}", "a control character"},
        {"{\"a\": 01}", "an unknown word"},
        {"{\"a\": 1.}", "an unknown word"},
        {"{\"a\": .5}", "an unknown word"},
        {"{\"a\": 1e}", "an unknown word"},
        {"{\"a\": +1}", "an unknown word"},
        {"{\"a\": -}", "an unknown word"},
        {"{\"a\": 0x10}", "a missing comma"},
        {"{\"a\": nan}", "an unknown word"},
        {"{\"a\": tru}", "an unknown word"},
        {"\xef\xbb\xbf{}", "it is not an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refuses(cases[i].text, strlen(cases[i].text), cases[i].why);
    refuses(TEXT("{\"a\": \"x\0y\"}"), "a control character");
    refuses(TEXT("{}\0"), "more than one value");
}

static void
error_says_where_and_nothing_of_the_text(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_null(reader_object(TEXT("{\"secret\": x}"), "the header", &err));
    assert_string_equal(err.msg, "the header is not JSON: an unknown word at byte 11");
}

/* {"a": and n brackets, closed. */
static json_t *
read_nested(size_t n, char open, struct err *err)
{
    const char *opening = open == '[' ? "[" : "{\"a\":";
    size_t step = strlen(opening), len = n * (step + 1) + 8;
    char *text = xcalloc(1, len), *p = text;
    json_t *value;

    p = stpcpy(p, "{\"a\":");
    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, opening);
    p = stpcpy(p, open == '[' ? "" : "1");
    for (size_t i = 0; i < n; i++)
        *p++ = open == '[' ? ']' : '}';
    *p++ = '}';
    value = reader_object(text, (size_t)(p - text), "it", err);
    free(text);
    return value;
}

static void
nesting_is_bounded(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    for (const char *open = "[{"; *open; open++) {
        json_auto_t *deepest = read_nested(READER_MAX_DEPTH - 1, *open, &err);

        assert_non_null(deepest);
        assert_null(read_nested(READER_MAX_DEPTH, *open, &err));
        assert_non_null(strstr(err.msg, "too many levels"));
        assert_null(read_nested(1000000, *open, &err));
    }
}

/* before, n times "[],", "0", after */
static json_t *
read_many(const char *before, size_t n, const char *after, struct err *err)
{
    char *text = xcalloc(1, strlen(before) + 3 * n + 2 + strlen(after)), *p = stpcpy(text, before);
    json_t *value;

    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, "[],");
    p = stpcpy(p, "0");
    p = stpcpy(p, after);
    value = reader_object(text, (size_t)(p - text), "it", err);
    free(text);
    return value;
}

static void
too_many_values_above_are_refused(void **state)
{
    struct err err = ERR_INIT;
    json_auto_t *most = read_many("{\"a\":[", READER_MAX_VALUES - 2, "]}", &err);

    (void)state;
    assert_non_null(most);
    assert_int_equal(json_array_size(json_object_get(most, "a")), READER_MAX_VALUES - 1);
    assert_null(read_many("{\"a\":[", READER_MAX_VALUES - 1, "]}", &err));
    assert_non_null(strstr(err.msg, "too many values"));
}

static void
too_many_values_below_are_left_out(void **state)
{
    struct err err = ERR_INIT;
    json_auto_t *value =
        read_many("{\"data\": {\"application/json\": [", 1000000,
                  "], \"text/plain\": \"x\"}, \"metadata\": {\"a\": [1, {}]}}", &err);
    const json_t *data = json_object_get(value, "data");
    const json_t *metadata = json_object_get(json_object_get(value, "metadata"), "a");

    (void)state;
    assert_non_null(value);
    assert_int_equal(json_array_size(json_object_get(data, "application/json")),
                     READER_MAX_DEEP_VALUES);
    assert_string_equal(json_string_value(json_object_get(data, "text/plain")), "x");
    assert_true(json_is_array(metadata));
    assert_int_equal(json_array_size(metadata), 0);
}

static void
left_out_values_must_be_json(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_null(read_many("{\"a\": {\"b\": [", READER_MAX_DEEP_VALUES, ", x]}}", &err));
    assert_non_null(strstr(err.msg, "an unknown word"));
    assert_null(read_many("{\"a\": {\"b\": [", READER_MAX_DEEP_VALUES, ", \"\\q\"]}}", &err));
    assert_non_null(strstr(err.msg, "a bad escape"));
}

static void
every_cut_is_survived(void **state)
{
    static const char text[] =
        "{\"a\\u0000\": [1.5e3, -Infinity, \"\\ud83d\\ude00\xff\", {}], \"b\": {}}";
    struct err err = ERR_INIT;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *exact =
            xnotnull(malloc(len + (len == 0))); /* a byte too far is seen by the sanitizer */

        memcpy(exact, text, len);
        assert_null(reader_object(exact, len, "it", &err));
        free(exact);
    }
}

static void
utf8_is_told_apart(void **state)
{
    static const struct {
        const char *bytes;
        enum utf8_kind kind;
        size_t used;
    } cases[] = {
        {"a\xff", UTF8_CHAR, 1},
        {"\x7f", UTF8_CHAR, 1},
        {"\x80", UTF8_INVALID, 1},
        {"\xc1\xbf", UTF8_INVALID, 1},
        {"\xc2\x80x", UTF8_CHAR, 2},
        {"\xc2", UTF8_PARTIAL, 1},
        {"\xc2x", UTF8_INVALID, 1},
        {"\xe0\x9f\xbf", UTF8_INVALID, 1},
        {"\xe0\xa0\x80", UTF8_CHAR, 3},
        {"\xe0\xa0", UTF8_PARTIAL, 2},
        {"\xe1\x80x", UTF8_INVALID, 2},
        {"\xed\x9f\xbf", UTF8_CHAR, 3},
        {"\xed\xa0\x80", UTF8_INVALID, 1},
        {"\xef\xbf\xbf", UTF8_CHAR, 3},
        {"\xf0\x8f\xbf\xbf", UTF8_INVALID, 1},
        {"\xf0\x90\x80\x80", UTF8_CHAR, 4},
        {"\xf0\x90\x80", UTF8_PARTIAL, 3},
        {"\xf0\x90\x80x", UTF8_INVALID, 3},
        {"\xf4\x8f\xbf\xbf", UTF8_CHAR, 4},
        {"\xf4\x90\x80\x80", UTF8_INVALID, 1},
        {"\xf5\x80\x80\x80", UTF8_INVALID, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t used;

        assert_int_equal(utf8_next(cases[i].bytes, strlen(cases[i].bytes), &used), cases[i].kind);
        assert_int_equal(used, cases[i].used);
    }
}

static void
utf8_prefix_ends_before_the_first_fault(void **state)
{
    char text[40];

    (void)state;
    assert_int_equal(utf8_valid_prefix("", 0), 0);
    assert_int_equal(utf8_valid_prefix("é漢😀", 9), 9);
    assert_int_equal(utf8_valid_prefix("é漢😀", 8), 5);
    for (size_t at = 0; at < sizeof(text); at++) {
        memset(text, 'x', sizeof(text));
        text[at] = (char)0xff;
        assert_int_equal(utf8_valid_prefix(text, sizeof(text)), at);
    }
}

static void
utf8_is_cut_between_characters(void **state)
{
    static const size_t expected[] = {0, 0, 2, 2, 2, 5, 5, 5, 5, 9, 9};

    (void)state;
    for (size_t max = 0; max <= 10; max++)
        assert_int_equal(utf8_cut("é漢😀", 9, max), expected[max]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_as_it_is),
        cmocka_unit_test(nul_in_a_string_is_kept),
        cmocka_unit_test(nul_in_a_key_becomes_a_replacement),
        cmocka_unit_test(bad_utf8_becomes_replacements),
        cmocka_unit_test(lone_surrogates_become_replacements),
        cmocka_unit_test(numbers_without_a_value_become_null),
        cmocka_unit_test(large_integers_become_reals),
        cmocka_unit_test(last_of_equal_keys_stays),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(error_says_where_and_nothing_of_the_text),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(too_many_values_above_are_refused),
        cmocka_unit_test(too_many_values_below_are_left_out),
        cmocka_unit_test(left_out_values_must_be_json),
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(utf8_is_told_apart),
        cmocka_unit_test(utf8_prefix_ends_before_the_first_fault),
        cmocka_unit_test(utf8_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
