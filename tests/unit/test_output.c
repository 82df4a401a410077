/* test_output.c - what the answer of an execution is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/clock.h"
#include "gateway/output.h"
#include "tests/unit/output_told.h"

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
    raise_error(*state, "E", "v", "t");
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
    raise_error(*state, "E", "v", "gone");
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
        TEST(split_characters_are_joined_per_descriptor),
        TEST(every_split_gives_the_same),
        TEST(invalid_bytes_become_replacements),
        TEST(character_without_end_is_replaced_at_the_end),
        TEST(small_pieces_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
