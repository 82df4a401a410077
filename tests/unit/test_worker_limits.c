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
    assert_int_equal(limits_output(&l, 60), LIMITS_PASS);
    assert_int_equal(limits_room(&l), 40);
    assert_int_equal(limits_output(&l, 40), LIMITS_PASS);
    assert_int_equal(limits_output(&l, 1), LIMITS_TAIL);
    assert_int_equal(limits_output(&l, 0), LIMITS_TAIL);
    assert_int_equal(limits_room(&l), 0);
}

static void
one_large_message_is_cut_and_all_behind_it(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 100, 10, 0);
    assert_int_equal(limits_output(&l, SIZE_MAX), LIMITS_TAIL);
    assert_int_equal(limits_output(&l, 1), LIMITS_TAIL);
}

static void
unused_room_is_taken_once(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 100, 10, 0);
    assert_int_equal(limits_output(&l, 30), LIMITS_PASS);
    assert_int_equal(limits_take_rest(&l), 0); /* still in use */
    assert_int_equal(limits_output(&l, 71), LIMITS_TAIL);
    assert_int_equal(limits_take_rest(&l), 70);
    assert_int_equal(limits_take_rest(&l), 0);
}

static void
messages_are_counted(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, UINT64_MAX, 2, 0);
    assert_int_equal(limits_output(&l, 1), LIMITS_PASS);
    assert_int_equal(limits_output(&l, 1), LIMITS_PASS);
    assert_int_equal(limits_room(&l), 0);
    assert_int_equal(limits_output(&l, 1), LIMITS_TAIL);
}

static void
execute_starts_anew(void **state)
{
    struct limits l;

    (void)state;
    limits_execute(&l, 0, 0, 0);
    assert_int_equal(limits_output(&l, 1), LIMITS_TAIL);
    limits_execute(&l, 10, 1, 0);
    assert_int_equal(limits_output(&l, 1), LIMITS_PASS);
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
    assert_int_equal(limits_output(&l, 1), LIMITS_TAIL);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_passes_up_to_the_limit),
        cmocka_unit_test(one_large_message_is_cut_and_all_behind_it),
        cmocka_unit_test(unused_room_is_taken_once),
        cmocka_unit_test(messages_are_counted),
        cmocka_unit_test(execute_starts_anew),
        cmocka_unit_test(status_passes_when_output_does_not),
        cmocka_unit_test(status_is_given_up_without_end),
        cmocka_unit_test(replies_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
