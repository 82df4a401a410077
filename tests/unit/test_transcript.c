/* test_transcript.c - what an answer of /v1 has of what a kernel shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/shown.h"
#include "gateway/transcript.h"
#include "tests/unit/quoted.h"

enum { BOUND = 4000 };

static int
setup(void **state)
{
    *state = transcript_new(BOUND);
    return 0;
}

static int
teardown(void **state)
{
    transcript_free(*state);
    return 0;
}

static enum shown
message(struct transcript *t, const char *type, const char *content)
{
    json_auto_t *object = json(content), *what = NULL;
    bool truncated = false;
    const enum shown kind = shown_from(type, object, &what, &truncated);

    transcript_add(t, kind, what);
    return kind;
}

static json_t *
take(struct transcript *t)
{
    json_t *answer = json_object();

    transcript_take(t, answer);
    return answer;
}

/* The answer is so; its quotes are single ones, too. */
static void
assert_taken(struct transcript *t, const char *expected)
{
    json_auto_t *answer = take(t), *wanted = json(expected);
    char *text = json_dumps(answer, JSON_COMPACT);

    if (!json_equal(answer, wanted))
        fail_msg("%s\nis not\n%s", text, expected);
    free(text);
}

static void
text_of_a_stream_is_one_output(void **state)
{
    struct transcript *t = *state;

    message(t, "stream", "{'name':'stdout','text':'a'}");
    message(t, "stream", "{'name':'stdout','text':'b\\n'}");
    message(t, "stream", "{'name':'stderr','text':'e'}");
    message(t, "stream", "{'name':'stdout','text':'c'}");
    message(t, "stream", "{'name':'stdout','text':''}");
    message(t, "stream", "{'name':'stdout'}");
    assert_taken(t, "{'stdout':'ab\\nc','stderr':'e','result':null,'error':null,'truncated':false,"
                    "'outputs':[{'type':'stdout','text':'ab\\n'},{'type':'stderr','text':'e'},"
                    "{'type':'stdout','text':'c'}]}");
    assert_taken(t, "{'stdout':'','stderr':'','result':null,'error':null,'truncated':false,"
                    "'outputs':[]}");
}

static void
bundles_are_complete(void **state)
{
    struct transcript *t = *state;

    message(t, "display_data",
            "{'data':{'image/png':'AA\\nBB\\n','text/html':'<b>\\n','image/svg+xml':'<svg>\\n',"
            "'application/vnd.vega.v5+json':{'a':[1]}},'metadata':{'image/png':{'width':1}},"
            "'transient':{'display_id':'d'}}");
    message(t, "display_data", "{'data':{'text/plain':'x'}}");
    message(t, "display_data", "{'data':1}");
    assert_taken(t,
                 "{'stdout':'','stderr':'','result':null,'error':null,'truncated':false,'outputs':["
                 "{'type':'display','data':{'image/png':'AABB','text/html':'<b>\\n',"
                 "'image/svg+xml':'<svg>\\n','application/vnd.vega.v5+json':{'a':[1]}},"
                 "'metadata':{'image/png':{'width':1}},'display_id':'d'},"
                 "{'type':'display','data':{'text/plain':'x'},'metadata':{},'display_id':null}]}");
}

static void
a_result_is_text_and_value(void **state)
{
    static const char *const cases[][2] = {
        {"{'text/plain':'[1, 2]'}", "{'text':'[1, 2]','value':[1,2]}"},
        {"{'text/plain':'42'}", "{'text':'42','value':42}"},
        {"{'text/plain':'True'}", "{'text':'True'}"},
        {"{'text/plain':'<object>','application/json':{'a':1}}",
         "{'text':'<object>','value':{'a':1}}"},
        {"{'image/png':'AAAA'}", "{'text':null}"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char content[200];
        json_auto_t *answer, *wanted = json(cases[i][1]);

        snprintf(content, sizeof(content), "{'data':%s,'metadata':{},'execution_count':1}",
                 cases[i][0]);
        assert_int_equal(message(*state, "execute_result", content), SHOWN_RESULT);
        answer = take(*state);
        if (!json_equal(json_object_get(answer, "result"), wanted))
            fail_msg("%s", cases[i][0]);
    }
}

/* A value that cannot be read where it is kept, or by a client, would take the whole answer with it. */
static void
a_deep_result_is_text(void **state)
{
    static const size_t depths[] = {256, 257, 2000};

    (void)state;
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        const size_t n = depths[i];
        char text[2 * 2000 + 8] = "";
        json_auto_t *content, *what = NULL;
        bool truncated;

        memset(text, '[', n);
        snprintf(text + n, sizeof(text) - n, "%s", "\"[{\\\"\""); /* brackets that are none */
        memset(text + n + 6, ']', n);
        content = json_pack("{s:{s:s}}", "data", "text/plain", text);
        assert_int_equal(shown_from("execute_result", content, &what, &truncated), SHOWN_RESULT);
        assert_int_equal(json_object_get(what, "value") != NULL, n <= 256);
    }
}

static void
updates_replace_in_place(void **state)
{
    struct transcript *t = *state;

    message(t, "display_data", "{'data':{'text/plain':'1'},'transient':{'display_id':'a'}}");
    message(t, "stream", "{'name':'stdout','text':'x'}");
    message(t, "display_data", "{'data':{'text/plain':'2'},'transient':{'display_id':'a'}}");
    message(t, "update_display_data", "{'data':{'text/plain':'3'},'transient':{'display_id':'a'}}");
    message(t, "update_display_data", "{'data':{'text/plain':'4'},'transient':{'display_id':'b'}}");
    message(t, "update_display_data", "{'data':{'text/plain':'5'}}");
    assert_taken(
        t, "{'stdout':'x','stderr':'','result':null,'error':null,'truncated':false,'outputs':["
           "{'type':'display','data':{'text/plain':'3'},'metadata':{},'display_id':'a'},"
           "{'type':'stdout','text':'x'},"
           "{'type':'display','data':{'text/plain':'3'},'metadata':{},'display_id':'a'}]}");
}

