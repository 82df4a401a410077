/* test_output.c - what the answer of an execution is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/clock.h"
#include "gateway/output.h"

#define PNG "iVBORw0KGgo="
#define PNG2 "iVBORw0KGgoA"

static int
setup(void **state)
{
    *state = output_new(1000);
    return 0;
}

static int
teardown(void **state)
{
    output_free(*state);
    return 0;
}

/* A message whose content is written with single quotes, so that it can be read here. */
static void
message(struct output *o, const char *type, const char *content)
{
    char *text = xstrdup(content);
    json_t *json;

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    json = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("the test's content is not JSON: %s", text);
    output_message(o, type, json);
    json_decref(json);
    free(text);
}

static void
stream(struct output *o, const char *text)
{
    json_auto_t *content = json_pack("{s:s, s:s}", "name", "stdout", "text", text);

    output_message(o, "stream", content);
}

static void
display(struct output *o, const char *mime, const char *value, const char *id)
{
    json_auto_t *content = json_pack("{s:{s:s}, s:{}, s:{s:s*}}", "data", mime, value, "metadata",
                                     "transient", "display_id", id);

    output_message(o, "display_data", content);
}

static void
raw(struct output *o, int fd, const char *bytes)
{
    output_raw(o, fd, bytes, strlen(bytes));
}

static void
refuse(struct output *o, const char *content)
{
    json_auto_t *json = json_loads(content, 0, NULL);

    assert_non_null(json);
    output_set_error(o, json);
}

static json_t *
error_content(const char *ename, const char *evalue, const char *line)
{
    return json_pack("{s:s, s:s, s:[s]}", "ename", ename, "evalue", evalue, "traceback", line);
}

static void
raise(struct output *o, const char *ename, const char *evalue, const char *line)
{
    json_auto_t *content = error_content(ename, evalue, line);

    output_message(o, "error", content);
}

/* What the answer has at a key, as JSON. */
static void
answer_has(json_t *answer, const char *key, const char *expected)
{
    char *found = json_dumps(json_object_get(answer, key), JSON_ENCODE_ANY | JSON_COMPACT);

    assert_string_equal(found, expected);
    free(found);
}

/* Takes the answer; its text is this; NULL for none. */
static void
text_is(struct output *o, const char *expected)
{
    json_auto_t *answer = output_take(o);
    const char *text = json_string_value(json_object_get(answer, "result_text"));

    if (expected == NULL)
        assert_null(text);
    else {
        assert_non_null(text);
        assert_string_equal(text, expected);
    }
}

/* --- composition --- */

static void
nothing_gives_nulls(void **state)
{
    json_auto_t *answer = output_take(*state);
    char *text = json_dumps(answer, JSON_COMPACT);

    assert_string_equal(text, "{\"result_text\":null,\"result_base64\":null,\"images\":[],"
                              "\"displays\":[],\"truncated\":false,\"error\":null}");
    free(text);
}

static void
text_is_in_order_of_arrival(void **state)
{
    message(*state, "stream", "{'name': 'stdout', 'text': 'out\\n'}");
    message(*state, "stream", "{'name': 'stderr', 'text': 'err\\n'}");
    raw(*state, 2, "raw2\n");
    raw(*state, 1, "raw1\n");
    message(*state, "execute_result", "{'data': {'text/plain': '42'}, 'execution_count': 1}");
    message(*state, "stream", "{'name': 'stdout', 'text': 'end'}");
    text_is(*state, "out\nerr\nraw2\nraw1\n42end");
}

static void
nul_and_carriage_return_are_kept(void **state)
{
    json_auto_t *answer = NULL;
    const json_t *text;

    message(*state, "stream", "{'name': 'stdout', 'text': 'a\\u0000b\\r'}");
    output_raw(*state, 1, "c\0\r", 3);
    answer = output_take(*state);
    text = json_object_get(answer, "result_text");
    assert_int_equal(json_string_length(text), 7);
    assert_memory_equal(json_string_value(text), "a\0b\rc\0\r", 7);
}

static void
unexpected_shapes_are_ignored(void **state)
{
    static const char *const contents[] = {
        "{}",
        "{'text': 1}",
        "{'text': null}",
        "{'data': 'x'}",
        "{'data': []}",
        "{'data': {}}",
        "{'data': {'text/plain': 1, 'image/png': {}}}",
        "{'data': {'text/plain': ['a']}, 'transient': {'display_id': 7}}",
        "{'ename': 1}",
        "{'wait': 'yes'}",
    };
    static const char *const types[] = {"stream",       "execute_result",
                                        "display_data", "clear_output",
                                        "error",        "update_display_data",
                                        "status",       "execute_input",
                                        "comm_open",    ""};

    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (size_t c = 0; c < sizeof(contents) / sizeof(contents[0]); c++)
            message(*state, types[t], contents[c]);
    nothing_gives_nulls(state);
}

