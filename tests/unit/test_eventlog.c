/* test_eventlog.c - what of the events is kept, and which of them is found by its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/eventlog.h"
#include "gateway/sse.h"

enum { BOUND = 10 * (EVENTLOG_ENTRY_COST + 10) };

static int
setup(void **state)
{
    *state = eventlog_new(BOUND);
    return 0;
}

static int
teardown(void **state)
{
    eventlog_free(*state);
    return 0;
}

static void
add(struct eventlog *log, unsigned n)
{
    while (n-- > 0)
        eventlog_add(log, "stdout", xstrdup("0123456789"), 10);
}

static void
events_are_numbered_from_one(void **state)
{
    struct eventlog *log = *state;
    struct eventlog_entry e;

    assert_int_equal(eventlog_last(log), 0);
    assert_int_equal(eventlog_first(log), 1);
    assert_int_equal(eventlog_get(log, 0, &e), -1);
    assert_int_equal(eventlog_get(log, 1, &e), -1);
    assert_int_equal(eventlog_add(log, "start", xstrdup("{}"), 2), 1);
    assert_int_equal(eventlog_add(log, "end", xstrdup("[1]"), 3), 2);
    assert_int_equal(eventlog_get(log, 2, &e), 0);
    assert_int_equal(e.id, 2);
    assert_string_equal(e.name, "end");
    assert_string_equal(e.data, "[1]");
    assert_int_equal(e.len, 3);
    assert_int_equal(eventlog_get(log, 3, &e), -1);
}

static void
bytes_between_events_are_known(void **state)
{
    struct eventlog *log = *state;

    add(log, 4);
    assert_int_equal(eventlog_bytes(log), 4 * (10 + EVENTLOG_ENTRY_COST));
    assert_int_equal(eventlog_bytes_after(log, 0), eventlog_bytes(log));
    assert_int_equal(eventlog_bytes_after(log, 3), 10 + EVENTLOG_ENTRY_COST);
    assert_int_equal(eventlog_bytes_after(log, 4), 0);
    assert_int_equal(eventlog_bytes_after(log, UINT64_MAX), 0);
}

static void
the_oldest_go_when_there_is_too_much(void **state)
{
    struct eventlog *log = *state;
    struct eventlog_entry e;

    add(log, 1000);
    assert_int_equal(eventlog_first(log), 1); /* not by themselves */
    eventlog_trim(log, UINT64_MAX);
    assert_int_equal(eventlog_bytes(log), BOUND);
    assert_int_equal(eventlog_first(log), 991);
    assert_int_equal(eventlog_get(log, 990, &e), -1);
    assert_int_equal(eventlog_get(log, 991, &e), 0);
    assert_int_equal(eventlog_last(log), 1000);
    assert_int_equal(eventlog_bytes_after(log, 5), BOUND); /* as far as they are there */
}

static void
what_somebody_has_not_got_stays(void **state)
{
    struct eventlog *log = *state;

    add(log, 100);
    eventlog_trim(log, 0);
    assert_int_equal(eventlog_first(log), 1);
    eventlog_trim(log, 40);
    assert_int_equal(eventlog_first(log), 41);
    eventlog_trim(log, 95);
    assert_int_equal(eventlog_first(log), 91);
}

static void
one_that_is_too_large_is_kept_alone(void **state)
{
    struct eventlog *log = *state;

    add(log, 3);
    eventlog_add(log, "display", xnotnull(calloc(1, 2 * BOUND)), 2 * BOUND);
    eventlog_trim(log, UINT64_MAX);
    assert_int_equal(eventlog_first(log), 4);
    assert_int_equal(eventlog_last(log), 4);
    add(log, 1);
    eventlog_trim(log, UINT64_MAX);
    assert_int_equal(eventlog_first(log), 5);
}

static void
accept_is_understood(void **state)
{
    (void)state;
    assert_true(sse_is_accepted("text/event-stream"));
    assert_true(sse_is_accepted("application/json, Text/Event-Stream;q=0.5"));
    assert_true(sse_is_accepted(" text/event-stream ; q=1"));
    assert_false(sse_is_accepted("text/event-stream;q=0"));
    assert_false(sse_is_accepted("text/event-stream;q=0.0,*/*"));
    assert_false(sse_is_accepted("text/event-streams"));
    assert_false(sse_is_accepted("*/*"));
    assert_false(sse_is_accepted(""));
    assert_false(sse_is_accepted(",,"));
    assert_false(sse_is_accepted(NULL));
}

static void
last_event_ids_are_numbers(void **state)
{
    uint64_t id = 7;

    (void)state;
    assert_true(sse_last_id("123456789012345678", &id));
    assert_int_equal(id, 123456789012345678);
    assert_true(sse_last_id("0", &id));
    assert_int_equal(id, 0);
    assert_false(sse_last_id(NULL, &id));
    assert_false(sse_last_id("", &id));
    assert_false(sse_last_id("-1", &id));
    assert_false(sse_last_id("1 ", &id));
    assert_false(sse_last_id("1234567890123456789", &id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_numbered_from_one),           TEST(bytes_between_events_are_known),
        TEST(the_oldest_go_when_there_is_too_much),   TEST(what_somebody_has_not_got_stays),
        TEST(one_that_is_too_large_is_kept_alone),    cmocka_unit_test(accept_is_understood),
        cmocka_unit_test(last_event_ids_are_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
