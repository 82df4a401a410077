/* test_output_bounds.c - the errors in the answer of an execution, and how much it may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/output.h"
#include "tests/unit/output_told.h"

/* --- errors --- */

static void
traceback_follows_the_text_without_colours(void **state)
{
    json_auto_t *answer = NULL;

    stream(*state, "printed\n");
    message(*state, "error",
            "{'ename': 'ZeroDivisionError', 'evalue': 'division by zero', 'traceback': "
            "['\\u001b[0;31m----\\u001b[0m', 'one\\ntwo', "
            "'\\u001b[1;31mZeroDivisionError\\u001b[0m: x']}");
    raw(*state, 1, "late");
    answer = output_take(*state);
    answer_has(answer, "result_text",
               "\"printed\\nlate\\n----\\none\\ntwo\\nZeroDivisionError: x\"");
    answer_has(answer, "error",
               "{\"ename\":\"ZeroDivisionError\",\"evalue\":\"division by zero\",\"traceback\":"
               "[\"\\u001B[0;31m----\\u001B[0m\",\"one\\ntwo\","
               "\"\\u001B[1;31mZeroDivisionError\\u001B[0m: x\"]}");
}

static void
traceback_begins_a_line(void **state)
{
    stream(*state, "no break");
    raise_error(*state, "E", "v", "trace");
    text_is(*state, "no break\ntrace");
    raise_error(*state, "E", "v", "trace");
    text_is(*state, "trace");
}

static void
error_without_traceback_is_one_line(void **state)
{
    message(*state, "error", "{'ename': 'E', 'evalue': 'v\\u001b[1m', 'traceback': []}");
    text_is(*state, "E: v");
    message(*state, "error", "{'ename': 'KeyboardInterrupt', 'evalue': ''}");
    text_is(*state, "KeyboardInterrupt");
}