static void
unknown_types_are_ignored(void **state)
{
    message(*state, "streams", "{'name': 'stdout', 'text': 'x'}");
    text_is(*state, NULL);
}

static void
taking_empties(void **state)
{
    stream(*state, "x");
    display(*state, "image/png", PNG, NULL);
    raise(*state, "E", "v", "t");
    refuse(*state, "{\"status\": \"aborted\"}");
    json_decref(output_take(*state));
    nothing_gives_nulls(state);
}

static void
bytes_are_counted(void **state)
{
    stream(*state, "12345");
    raw(*state, 1, "678");
    display(*state, "text/plain", "90", NULL);
    assert_int_equal(output_bytes(*state), 10);
}

/* --- pictures and displays --- */

static void
images_are_kept_in_order(void **state)
{
    json_auto_t *answer = NULL;

    display(*state, "image/png", PNG, NULL);
    message(*state, "execute_result",
            "{'data': {'image/png': '" PNG2 "', 'text/plain': '<Figure>'}}");
    answer = output_take(*state);
    answer_has(answer, "images",
               "[{\"type\":\"image/png\",\"data\":\"" PNG "\"},"
               "{\"type\":\"image/png\",\"data\":\"" PNG2 "\"}]");
    answer_has(answer, "result_base64", "\"" PNG2 "\"");
    answer_has(answer, "result_text", "\"<Figure>\"");
    answer_has(answer, "displays", "[]");
}

static void
display_without_png_is_its_text(void **state)
{
    json_auto_t *answer = NULL;

    message(*state, "display_data", "{'data': {'text/html': '<b>', 'text/plain': 'bold'}}");
    message(*state, "display_data", "{'data': {'image/svg+xml': '<svg/>', 'text/plain': 'svg'}}");
    message(*state, "display_data", "{'data': {'text/html': '<i>'}}");
    message(*state, "display_data", "{'data': {'image/png': '" PNG "', 'text/plain': 'figure'}}");
    answer = output_take(*state);
    answer_has(answer, "displays", "[\"bold\",\"svg\"]");
    answer_has(answer, "result_text", "null");
}

static void
line_breaks_in_base64_are_removed(void **state)
{
    json_auto_t *answer = NULL;

    message(*state, "display_data", "{'data': {'image/png': 'iVBO\\nRw0K\\r\\nGg o=\\n'}}");
    answer = output_take(*state);
    answer_has(answer, "result_base64", "\"" PNG "\"");
}

static void
what_is_not_base64_is_no_image(void **state)
{
    static const char *const bad[] = {"",      "\n",    "AAA", "A===", "AA=A",  "====",    "A-_A",
                                      "AAAA=", "AA\"A", "AAé", "=AAA", "AAAAA", "AAA=AAAA"};
    json_auto_t *answer = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        display(*state, "image/png", bad[i], NULL);
    message(*state, "display_data", "{'data': {'image/png': '?', 'text/plain': 'instead'}}");
    message(*state, "execute_result", "{'data': {'image/png': '?', 'text/plain': 'result'}}");
    answer = output_take(*state);
    answer_has(answer, "images", "[]");
    answer_has(answer, "result_base64", "null");
    answer_has(answer, "displays", "[\"instead\"]");
    answer_has(answer, "result_text", "\"result\"");
}

static void
all_base64_characters_are_known(void **state)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    json_auto_t *answer = NULL;

    display(*state, "image/png", all, NULL);
    display(*state, "image/png", "AA==", NULL);
    answer = output_take(*state);
    assert_int_equal(json_array_size(json_object_get(answer, "images")), 2);
}

static void
update_replaces_in_place(void **state)
{
    json_auto_t *answer = NULL;

    display(*state, "image/png", PNG, "a");
    display(*state, "text/plain", "between", "b");
    display(*state, "image/png", PNG, "a");
    display(*state, "image/png", PNG, NULL);
    message(*state, "update_display_data",
            "{'data': {'image/png': '" PNG2 "'}, 'transient': {'display_id': 'a'}}");
    message(*state, "update_display_data",
            "{'data': {'text/plain': 'new'}, 'transient': {'display_id': 'b'}}");
    answer = output_take(*state);
    answer_has(answer, "images",
               "[{\"type\":\"image/png\",\"data\":\"" PNG2 "\"},"
               "{\"type\":\"image/png\",\"data\":\"" PNG2 "\"},"
               "{\"type\":\"image/png\",\"data\":\"" PNG "\"}]");
    answer_has(answer, "displays", "[\"new\"]");
}

