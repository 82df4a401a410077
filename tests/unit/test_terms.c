/* test_terms.c - what a session was asked to be: compared, kept as text with what else is kept of it, and read again. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/kernels.h"
#include "gateway/pool_record.h"
#include "gateway/terms.h"
#include "tests/unit/scratch.h"

static void
differences_are_named(void **state)
{
    struct terms had = {.limits = {1, 100, 50, 20}, .timeout = 5, .idle_timeout = 60};
    struct terms none = {.timeout = 0};
    static const struct {
        const char *field;
        struct terms wished;
    } cases[] = {
        {"limits.cpu", {.limits = {.cpu = 0.5}}},
        {"limits.memory_mb", {.limits = {.memory_mb = 101}}},
        {"limits.disk_mb", {.limits = {.disk_mb = 1}}},
        {"limits.pids", {.limits = {.pids = 21}}},
        {"limits.timeout", {.timeout = 6}},
        {"idle_timeout", {.idle_timeout = 59}},
    };

    (void)state;
    assert_null(terms_differ(&none, &had));
    assert_null(terms_differ(&had, &had));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(terms_differ(&cases[i].wished, &had), cases[i].field);
    none.env = json_pack("{s:s}", "A", "b");
    assert_string_equal(terms_differ(&none, &had), "env");
    had.env = json_pack("{s:s}", "A", "b");
    assert_null(terms_differ(&none, &had));
    json_object_set_new(had.env, "A", json_string("c"));
    assert_string_equal(terms_differ(&none, &had), "env");
    terms_clear(&none);
    terms_clear(&had);
}

static void
some_need_a_container_of_their_own(void **state)
{
    struct terms warm = {.limits = {.cpu = 1, .memory_mb = 100}, .timeout = 5};
    struct terms disk = {.limits = {.disk_mb = 1}}, pids = {.limits = {.pids = 20}};
    struct terms env = {.env = json_pack("{s:s}", "A", "b")};

    (void)state;
    assert_false(terms_need_own(&warm, true));
    assert_true(terms_need_own(&warm, false));
    assert_true(terms_need_own(&disk, true));
    assert_true(terms_need_own(&pids, true));
    assert_true(terms_need_own(&env, true));
    terms_clear(&env);
    assert_false(terms_need_own(&env, true));
}

static void
comes_back_from_text(void **state)
{
    struct terms t = {.limits = {0.5, 100, 50, 20},
                      .timeout = 5.5,
                      .idle_timeout = 60,
                      .expires_ms = 1234567890123,
                      .strategy = TERMS_EXECUTION,
                      .env = json_pack("{s:s}", "A", "b")};
    json_auto_t *saved = terms_save(&t);
    struct terms back = {.timeout = 0}, other = {.timeout = 0};

    (void)state;
    terms_load(&back, saved);
    assert_null(terms_differ(&t, &back));
    assert_null(terms_differ(&back, &t));
    assert_true(back.expires_ms == t.expires_ms);
    assert_int_equal(back.strategy, TERMS_EXECUTION);
    terms_copy(&other, &back);
    terms_clear(&back);
    assert_null(terms_differ(&t, &other));
    terms_clear(&other);
    terms_clear(&t);
}

static void
bears_any_text(void **state)
{
    static const char *const texts[] = {
        "null", "{}", "{\"limits\":1,\"strategy\":\"x\",\"env\":[]}",
        "{\"limits\":{\"cpu\":-1,\"pids\":-5,\"memory_mb\":99999999999,\"disk_mb\":\"x\"}}"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_auto_t *saved = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        struct terms t = {.timeout = 1}, none = {.timeout = 0};

        terms_load(&t, saved);
        assert_null(terms_differ(&t, &none));
        assert_int_equal(t.strategy, TERMS_SESSION);
        terms_clear(&t);
    }
}

/* --- what is kept of a session ------------------------------------------------------------ */

static char top[SCRATCH_PATH];
static struct event_base *base;
static struct kernels *kernels;

static int
set_up(void **state)
{
    cleanup_free char *dir = NULL, *path = NULL;
    struct err err = ERR_INIT;
    FILE *f;

    (void)state;
    if (scratch_make(top) < 0)
        return -1;
    dir = xasprintf("%s/zz-test", top);
    path = xasprintf("%s/kernel.json", dir);
    mkdir(dir, 0755);
    f = fopen(path, "w");
    fputs("{\"argv\": [\"/bin/sh\", \"{connection_file}\"]}", f);
    fclose(f);
    base = event_base_new();
    kernels = kernels_new(base, top, top, "zz-test", &err);
    return kernels ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    kernels_free(kernels);
    event_base_free(base);
    return scratch_remove(top);
}

static void
a_record_comes_back(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct user *u = user_new(&lists, "a", 1000, LOST), *back = user_new(&lists, "b", 2000, LOST);
    cleanup_free char *saved = NULL;

    (void)state;
    user_set_kind(u, kernels_standard(kernels));
    u->kept = true;
    u->executions = 7;
    u->last_used_ms = 1500;
    u->terms.limits.pids = 30;
    for (int i = 0; i < POOL_RECORD_HISTORY + 5; i++) {
        char id[17];

        snprintf(id, sizeof(id), "%016d", i);
        pool_record_began(u, id);
        pool_record_ended(u, "because");
        pool_record_ended(u, "not again");
    }
    pool_record_began(u, "0123456789abcdef");
    saved = pool_record_save(u);
    pool_record_load(back, saved, kernels);
    assert_ptr_equal(back->kind, kernels_standard(kernels));
    assert_true(back->kept);
    assert_false(back->ended);
    assert_int_equal(back->executions, 7);
    assert_int_equal(back->created_ms, 1000);
    assert_int_equal(back->last_used_ms, 1500);
    assert_int_equal(back->terms.limits.pids, 30);
    assert_string_equal(back->container, "0123456789abcdef");
    assert_true(back->container_ms == u->container_ms);
    assert_int_equal(json_array_size(back->history), POOL_RECORD_HISTORY);
    assert_string_equal(json_string_value(json_object_get(json_array_get(back->history, 0), "id")),
                        "0000000000000005");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(back->history, 0), "reason")), "because");
    user_free(&lists, u);
    user_free(&lists, back);
}

static void
an_empty_record_changes_nothing(void **state)
{
    struct pool_lists lists = {.pool = NULL};
    struct user *u = user_new(&lists, "a", 1000, LOST);

    (void)state;
    pool_record_load(u, "{}", kernels);
    pool_record_load(u, "[", kernels);
    assert_int_equal(u->created_ms, 1000);
    assert_null(u->kind);
    assert_false(u->kept);
    assert_string_equal(u->container, "");
    user_free(&lists, u);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_named),
        cmocka_unit_test(some_need_a_container_of_their_own),
        cmocka_unit_test(comes_back_from_text),
        cmocka_unit_test(bears_any_text),
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(an_empty_record_changes_nothing),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
