/* test_execution.c - when an execution is over, and as what.  With a real event loop and a real output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <event2/event.h>
#include <string.h>

#include "gateway/clock.h"
#include "gateway/execution.h"
#include "gateway/mem.h"
#include "gateway/output.h"

enum {
    PATIENCE_MS = 10000,  /* far longer than anything here takes, however busy the machine is */
    LATE_REPLY_MS = 1000, /* of an execution whose time is nearly up */
};

struct fixture {
    struct event_base *base;
    struct execution *x;
    unsigned n_done;
    enum execution_result result;
    bool free_when_done;
};

static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->base = xnotnull(event_base_new());
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    execution_free(f->x);
    event_base_free(f->base);
    free(f);
    return 0;
}

static void
on_done(void *owner, struct execution *x, enum execution_result result)
{
    struct fixture *f = owner;

    assert_ptr_equal(x, f->x);
    f->n_done++;
    f->result = result;
    if (f->free_when_done) {
        execution_free(f->x);
        f->x = NULL;
    }
}

static void
make(struct fixture *f, unsigned timeout_ms)
{
    const struct execution_spec spec = {
        .code = "a = 1", .code_len = 5, .timeout_ms = timeout_ms, .max_output = 1000};

    f->x = execution_new(&spec, on_done, f);
}

static void
begin(struct fixture *f, unsigned timeout_ms)
{
    make(f, timeout_ms);
    execution_begin(f->x, f->base, "s-1");
}

static json_t *
parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    if (json == NULL)
        fail_msg("the test's content is not JSON: %s", text);
    return json;
}

static void
iopub(struct fixture *f, const char *type, const char *text)
{
    json_auto_t *content = parse(text);

    execution_iopub(f->x, type, content);
}

static void
idle(struct fixture *f)
{
    iopub(f, "status", "{\"execution_state\": \"idle\"}");
}

static void
reply(struct fixture *f, const char *text)
{
    json_auto_t *content = parse(text);

    execution_reply(f->x, content);
}

static void
reply_ok(struct fixture *f)
{
    reply(f, "{\"status\": \"ok\", \"execution_count\": 3}");
}

/* Runs the loop until the execution is over; how many milliseconds that took. */
static double
wait_for_end(struct fixture *f)
{
    const double start = clock_now();

    while (f->n_done == 0) {
        if (clock_now() - start > PATIENCE_MS / 1e3)
            fail_msg("the execution did not end");
        if (event_base_loop(f->base, EVLOOP_ONCE) == 1)
            fail_msg("the execution waits for nothing");
    }
    return (clock_now() - start) * 1e3;
}

static void
pass_time(struct fixture *f, unsigned ms)
{
    const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_base_loopexit(f->base, &tv);
    event_base_dispatch(f->base);
}

static void
expect_done(const struct fixture *f, enum execution_result result)
{
    assert_int_equal(f->n_done, 1);
    assert_int_equal(f->result, result);
}

static void
expect_error(struct fixture *f, const char *ename, const char *evalue)
{
    json_auto_t *answer = output_take(execution_output(f->x));
    const json_t *error = json_object_get(answer, "error");

    assert_string_equal(json_string_value(json_object_get(error, "ename")), ename);
    assert_string_equal(json_string_value(json_object_get(error, "evalue")), evalue);
}

static void
expect_text(struct fixture *f, const char *text)
{
    json_auto_t *answer = output_take(execution_output(f->x));

    assert_string_equal(json_string_value(json_object_get(answer, "result_text")), text);
}

/* --- the request --- */

static json_t *
request_of(const char *code, size_t len, bool silent)
{
    const struct execution_spec spec = {.code = code, .code_len = len, .silent = silent};
    struct execution *x = execution_new(&spec, on_done, NULL);
    json_t *request = execution_request(x);

    execution_free(x);
    return request;
}

static void
test_request(void **state)
{
    json_auto_t *request = request_of("print(1)", 8, false);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(request, "code")), "print(1)");
    assert_true(json_is_false(json_object_get(request, "silent")));
    assert_true(json_is_true(json_object_get(request, "store_history")));
    assert_true(json_is_false(json_object_get(request, "allow_stdin")));
    assert_true(json_is_false(json_object_get(request, "stop_on_error")));
    assert_true(json_is_object(json_object_get(request, "user_expressions")));
}