static void
update_may_change_the_kind(void **state)
{
    json_auto_t *answer = NULL;

    display(*state, "text/plain", "soon", "a");
    message(*state, "update_display_data",
            "{'data': {'image/png': '" PNG "'}, 'transient': {'display_id': 'a'}}");
    answer = output_take(*state);
    answer_has(answer, "displays", "[]");
    answer_has(answer, "result_base64", "\"" PNG "\"");
}

static void
update_of_what_is_not_there_is_ignored(void **state)
{
    display(*state, "text/plain", "x", NULL);
    message(*state, "update_display_data",
            "{'data': {'text/plain': 'y'}, 'transient': {'display_id': 'a'}}");
    message(*state, "update_display_data", "{'data': {'text/plain': 'y'}}");
    json_auto_t *answer = output_take(*state);
    answer_has(answer, "displays", "[\"x\"]");
}

static void
images_are_bounded_in_number(void **state)
{
    struct output *o = output_new(1000000);
    json_auto_t *answer = NULL;

    (void)state;
    for (int i = 0; i < OUTPUT_MAX_ITEMS; i++)
        display(o, i % 2 ? "image/png" : "text/plain", PNG, NULL);
    assert_false(output_is_truncated(o));
    display(o, "image/png", PNG, NULL);
    assert_true(output_is_truncated(o));
    answer = output_take(o);
    assert_int_equal(json_array_size(json_object_get(answer, "images")), OUTPUT_MAX_ITEMS / 2);
    assert_int_equal(json_array_size(json_object_get(answer, "displays")), OUTPUT_MAX_ITEMS / 2);
    output_free(o);
}

/* --- clear_output --- */

static void
clear_forgets_what_came_before(void **state)
{
    json_auto_t *answer = NULL;

    stream(*state, "gone");
    display(*state, "image/png", PNG, NULL);
    raise(*state, "E", "v", "gone");
    message(*state, "clear_output", "{'wait': false}");
    stream(*state, "stays");
    answer = output_take(*state);
    answer_has(answer, "result_text", "\"stays\"");
    answer_has(answer, "images", "[]");
    answer_has(answer, "error", "null");
}

static void
clear_with_wait_comes_with_the_next_output(void **state)
{
    static const struct {
        const char *type, *content, *text;
    } next[] = {
        {"stream", "{'text': 'new'}", "new"},
        {"execute_result", "{'data': {'text/plain': 'new'}}", "new"},
        {"display_data", "{'data': {'text/plain': 'new'}}", NULL},
        {"error", "{'ename': 'new', 'evalue': '', 'traceback': []}", "new"},
        {"update_display_data", "{'data': {'text/plain': 'new'}, 'transient': {'display_id': 'x'}}",
         "old"},
        {"clear_output", "{'wait': true}", "old"},
        {"clear_output", "{}", NULL},
    };

    for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
        stream(*state, "old");
        message(*state, "clear_output", "{'wait': true}");
        message(*state, next[i].type, next[i].content);
        text_is(*state, next[i].text);
    }
    stream(*state, "old");
    message(*state, "clear_output", "{'wait': true}");
    raw(*state, 1, "new");
    raw(*state, 1, "er");
    text_is(*state, "newer");
    stream(*state, "old");
    message(*state, "clear_output", "{'wait': true}");
    raw(*state, 1, "");
    text_is(*state, "old");
}

static void
clear_gives_the_room_back(void **state)
{
    char long_text[901];

    memset(long_text, 'x', 900);
    long_text[900] = '\0';
    for (int i = 0; i < 10; i++) {
        stream(*state, long_text);
        message(*state, "clear_output", "{}");
    }
    stream(*state, long_text);
    assert_false(output_is_truncated(*state));
    text_is(*state, long_text);
}

static void
cleared_text_may_be_followed_by_more(void **state)
{
    struct output *o = output_new(4);

    (void)state;
    stream(o, "12345");
    message(o, "clear_output", "{}");
    stream(o, "6789");
    json_auto_t *answer = output_take(o);
    answer_has(answer, "result_text", "\"6789\"");
    answer_has(answer, "truncated", "true"); /* it was, whatever came of it */
    output_free(o);
}

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
    raise(*state, "E", "v", "trace");
    text_is(*state, "no break\ntrace");
    raise(*state, "E", "v", "trace");
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
        raise(*state, "E", "v", cases[i].line);
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

    raise(*state, "E", "iopub", "trace");
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
    raise(*state, "E", "v", "trace");
    text_is(*state, "trace");
}