static void
control_sequences_are_removed(void **state)
{
    static const struct {
        const char *line, *plain;
    } cases[] = {
        {"a\033[31mb\033[38;5;241;43mc\033[0m\033[Kd", "abcd"},
        {"a\033[?25lb\033[1 qc", "abc"},
        {"a\033]0;title\ab\033]8;;http://x\033\\link\033]8;;\033\\c", "ablinkc"},
        {"a\033Pdcs\033\\b\033_apc\033\\c", "abc"},
        {"a\033(Bb\033=c\033Md", "abcd"},
        {"a\033[31", "a"},
        {"a\033", "a"},
        {"a\033]never ends\nb", "a\nb"},
        {"a\033]cut\033[31mb", "ab"},
        {"a\033[31é\033é\n", "aéé\n"},
        {"\033\033[31ma", "a"},
        {"é漢\033[0m😀", "é漢😀"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        raise_error(*state, "E", "v", cases[i].line);
        text_is(*state, cases[i].plain);
    }
}

static void
nul_after_escape_is_no_string(void **state)
{
    json_auto_t *answer = NULL;

    message(*state, "error", "{'ename': 'E', 'traceback': ['a\\u001b\\u0000bc']}");
    answer = output_take(*state);
    answer_has(answer, "result_text", "\"a\\u0000bc\"");
}

static void
streams_keep_their_control_sequences(void **state)
{
    stream(*state, "\033[31mred\033[0m");
    text_is(*state, "\033[31mred\033[0m");
}

static void
reply_s_error_does_not_double(void **state)
{
    json_auto_t *answer = NULL;

    raise_error(*state, "E", "iopub", "trace");
    refuse(*state, "{\"status\": \"error\", \"ename\": \"E\", \"evalue\": \"reply\", "
                   "\"traceback\": [\"trace\"]}");
    answer = output_take(*state);
    answer_has(answer, "result_text", "\"trace\"");
    answer_has(answer, "error", "{\"ename\":\"E\",\"evalue\":\"iopub\",\"traceback\":[\"trace\"]}");
}

static void
reply_s_error_counts_when_alone(void **state)
{
    json_auto_t *answer = NULL;

    stream(*state, "x");
    refuse(*state, "{\"status\": \"error\", \"ename\": \"E\", \"evalue\": \"v\", "
                   "\"traceback\": [\"trace\"]}");
    answer = output_take(*state);
    answer_has(answer, "result_text", "\"x\\ntrace\"");
    answer_has(answer, "error", "{\"ename\":\"E\",\"evalue\":\"v\",\"traceback\":[\"trace\"]}");
}

static void
iopub_after_the_reply_does_not_double(void **state)
{
    refuse(*state, "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"trace\"]}");
    raise_error(*state, "E", "v", "trace");
    text_is(*state, "trace");
}

static void
error_survives_its_being_cleared(void **state)
{
    raise_error(*state, "E", "v", "trace");
    message(*state, "clear_output", "{}");
    refuse(*state, "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"trace\"]}");
    text_is(*state, "trace");
    stream(*state, "old");
    raise_error(*state, "E", "v", "trace");
    message(*state, "clear_output", "{'wait': true}");
    refuse(*state, "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"trace\"]}");
    text_is(*state, "old\ntrace"); /* nothing came that it waited for */
}

static void
reply_s_error_is_an_output(void **state)
{
    stream(*state, "old");
    message(*state, "clear_output", "{'wait': true}");
    refuse(*state, "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"trace\"]}");
    text_is(*state, "trace");
}

static void
refusal_without_an_exception_is_an_error(void **state)
{
    json_auto_t *answer = NULL;

    refuse(*state, "{\"status\": \"aborted\"}");
    answer = output_take(*state);
    answer_has(answer, "error",
               "{\"ename\":\"KernelError\",\"evalue\":\"the kernel did not run the code\","
               "\"traceback\":[]}");
    answer_has(answer, "result_text", "\"KernelError: the kernel did not run the code\"");
}

static void
earlier_errors_stay_as_text(void **state)
{
    json_auto_t *answer = NULL;

    stream(*state, "a");
    raise_error(*state, "First", "1", "\033[31mfirst\033[0m");
    stream(*state, "b\n");
    raise_error(*state, "Second", "2", "second");
    stream(*state, "c");
    answer = output_take(*state);
    answer_has(answer, "result_text", "\"ab\\nfirst\\nc\\nsecond\"");
    answer_has(answer, "error",
               "{\"ename\":\"Second\",\"evalue\":\"2\",\"traceback\":[\"second\"]}");
}

static void
traceback_lines_that_are_no_strings_are_left_out(void **state)
{
    message(*state, "error",
            "{'ename': 'E', 'evalue': 1, 'traceback': ['a', 1, null, ['b'], '', 'c']}");
    json_auto_t *answer = output_take(*state);
    answer_has(answer, "error",
               "{\"ename\":\"E\",\"evalue\":\"\",\"traceback\":[\"a\",\"\",\"c\"]}");
    answer_has(answer, "result_text", "\"a\\n\\nc\"");
}

/* --- bounds --- */

static void
text_is_cut_at_a_character(void **state)
{
    struct output *o = output_new(8);

    (void)state;
    stream(o, "ééé漢");
    assert_true(output_is_truncated(o));
    stream(o, "a"); /* would fit, and would be out of context */
    raw(o, 1, "b");
    assert_int_equal(output_bytes(o), 11);
    text_is(o, "ééé");
    output_free(o);
}

static void
exactly_the_limit_is_not_truncated(void **state)
{
    struct output *o = output_new(8);

    (void)state;
    stream(o, "12345678");
    assert_false(output_is_truncated(o));
    stream(o, "9");
    assert_true(output_is_truncated(o));
    json_auto_t *answer = output_take(o);
    answer_has(answer, "truncated", "true");
    answer_has(answer, "result_text", "\"12345678\"");
    output_free(o);
}

static void
images_share_the_limit_with_text(void **state)
{
    struct output *o = output_new(12 + 8);

    (void)state;
    display(o, "image/png", PNG, NULL);
    display(o, "image/png", PNG, NULL); /* does not fit any more: dropped whole */
    assert_true(output_is_truncated(o));
    stream(o, "12345678+");
    json_auto_t *answer = output_take(o);
    assert_int_equal(json_array_size(json_object_get(answer, "images")), 1);
    answer_has(answer, "result_text", "\"12345678\"");
    output_free(o);
}

static void
displays_and_their_ids_count(void **state)
{
    struct output *o = output_new(10);

    (void)state;
    display(o, "text/plain", "12345", "678901");
    assert_true(output_is_truncated(o));
    display(o, "text/plain", "12345", "67890");
    stream(o, "x");
    json_auto_t *answer = output_take(o);
    answer_has(answer, "displays", "[\"12345\"]");
    answer_has(answer, "result_text", "null");
    output_free(o);
}

static void
replaced_image_gives_its_room_back(void **state)
{
    struct output *o = output_new(30);

    (void)state;
    display(o, "image/png", PNG, "a");
    for (int i = 0; i < 10; i++)
        message(o, "update_display_data",
                "{'data': {'image/png': '" PNG2 "AAAA'}, 'transient': {'display_id': 'a'}}");
    assert_false(output_is_truncated(o));
    stream(o, "1234567890123"); /* 1 + 16 + 13 */
    assert_false(output_is_truncated(o));
    message(o, "update_display_data",
            "{'data': {'image/png': '" PNG2 "AAAAAAAA'}, 'transient': {'display_id': 'a'}}");
    assert_true(output_is_truncated(o));
    json_auto_t *answer = output_take(o);
    answer_has(answer, "result_base64", "\"" PNG2 "AAAA\"");
    output_free(o);
}

static void
worker_s_truncation_is_told(void **state)
{
    output_mark_truncated(*state);
    assert_true(output_is_truncated(*state));
    json_auto_t *answer = output_take(*state);
    answer_has(answer, "truncated", "true");
}

static void
the_last_part_follows_a_line_that_says_so(void **state)
{
    struct output *o = output_new(4 + OUTPUT_GAP_MAX + 4);

    (void)state;
    output_raw(o, 1, "head", 4);
    output_mark_truncated(o);
    output_raw(o, 1, "", 0);
    output_raw(o, 1, "ta", 2);
    output_raw(o, 1, "il", 2);
    json_auto_t *answer = output_take(o);
    assert_string_equal(json_string_value(json_object_get(answer, "result_text")),
                        "head\n[… output left out …]\ntail");
    output_free(o);
}

static void
the_last_part_counts(void **state)
{
    struct output *o = output_new(10);

    (void)state;
    output_raw(o, 1, "head", 4);
    output_mark_truncated(o);
    output_raw(o, 1, "tail without an end", 19);
    json_auto_t *answer = output_take(o);
    assert_string_equal(json_string_value(json_object_get(answer, "result_text")), "headtail w");
    output_free(o);
}

static void
error_is_told_after_too_much_text(void **state)
{
    struct output *o = output_new(4);

    (void)state;
    stream(o, "123456");
    raise_error(o, "E", "v", "trace");
    text_is(o, "1234\ntrace");
    output_free(o);
}

/* n times c, as a string to free */
static char *
repeated(char c, size_t n)
{
    char *s = xcalloc(1, n + 1);

    memset(s, c, n);
    return s;
}

static void
errors_are_bounded(void **state)
{
    char *huge = repeated('x', 3 * OUTPUT_MAX_ERROR);
    size_t sum = 0;

    raise_error(*state, huge, huge, huge);
    free(huge);
    json_auto_t *answer = output_take(*state);
    const json_t *error = json_object_get(answer, "error");

    sum += json_string_length(json_object_get(error, "ename"));
    sum += json_string_length(json_object_get(error, "evalue"));
    assert_true(json_string_length(json_object_get(error, "evalue")) > 1000);
    sum += json_string_length(json_array_get(json_object_get(error, "traceback"), 0));
    assert_in_range(sum, OUTPUT_MAX_ERROR / 2, OUTPUT_MAX_ERROR);
    answer_has(answer, "truncated", "true");
}

static void
empty_traceback_lines_are_bounded(void **state)
{
    json_auto_t *content = NULL;
    json_t *lines = json_array();

    for (int i = 0; i < OUTPUT_MAX_ERROR + 1000; i++)
        json_array_append_new(lines, json_string(""));
    content = json_pack("{s:s, s:s, s:o}", "ename", "E", "evalue", "v", "traceback", lines);
    output_message(*state, "error", content);
    json_auto_t *answer = output_take(*state);
    lines = json_object_get(json_object_get(answer, "error"), "traceback");
    assert_in_range(json_array_size(lines), 1000, OUTPUT_MAX_ERROR);
    answer_has(answer, "truncated", "true");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(traceback_follows_the_text_without_colours),
        TEST(traceback_begins_a_line),
        TEST(error_without_traceback_is_one_line),
        TEST(control_sequences_are_removed),
        TEST(nul_after_escape_is_no_string),
        TEST(streams_keep_their_control_sequences),
        TEST(reply_s_error_does_not_double),
        TEST(reply_s_error_counts_when_alone),
        TEST(iopub_after_the_reply_does_not_double),
        TEST(error_survives_its_being_cleared),
        TEST(reply_s_error_is_an_output),
        TEST(refusal_without_an_exception_is_an_error),
        TEST(earlier_errors_stay_as_text),
        TEST(traceback_lines_that_are_no_strings_are_left_out),
        TEST(text_is_cut_at_a_character),
        TEST(exactly_the_limit_is_not_truncated),
        TEST(images_share_the_limit_with_text),
        TEST(displays_and_their_ids_count),
        TEST(replaced_image_gives_its_room_back),
        TEST(worker_s_truncation_is_told),
        TEST(the_last_part_follows_a_line_that_says_so),
        TEST(the_last_part_counts),
        TEST(error_is_told_after_too_much_text),
        TEST(errors_are_bounded),
        TEST(empty_traceback_lines_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
