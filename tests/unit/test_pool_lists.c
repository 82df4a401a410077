/* test_pool_lists.c - users and workers in the lists of their states, and what is counted of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "gateway/caller.h"
#include "gateway/kernels.h"
#include "gateway/mem.h"
#include "gateway/pool_lists.h"

static const struct caller master = {.key = ""}, one = {.key = "0123456789ab"},
                           other = {.key = "0123456789ac"};

static struct user *
add_user(struct pool_lists *lists, const struct caller *who, const char *name, enum user_list list)
{
    cleanup_free char *full = user_full_name(who, name);

    return user_new(lists, full, 100, list);
}

static void
users_are_their_callers(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct user *a = add_user(&lists, &one, "alice", WAITING);
    struct user *b = add_user(&lists, &master, "alice", ACTIVE);

    (void)state;
    assert_string_equal(a->name, "0123456789ab/alice");
    assert_string_equal(user_short_name(a), "alice");
    assert_string_equal(b->name, "alice");
    assert_string_equal(user_short_name(b), "alice");
    assert_ptr_equal(user_find(&lists, "0123456789ab/alice"), a);
    assert_ptr_equal(user_find(&lists, "alice"), b);
    assert_null(user_find(&lists, "0123456789ac/alice"));
    assert_true(user_is_of(a, &one));
    assert_false(user_is_of(a, &other));
    assert_false(user_is_of(b, &one));
    user_free(&lists, a);
    assert_null(user_find(&lists, "0123456789ab/alice"));
    user_free(&lists, b);
    assert_int_equal(lists.n_users[WAITING] + lists.n_users[ACTIVE], 0);
}

static void
sessions_are_counted_by_caller(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct user *users[] = {
        add_user(&lists, &one, "waits", WAITING),
        add_user(&lists, &one, "runs", ACTIVE),
        add_user(&lists, &one, "lost", LOST),
        add_user(&lists, &other, "runs", ACTIVE),
    };

    (void)state;
    assert_int_equal(pool_lists_sessions_of(&lists, &one), 2);
    assert_int_equal(pool_lists_sessions_of(&lists, &other), 1);
    user_move(&lists, users[1], LOST);
    assert_int_equal(pool_lists_sessions_of(&lists, &one), 1);
    assert_int_equal(lists.n_users[LOST], 2);
    assert_ptr_equal(lists.user_lists[LOST], users[2]); /* the oldest is the first */
    for (int i = 0; i < 4; i++)
        user_free(&lists, users[i]);
}

/* Whose own worker is being recalled waits for that. */
static void
who_waits_for_any_comes_in_turn(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct member *recalled = member_new(&lists, NULL, 0);
    struct user *a = add_user(&lists, &master, "a", WAITING);
    struct user *b = add_user(&lists, &master, "b", WAITING);
    struct user *c = add_user(&lists, &master, "c", WAITING);

    (void)state;
    a->member = recalled;
    recalled->user = a;
    assert_int_equal(pool_lists_waiting(&lists, NULL), 2);
    assert_ptr_equal(pool_lists_first_waiting(&lists, NULL), b);
    assert_int_equal(pool_lists_coming(&lists, NULL), 0);
    user_move(&lists, b, ACTIVE);
    assert_ptr_equal(pool_lists_first_waiting(&lists, NULL), c);
    user_move(&lists, b, WAITING); /* at the end */
    assert_ptr_equal(pool_lists_first_waiting(&lists, NULL), c);
    user_move(&lists, c, LOST);
    user_move(&lists, b, LOST);
    assert_null(pool_lists_first_waiting(&lists, NULL));
    user_free(&lists, a);
    user_free(&lists, b);
    user_free(&lists, c);
    member_free(&lists, recalled);
}

static void
a_slot_is_free_once_its_worker_is_gone(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct member *m[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pool_lists_free_slot(&lists), i);
        m[i] = member_new(&lists, NULL, i);
        assert_int_equal(m[i]->list, STARTING);
    }
    assert_int_equal(pool_lists_coming(&lists, NULL), 3);
    member_move(&lists, m[0], WARM);
    member_move(&lists, m[1], ASSIGNED);
    assert_int_equal(pool_lists_alive(&lists), 3);
    member_move(&lists, m[1], DYING);
    assert_int_equal(pool_lists_alive(&lists), 2);
    assert_int_equal(pool_lists_coming(&lists, NULL), 1);
    assert_int_equal(pool_lists_free_slot(&lists), 3); /* its ids are in use until it is gone */
    member_free(&lists, m[1]);
    assert_int_equal(pool_lists_free_slot(&lists), 1);
    member_free(&lists, m[0]);
    member_free(&lists, m[2]);
    assert_int_equal(pool_lists_alive(&lists) + lists.n_members[DYING], 0);
}

static void
workers_are_counted_by_kernel(void **state)
{
    static char r_name[] = "r", bash_name[] = "bash";
    struct kernel_kind r = {.name = r_name, .refs = 100}, bash = {.name = bash_name, .refs = 100};
    struct pool_lists lists = {.pool = NULL};
    struct user *u = add_user(&lists, &master, "waits", WAITING);
    struct member *m[] = {member_new(&lists, &r, 0), member_new(&lists, &r, 1),
                          member_new(&lists, &bash, 2)};

    (void)state;
    user_set_kind(u, &r);
    assert_int_equal(pool_lists_waiting(&lists, &r), 1);
    assert_int_equal(pool_lists_waiting(&lists, &bash), 0);
    assert_null(pool_lists_first_waiting(&lists, &bash));
    assert_ptr_equal(pool_lists_first_waiting(&lists, &r), u);
    assert_int_equal(pool_lists_coming(&lists, &r), 2);
    assert_int_equal(pool_lists_coming(&lists, &bash), 1);
    member_move(&lists, m[2], WARM);
    member_move(&lists, m[1], WARM);
    assert_int_equal(pool_lists_warm(&lists, &r), 1);
    assert_int_equal(pool_lists_warm(&lists, NULL), 2);
    assert_ptr_equal(pool_lists_first_warm(&lists, &r), m[1]);
    assert_ptr_equal(pool_lists_first_warm(&lists, NULL), m[2]);
    assert_int_equal(pool_lists_alive_of(&lists, &r), 2);
    member_move(&lists, m[1], DYING);
    assert_int_equal(pool_lists_alive_of(&lists, &r), 1);
    assert_null(pool_lists_first_warm(&lists, &r));
    user_free(&lists, u);
    assert_int_equal(r.refs, 100);
    for (size_t i = 0; i < 3; i++)
        member_free(&lists, m[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_their_callers),
        cmocka_unit_test(sessions_are_counted_by_caller),
        cmocka_unit_test(who_waits_for_any_comes_in_turn),
        cmocka_unit_test(a_slot_is_free_once_its_worker_is_gone),
        cmocka_unit_test(workers_are_counted_by_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