static void
error_survives_its_being_cleared(void **state)
{
    raise(*state, "E", "v", "trace");
    message(*state, "clear_output", "{}");
    refuse(*state, "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"trace\"]}");
    text_is(*state, "trace");
    stream(*state, "old");
    raise(*state, "E", "v", "trace");
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
    raise(*state, "First", "1", "\033[31mfirst\033[0m");
    stream(*state, "b\n");
    raise(*state, "Second", "2", "second");
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
    raise(o, "E", "v", "trace");
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

    raise(*state, huge, huge, huge);
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

/* --- raw bytes --- */

static void
split_characters_are_joined_per_descriptor(void **state)
{
    raw(*state, 1, "a\xe6\xbc");
    raw(*state, 2, "b\xf0");
    raw(*state, 2, "\x9f");
    stream(*state, "c");
    raw(*state, 1, "\xa2");
    raw(*state, 2, "\x98\x80");
    text_is(*state, "abc漢😀");
}

static void
every_split_gives_the_same(void **state)
{
    static const char text[] = "a é 漢字 😀 \xff\xc3\xf0\x9f z";

    for (size_t i = 0; i < sizeof(text); i++) {
        for (size_t j = i; j < sizeof(text); j++) {
            output_raw(*state, 1, text, i);
            output_raw(*state, 1, text + i, j - i);
            output_raw(*state, 1, text + j, sizeof(text) - 1 - j + (j == sizeof(text)));
            text_is(*state, "a é 漢字 😀 \ufffd\ufffd\ufffd z");
            if (j == sizeof(text) - 1)
                break;
        }
        if (i == sizeof(text) - 1)
            break;
    }
}

static void
invalid_bytes_become_replacements(void **state)
{
    raw(*state, 1, "\xff");
    raw(*state, 1,
        "\xc3"
        "a\xe6\xbc"
        "b\xed\xa0\x80");
    raw(*state, 1, "\xf0\x9f");
    raw(*state, 1, "c");
    text_is(*state, "\ufffd\ufffda\ufffdb\ufffd\ufffd\ufffd\ufffdc");
}

static void
character_without_end_is_replaced_at_the_end(void **state)
{
    raw(*state, 1, "a\xe6\xbc");
    raw(*state, 2, "\xf0");
    text_is(*state, "a\ufffd\ufffd");
    raw(*state, 1, "\xa2"); /* nothing is left of it for the next */
    text_is(*state, "\ufffd");
}

/* Ten megabytes, byte by byte: quadratic work would take hours. */
static void
small_pieces_take_linear_time(void **state)
{
    enum { N = 10 << 20 };
    struct output *o = output_new(N);
    double start = clock_now();

    (void)state;
    for (int i = 0; i < N; i++)
        output_raw(o, 1, "x", 1);
    assert_false(output_is_truncated(o));
    json_auto_t *answer = output_take(o);
    assert_int_equal(json_string_length(json_object_get(answer, "result_text")), N);
    assert_true(clock_now() - start < 20);
    output_free(o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_gives_nulls),
        TEST(text_is_in_order_of_arrival),
        TEST(nul_and_carriage_return_are_kept),
        TEST(unexpected_shapes_are_ignored),
        TEST(unknown_types_are_ignored),
        TEST(taking_empties),
        TEST(bytes_are_counted),
        TEST(images_are_kept_in_order),
        TEST(display_without_png_is_its_text),
        TEST(line_breaks_in_base64_are_removed),
        TEST(what_is_not_base64_is_no_image),
        TEST(all_base64_characters_are_known),
        TEST(update_replaces_in_place),
        TEST(update_may_change_the_kind),
        TEST(update_of_what_is_not_there_is_ignored),
        TEST(images_are_bounded_in_number),
        TEST(clear_forgets_what_came_before),
        TEST(clear_with_wait_comes_with_the_next_output),
        TEST(clear_gives_the_room_back),
        TEST(cleared_text_may_be_followed_by_more),
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
        TEST(split_characters_are_joined_per_descriptor),
        TEST(every_split_gives_the_same),
        TEST(invalid_bytes_become_replacements),
        TEST(character_without_end_is_replaced_at_the_end),
        TEST(small_pieces_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