static void
clearing_forgets(void **state)
{
    struct transcript *t = *state;

    message(t, "stream", "{'name':'stdout','text':'old'}");
    message(t, "clear_output", "{'wait':false}");
    message(t, "stream", "{'name':'stdout','text':'new'}");
    message(t, "clear_output", "{'wait':true}");
    assert_taken(t, "{'stdout':'new','stderr':'','result':null,'error':null,'truncated':false,"
                    "'outputs':[{'type':'stdout','text':'new'}]}");
    message(t, "stream", "{'name':'stdout','text':'old'}");
    message(t, "clear_output", "{'wait':true}");
    message(t, "stream", "{'name':'stderr','text':'new'}");
    assert_taken(t, "{'stdout':'','stderr':'new','result':null,'error':null,'truncated':false,"
                    "'outputs':[{'type':'stderr','text':'new'}]}");
}

static void
the_last_error_is_the_one(void **state)
{
    struct transcript *t = *state;
    bool truncated = false;
    json_auto_t *reply = json("{'status':'error','ename':'C','evalue':'c','traceback':[]}");
    json_auto_t *refusal = json("{'status':'aborted'}");

    message(t, "error", "{'ename':'A','evalue':'a','traceback':['x']}");
    message(t, "error", "{'ename':'B','evalue':'b','traceback':[1]}");
    transcript_set_error(t, shown_error_of_reply(reply, &truncated));
    assert_taken(t, "{'stdout':'','stderr':'','result':null,'truncated':false,"
                    "'error':{'ename':'B','evalue':'b','traceback':[]},'outputs':["
                    "{'type':'error','ename':'A','evalue':'a','traceback':['x']},"
                    "{'type':'error','ename':'B','evalue':'b','traceback':[]}]}");
    transcript_set_error(t, shown_error_of_reply(reply, &truncated));
    assert_taken(t, "{'stdout':'','stderr':'','result':null,'truncated':false,"
                    "'error':{'ename':'C','evalue':'c','traceback':[]},'outputs':["
                    "{'type':'error','ename':'C','evalue':'c','traceback':[]}]}");
    transcript_set_error(t, shown_error_of_reply(refusal, &truncated));
    assert_true(transcript_has_error(t));
}

static void
text_is_cut_at_a_character(void **state)
{
    struct transcript *t = *state;
    json_auto_t *answer = NULL;

    for (int i = 0; i < 3000; i++)
        message(t, "stream", "{'name':'stdout','text':'\xc3\xa4'}");
    message(t, "stream", "{'name':'stderr','text':'later'}");
    answer = take(t);
    assert_true(json_is_true(json_object_get(answer, "truncated")));
    assert_in_range(json_string_length(json_object_get(answer, "stdout")), BOUND - 100, BOUND);
    assert_int_equal(json_string_length(json_object_get(answer, "stdout")) % 2, 0);
    assert_int_equal(json_string_length(json_object_get(answer, "stderr")), 0);
}

static void
there_is_a_place_for_the_result(void **state)
{
    struct transcript *t = transcript_new(1 << 24);
    json_auto_t *answer = NULL;

    (void)state;
    for (int i = 0; i <= TRANSCRIPT_MAX_OUTPUTS; i++)
        message(t, "display_data", "{'data':{}}");
    message(t, "execute_result", "{'data':{'text/plain':'42'}}");
    message(t, "display_data", "{'data':{}}");
    answer = take(t);
    assert_true(json_is_true(json_object_get(answer, "truncated")));
    assert_int_equal(json_array_size(json_object_get(answer, "outputs")), TRANSCRIPT_MAX_OUTPUTS);
    assert_true(json_is_object(json_object_get(answer, "result")));
    transcript_free(t);
}

static void
what_was_left_out_is_said(void **state)
{
    struct transcript *t = *state;

    message(t, "stream", "{'name':'stdout','text':'first'}");
    transcript_mark_truncated(t, true);
    message(t, "stream", "{'name':'stdout','text':'last'}");
    assert_taken(t, "{'stdout':'first\\n[… output left out …]\\nlast','stderr':'','result':null,"
                    "'error':null,'truncated':true,'outputs':[{'type':'stdout','text':"
                    "'first\\n[… output left out …]\\nlast'}]}");
}

/* However small the pieces are, and whatever they are. */
static void
there_is_a_bound_for_everything(void **state)
{
    struct transcript *t = *state;
    json_auto_t *answer = NULL;

    for (int i = 0; i < 1000; i++) {
        message(t, "stream",
                i % 2 ? "{'name':'stderr','text':'x'}" : "{'name':'stdout','text':'y'}");
        message(t, "display_data", "{'data':{'text/plain':[[],[],[]]}}");
        message(t, "error", "{'ename':'A','evalue':'a','traceback':[]}");
    }
    answer = take(t);
    assert_true(json_is_true(json_object_get(answer, "truncated")));
    assert_in_range(json_array_size(json_object_get(answer, "outputs")), 10, 100);
    assert_false(json_is_null(json_object_get(answer, "error")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_of_a_stream_is_one_output),  TEST(bundles_are_complete),
        TEST(a_result_is_text_and_value),      TEST(a_deep_result_is_text),
        TEST(updates_replace_in_place),        TEST(clearing_forgets),
        TEST(the_last_error_is_the_one),       TEST(text_is_cut_at_a_character),
        TEST(there_is_a_bound_for_everything), TEST(there_is_a_place_for_the_result),
        TEST(what_was_left_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