static void
test_silent_request(void **state)
{
    json_auto_t *request = request_of("None", 4, true);

    (void)state;
    assert_true(json_is_true(json_object_get(request, "silent")));
    assert_true(json_is_false(json_object_get(request, "store_history")));
}

static void
test_code_is_taken_by_its_length(void **state)
{
    static const char code[] = "a\0\xc3\xa9 and more";
    json_auto_t *request = request_of(code, 4, false);
    json_auto_t *nothing = request_of("", 0, false);
    const json_t *sent = json_object_get(request, "code");

    (void)state;
    assert_int_equal(json_string_length(sent), 4);
    assert_memory_equal(json_string_value(sent), code, 4);
    assert_int_equal(json_string_length(json_object_get(nothing, "code")), 0);
    assert_true(json_is_string(json_object_get(nothing, "code")));
}

static void
test_what_it_was_made_with(void **state)
{
    struct fixture *f = *state;
    char long_id[200];

    make(f, 70);
    assert_string_equal(execution_msg_id(f->x), "");
    assert_int_equal(execution_timeout_ms(f->x), 70);
    assert_int_equal(execution_max_output(f->x), 1000);
    assert_int_equal(execution_count(f->x), -1);
    memset(long_id, 'i', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    execution_begin(f->x, f->base, long_id);
    assert_int_equal(strncmp(execution_msg_id(f->x), long_id, strlen(execution_msg_id(f->x))), 0);
}

/* --- reply and idle --- */

static void
test_reply_then_idle(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    reply_ok(f);
    assert_int_equal(f->n_done, 0);
    iopub(f, "stream", "{\"name\": \"stdout\", \"text\": \"late\"}");
    idle(f);
    expect_done(f, EXECUTION_OK);
    assert_int_equal(execution_count(f->x), 3);
    expect_text(f, "late");
}

static void
test_idle_then_reply(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    iopub(f, "status", "{\"execution_state\": \"busy\"}");
    idle(f);
    pass_time(f, LATE_REPLY_MS / 5);
    assert_int_equal(f->n_done, 0);
    reply_ok(f);
    expect_done(f, EXECUTION_OK);
}

static void
test_one_of_them_twice_is_not_both(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    reply_ok(f);
    reply_ok(f);
    assert_int_equal(f->n_done, 0);
    idle(f);
    expect_done(f, EXECUTION_OK);
}

static void
test_owner_may_free_it_in_the_callback(void **state)
{
    struct fixture *f = *state;

    f->free_when_done = true;
    begin(f, PATIENCE_MS);
    reply_ok(f);
    idle(f);
    expect_done(f, EXECUTION_OK);
    assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED), 0);
}

static void
test_all_after_the_end_is_ignored(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    reply_ok(f);
    idle(f);
    execution_raw(f->x, 1, "raw", 3);
    iopub(f, "stream", "{\"name\": \"stdout\", \"text\": \"text\"}");
    reply(f, "{\"status\": \"error\", \"ename\": \"E\", \"execution_count\": 9}");
    idle(f);
    pass_time(f, LATE_REPLY_MS + 200);
    expect_done(f, EXECUTION_OK);
    assert_int_equal(execution_count(f->x), 3);
    assert_int_equal(output_bytes(execution_output(f->x)), 0);
}

static void
test_all_before_the_beginning_is_ignored(void **state)
{
    struct fixture *f = *state;

    make(f, 0);
    reply_ok(f);
    idle(f);
    execution_raw(f->x, 1, "raw", 3);
    assert_int_equal(f->n_done, 0);
    assert_int_equal(output_bytes(execution_output(f->x)), 0);
    execution_begin(f->x, f->base, "s-1");
    idle(f);
    assert_int_equal(f->n_done, 0);
}

static void
test_raw_output(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    execution_raw(f->x, 1, "out\n", 4);
    execution_raw(f->x, 2, "err\n", 4);
    reply_ok(f);
    idle(f);
    expect_text(f, "out\nerr\n");
}

/* --- errors --- */

