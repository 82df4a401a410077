/* test_worker_limits.c - the counters of what one execution may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/limits.h"

static void
output_passes_up_to_the_limit(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 100, 10, 0);
    assert_int_equal(limits_output(&l, 60, 0), LIMITS_PASS);
    assert_int_equal(limits_room(&l), 40);
    assert_int_equal(limits_output(&l, 40, 0), LIMITS_PASS);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
    assert_int_equal(limits_output(&l, 0, 0), LIMITS_TAIL);
    assert_int_equal(limits_room(&l), 0);
}

static void
one_large_message_is_cut_and_all_behind_it(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 100, 10, 0);
    assert_int_equal(limits_output(&l, SIZE_MAX, 0), LIMITS_TAIL);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
}

static void
one_message_has_a_limit(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 1000, 10, 0);
    l.message_bytes = 100;
    assert_int_equal(limits_output(&l, 100, 0), LIMITS_PASS);
    assert_int_equal(limits_output(&l, 101, 0), LIMITS_TAIL);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
    assert_int_equal(limits_take_rest(&l), 0); /* the tail does not grow by it */
    assert_int_equal(limits_reply(&l, 100 + LIMITS_REPLY_EXTRA, 0), LIMITS_PASS);
    limits_execute(&l, (uint64_t)LIMITS_REPLY_EXTRA * 10, 10, 0);
    l.message_bytes = 100;
    assert_int_equal(limits_reply(&l, 101 + LIMITS_REPLY_EXTRA, 0), LIMITS_GIVE_UP);
    limits_execute(&l, 1000, 10, 0);
    assert_int_equal(limits_output(&l, 1000, 0), LIMITS_PASS); /* again without */
}

static void
unused_room_is_taken_once(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 100, 10, 0);
    assert_int_equal(limits_output(&l, 30, 0), LIMITS_PASS);
    assert_int_equal(limits_take_rest(&l), 0); /* still in use */
    assert_int_equal(limits_output(&l, 71, 0), LIMITS_TAIL);
    assert_int_equal(limits_take_rest(&l), 70);
    assert_int_equal(limits_take_rest(&l), 0);
}

static void
messages_are_counted(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, UINT64_MAX, 2, 0);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_PASS);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_PASS);
    assert_int_equal(limits_room(&l), 0);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
}

static void
execute_starts_anew(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 0, 0, 0);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
    limits_execute(&l, 10, 1, 0);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_PASS);
}

static unsigned
count_statuses(struct limits *l, int64_t now)
{
    unsigned n = 0;

    while (limits_status(l, now) == LIMITS_PASS)
        n++;
    return n;
}

static void
status_passes_when_output_does_not(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 0, 0, 0);
    assert_int_equal(limits_output(&l, 1, 0), LIMITS_TAIL);
    assert_int_equal(limits_status(&l, 0), LIMITS_PASS);
}

static void
status_is_given_up_without_end(void **state)
{
    struct limits l;

    (void)state;
    limits_init(&l, 1000);
    assert_int_equal(count_statuses(&l, 1000), LIMITS_ALLOWANCE);
    assert_int_equal(count_statuses(&l, 2000), LIMITS_PER_SECOND);
    limits_request(&l);
    assert_int_equal(count_statuses(&l, 2000), LIMITS_PER_REQUEST);
    limits_execute(&l, 0, 0, 2000);
    assert_int_equal(count_statuses(&l, 2000), LIMITS_ALLOWANCE);
    assert_int_equal(count_statuses(&l, INT64_MAX), LIMITS_ALLOWANCE);
}

static void
replies_are_bounded(void **state)
{
    struct limits l;
    unsigned n = 0;

    (void)state;
    limits_execute(&l, 1000, 1, 0);
    assert_int_equal(limits_reply(&l, 1000 + LIMITS_REPLY_EXTRA, 0), LIMITS_PASS);
    assert_int_equal(limits_reply(&l, 1, 0), LIMITS_GIVE_UP);
    limits_execute(&l, UINT64_MAX, 1, 0);
    while (limits_reply(&l, 1, 0) == LIMITS_PASS)
        n++;
    assert_int_equal(n, LIMITS_ALLOWANCE);
}

/* How many pieces of that size are read in one second of time that passes only while reading pauses. */
static unsigned
read_in_a_second(struct limits *l, size_t size)
{
    int64_t now = 5000;
    unsigned n = 0;

    for (; now < 6000; n++) {
        assert_int_equal(limits_output(l, size, now), LIMITS_TAIL);
        now = l->resume_ms > now ? l->resume_ms : now;
    }
    return n;
}

static void
output_over_the_limit_is_read_slowly(void **state)
{
    const size_t size = 1 << 20;
    struct limits l;

    (void)state;
    limits_execute(&l, 0, 0, 0);
    assert_in_range(read_in_a_second(&l, 1), LIMITS_OVER_PER_SECOND - LIMITS_OVER_BURST_MS,
                    LIMITS_OVER_PER_SECOND + LIMITS_OVER_BURST_MS);
    limits_execute(&l, 0, 0, 0);
    assert_in_range(read_in_a_second(&l, size) * size, 1000 * (LIMITS_OVER_BYTES_PER_MS - 1024),
                    1000 * LIMITS_OVER_BYTES_PER_MS + 2 * size);
}

static void
nothing_pauses_within_the_limit(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, UINT64_MAX, UINT32_MAX, 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(limits_output(&l, 1 << 20, 0), LIMITS_PASS);
    assert_int_equal(l.resume_ms, 0);
}

static void
the_next_execution_does_not_wait_for_the_last(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 0, 0, 0);
    assert_int_equal(limits_output(&l, 1 << 30, 0), LIMITS_TAIL);
    assert_true(l.resume_ms > 1000);
    limits_execute(&l, 0, 0, 0);
    assert_int_equal(l.resume_ms, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_passes_up_to_the_limit),
        cmocka_unit_test(one_large_message_is_cut_and_all_behind_it),
        cmocka_unit_test(one_message_has_a_limit),
        cmocka_unit_test(unused_room_is_taken_once),
        cmocka_unit_test(messages_are_counted),
        cmocka_unit_test(execute_starts_anew),
        cmocka_unit_test(status_passes_when_output_does_not),
        cmocka_unit_test(status_is_given_up_without_end),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(output_over_the_limit_is_read_slowly),
        cmocka_unit_test(nothing_pauses_within_the_limit),
        cmocka_unit_test(the_next_execution_does_not_wait_for_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