static void
test_error_of_the_reply(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    reply(f, "{\"status\": \"error\", \"ename\": \"ValueError\", \"evalue\": \"no\", "
             "\"traceback\": []}");
    idle(f);
    expect_done(f, EXECUTION_RAISED);
    expect_error(f, "ValueError", "no");
}

static void
test_error_on_iopub_goes_first(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    iopub(f, "error", "{\"ename\": \"A\", \"evalue\": \"a\", \"traceback\": []}");
    reply(f, "{\"status\": \"error\", \"ename\": \"B\", \"evalue\": \"b\", \"traceback\": []}");
    idle(f);
    expect_done(f, EXECUTION_RAISED);
    expect_error(f, "A", "a");
}

static void
test_replies_that_are_no_success(void **state)
{
    static const char *const replies[] = {
        "{\"status\": \"aborted\"}",
        "{\"status\": \"error\"}",
        "{\"status\": 1, \"ename\": [], \"evalue\": {}}",
        "{}",
        "[\"status\", \"ok\"]",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        begin(f, 0);
        reply(f, replies[i]);
        idle(f);
        expect_done(f, EXECUTION_RAISED);
        expect_error(f, "KernelError", "the kernel did not run the code");
        execution_free(f->x);
        f->n_done = 0;
    }
    f->x = NULL;
}

static void
test_counts_that_are_none(void **state)
{
    static const char *const counts[] = {"-1", "2147483648", "1.0", "\"3\"", "null", "[3]"};
    struct fixture *f = *state;
    char text[100];

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        begin(f, 0);
        snprintf(text, sizeof(text), "{\"status\": \"ok\", \"execution_count\": %s}", counts[i]);
        reply(f, text);
        assert_int_equal(execution_count(f->x), -1);
        execution_free(f->x);
    }
    f->x = NULL;
}

static void
test_states_that_are_not_idle(void **state)
{
    static const char *const states[] = {"{}", "[]", "{\"execution_state\": \"starting\"}",
                                         "{\"execution_state\": 1}", "\"idle\""};
    struct fixture *f = *state;

    begin(f, 0);
    reply_ok(f);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        json_auto_t *content = json_loads(states[i], JSON_DECODE_ANY, NULL);

        execution_iopub(f->x, "status", content);
        assert_int_equal(f->n_done, 0);
    }
}

/* --- the clock --- */

static void
test_time_limit(void **state)
{
    struct fixture *f = *state;

    begin(f, 50);
    assert_true(wait_for_end(f) >= 45);
    expect_done(f, EXECUTION_TIMEOUT);
}

static void
test_time_limit_holds_after_the_reply(void **state)
{
    struct fixture *f = *state;

    begin(f, 50);
    reply_ok(f);
    wait_for_end(f);
    expect_done(f, EXECUTION_TIMEOUT);
}

static void
test_owner_may_free_it_at_the_time_limit(void **state)
{
    struct fixture *f = *state;

    f->free_when_done = true;
    begin(f, 1);
    wait_for_end(f);
    expect_done(f, EXECUTION_TIMEOUT);
}

static void
test_no_time_limit(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED), 0);
}

static void
test_idle_without_a_reply(void **state)
{
    struct fixture *f = *state;

    begin(f, LATE_REPLY_MS / 2);
    iopub(f, "stream", "{\"name\": \"stdout\", \"text\": \"text\"}");
    idle(f);
    assert_true(wait_for_end(f) >= LATE_REPLY_MS * 0.9);
    expect_done(f, EXECUTION_BROKEN);
}

/* A kernel that gets little of the processor has not failed.  Where there is time, it has that time. */
static void
test_a_reply_that_is_very_late(void **state)
{
    struct fixture *f = *state;

    begin(f, PATIENCE_MS);
    idle(f);
    pass_time(f, LATE_REPLY_MS + 500);
    assert_int_equal(f->n_done, 0);
    reply_ok(f);
    expect_done(f, EXECUTION_OK);
}

/* Who waits for it no longer, or had it interrupted, does not wait for so long. */
static void
test_a_late_reply_to_what_was_given_up(void **state)
{
    struct fixture *f = *state;
    const double begun = clock_now();

    begin(f, PATIENCE_MS);
    execution_hasten(f->x, LATE_REPLY_MS / 2);
    idle(f);
    wait_for_end(f);
    expect_done(f, EXECUTION_BROKEN);
    assert_true((clock_now() - begun) * 1e3 < PATIENCE_MS * 0.9);
}

static void
test_a_late_reply_to_nobody(void **state)
{
    struct fixture *f = *state;
    const double begun = clock_now();

    begin(f, PATIENCE_MS);
    execution_unplug(f->x);
    idle(f);
    wait_for_end(f);
    expect_done(f, EXECUTION_BROKEN);
    assert_true((clock_now() - begun) * 1e3 < PATIENCE_MS * 0.9);
}

/* Its time is up, where that comes before what a reply may be late. */
static void
test_a_reply_that_is_too_late(void **state)
{
    struct fixture *f = *state;
    double took;

    begin(f, 2 * LATE_REPLY_MS);
    idle(f);
    took = wait_for_end(f);
    assert_true(took >= 2 * LATE_REPLY_MS * 0.9 && took < PATIENCE_MS * 0.9);
    expect_done(f, EXECUTION_BROKEN);
}

/* Code can publish as many as it likes. */
static void
test_forged_idles_do_not_put_off_the_end(void **state)
{
    struct fixture *f = *state;
    struct timeval pause = {0, LATE_REPLY_MS * 1000 / 4};

    begin(f, LATE_REPLY_MS / 2);
    for (int i = 0; i < 8 && f->n_done == 0; i++) {
        idle(f);
        event_base_loopexit(f->base, &pause);
        event_base_dispatch(f->base);
    }
    expect_done(f, EXECUTION_BROKEN);
}

static void
test_idle_lost(void **state)
{
    struct fixture *f = *state;

    begin(f, 0);
    reply_ok(f);
    execution_idle_lost(f->x);
    expect_done(f, EXECUTION_OK);
    assert_true(output_is_truncated(execution_output(f->x)));
    execution_idle_lost(f->x);
    expect_done(f, EXECUTION_OK);
}

static void
test_idle_lost_before_the_reply(void **state)
{
    struct fixture *f = *state;

    make(f, 0);
    execution_idle_lost(f->x);
    execution_begin(f->x, f->base, "s-1");
    assert_false(output_is_truncated(execution_output(f->x)));
    execution_idle_lost(f->x);
    assert_int_equal(f->n_done, 0);
    reply_ok(f);
    expect_done(f, EXECUTION_OK);
}

static void
test_freed_while_running(void **state)
{
    struct fixture *f = *state;

    begin(f, 20);
    execution_free(f->x);
    f->x = NULL;
    execution_free(NULL);
    pass_time(f, 60);
    assert_int_equal(f->n_done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request),
        TEST(test_silent_request),
        TEST(test_code_is_taken_by_its_length),
        TEST(test_what_it_was_made_with),
        TEST(test_reply_then_idle),
        TEST(test_idle_then_reply),
        TEST(test_one_of_them_twice_is_not_both),
        TEST(test_owner_may_free_it_in_the_callback),
        TEST(test_all_after_the_end_is_ignored),
        TEST(test_all_before_the_beginning_is_ignored),
        TEST(test_raw_output),
        TEST(test_error_of_the_reply),
        TEST(test_error_on_iopub_goes_first),
        TEST(test_replies_that_are_no_success),
        TEST(test_counts_that_are_none),
        TEST(test_states_that_are_not_idle),
        TEST(test_time_limit),
        TEST(test_time_limit_holds_after_the_reply),
        TEST(test_owner_may_free_it_at_the_time_limit),
        TEST(test_no_time_limit),
        TEST(test_idle_without_a_reply),
        TEST(test_a_reply_that_is_very_late),
        TEST(test_a_reply_that_is_too_late),
        TEST(test_a_late_reply_to_what_was_given_up),
        TEST(test_a_late_reply_to_nobody),
        TEST(test_forged_idles_do_not_put_off_the_end),
        TEST(test_idle_lost),
        TEST(test_idle_lost_before_the_reply),
        TEST(test_freed_while_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
