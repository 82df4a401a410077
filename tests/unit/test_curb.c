/*
 * test_curb.c - limits lowered for a while.  The groups are plain directories, as in test_cgroup; what Linux makes of the
 * numbers is tested by test_runtime.
 */
#include "cgroup.c" // NOLINT(bugprone-suspicious-include): a host of either version is made here

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <event2/event.h>

#include "curb.h"
#include "tests/unit/scratch.h"

#define MB(n) ((unsigned long long)(n) << 20)

static const struct allowance own = {.cpu = 2, .memory_mb = 1000};

struct world {
    char base_dir[SCRATCH_PATH];
    char top[96]; /* in it: version 1 knows a hierarchy by its name */
    struct event_base *base;
    struct cgroup_host *host;
    struct curb *curb;
    int n_done;
    struct err err;
};

static void
put(const struct world *world, const char *name, const char *text)
{
    cleanup_free char *path = xasprintf("%s/tci-0/a/%s", world->top, name);
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void
put_number(const struct world *world, const char *name, unsigned long long n)
{
    cleanup_free char *text = xasprintf("%llu\n", n);

    put(world, name, text);
}

static void
check(const struct world *world, const char *name, const char *expected)
{
    cleanup_free char *path = xasprintf("%s/tci-0/a/%s", world->top, name);
    char text[64];

    smallfile_read(path, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void
check_number(const struct world *world, const char *name, unsigned long long n)
{
    cleanup_free char *text = xasprintf("%llu", n);

    check(world, name, text);
}

/* The files in which limits are, empty: unlike the kernel's they keep what is not written over. */
static void
empty(const struct world *world)
{
    static const char *const v1[] = {"cpu.cfs_quota_us", "memory.limit_in_bytes",
                                     "memory.memsw.limit_in_bytes"};
    static const char *const v2[] = {"cpu.max", "memory.max", "memory.high"};

    for (size_t i = 0; i < 3; i++)
        put(world, world->host->v2 ? v2[i] : v1[i], "");
}

static int
make_world(void **state, bool v2)
{
    struct world *world = xcalloc(1, sizeof(*world));
    struct cgroup_host *host = xcalloc(1, sizeof(*host));

    *state = world;
    if (scratch_make(world->base_dir) < 0)
        return -1;
    snprintf(world->top, sizeof(world->top), "%s/cpu,memory", world->base_dir);
    host->root = xstrdup(world->top);
    host->v2 = v2;
    host->swap = true;
    snprintf(host->parent, sizeof(host->parent), "tci-0");
    host->hierarchies[host->n_hierarchies++] = xstrdup(world->top);
    host->memory = host->hierarchies[0];
    cleanup_free char *group = xasprintf("%s/tci-0/a", world->top);
    cleanup_free char *parent = xasprintf("%s/tci-0", world->top);
    if (mkdir(world->top, 0755) < 0 || mkdir(parent, 0755) < 0 || mkdir(group, 0755) < 0)
        return -1;
    world->base = event_base_new();
    world->host = host;
    world->curb = curb_new(world->base, host, "a", &own);
    empty(world);
    return 0;
}

static int
make_v1(void **state)
{
    return make_world(state, false);
}

static int
make_v2(void **state)
{
    return make_world(state, true);
}

static int
remove_world(void **state)
{
    struct world *world = *state;
    int rc = scratch_remove(world->base_dir);

    curb_free(world->curb);
    host_free(world->host);
    event_base_free(world->base);
    free(world);
    return rc;
}

static void
on_done(void *owner, const struct err *err)
{
    struct world *world = owner;

    world->n_done++;
    if (err != NULL)
        world->err = *err;
}

static int
set(struct world *world, double cpu, unsigned memory_mb)
{
    const struct allowance to = {cpu, memory_mb};

    memset(&world->err, 0, sizeof(world->err));
    world->n_done = 0;
    return curb_set(world->curb, &to, on_done, world, &world->err);
}

/* used and cache in MiB. */
static void
use(const struct world *world, unsigned used, unsigned cache)
{
    cleanup_free char *stat = xasprintf("cache 1\ninactive_anon 5\ninactive_file %llu\n"
                                        "active_file %llu\nunevictable 0\ntotal_active_file 99\n",
                                        MB(cache) / 2, MB(cache) / 2);

    put_number(world, world->host->v2 ? "memory.current" : "memory.usage_in_bytes", MB(used));
    put(world, "memory.stat", stat);
}

static void
check_memory(const struct world *world, unsigned mb)
{
    if (world->host->v2) {
        check_number(world, "memory.max", MB(mb));
    } else {
        check_number(world, "memory.limit_in_bytes", MB(mb));
        check_number(world, "memory.memsw.limit_in_bytes", MB(mb));
    }
}

/* "": it has not been written. */
static void
check_quota(const struct world *world, const char *quota)
{
    cleanup_free char *both = xasprintf("%s%s", quota, *quota != '\0' ? " 100000" : "");

    check(world, world->host->v2 ? "cpu.max" : "cpu.cfs_quota_us", world->host->v2 ? both : quota);
}

static void
test_at_once(void **state)
{
    struct world *world = *state;
    bool lowered;

    use(world, 60, 0);
    assert_int_equal(set(world, 0.2, 200), 1);
    check_quota(world, "20000");
    check_memory(world, 200);
    assert_int_equal(curb_memory_mb(world->curb, &lowered), 200);
    assert_true(lowered);
    empty(world);
    curb_lift(world->curb);
    check_quota(world, "200000");
    check_memory(world, 1000);
    assert_int_equal(curb_memory_mb(world->curb, &lowered), 1000);
    assert_false(lowered);
    event_base_dispatch(world->base);
    assert_int_equal(world->n_done, 0);
}

/* What is not lowered is not written, and nothing is ever raised. */
static void
test_only_what_is_lowered(void **state)
{
    struct world *world = *state;

    use(world, 60, 0);
    assert_int_equal(set(world, 2.5, 1001), 1);
    assert_int_equal(set(world, 2, 1000), 1);
    check_quota(world, "");
    check(world, world->host->v2 ? "memory.max" : "memory.limit_in_bytes", "");
    assert_int_equal(set(world, 0, 300), 1);
    check_memory(world, 300);
    curb_lift(world->curb);
    empty(world);
    assert_int_equal(set(world, 0.001, 0), 1);
    check_quota(world, "1000");
    check(world, world->host->v2 ? "memory.max" : "memory.limit_in_bytes", "");
}

static void
test_uses_more(void **state)
{
    struct world *world = *state;

    use(world, 150, 20);
    assert_int_equal(set(world, 1, 129), -1);
    assert_int_equal(world->err.code, ERR_CONFLICT);
    assert_string_equal(world->err.field, "memory_mb");
    assert_non_null(strstr(world->err.msg, "130 MiB"));
    check_quota(world, "200000"); /* the processor's was lowered before */
    check_memory(world, 1000);
}

/* Near to what is used, and below where the rest is cache, a helper writes. */
static void
test_by_a_helper(void **state)
{
    struct world *world = *state;

    use(world, 80, 0);
    assert_int_equal(set(world, 0.5, 100), 0);
    assert_int_equal(world->n_done, 0);
    check_quota(world, "50000");
    event_base_dispatch(world->base);
    assert_int_equal(world->n_done, 1);
    assert_int_equal(world->err.code, ERR_NONE);
    check_memory(world, 100);
    if (world->host->v2)
        check(world, "memory.high", "max");
}

static void
test_lifted_under_way(void **state)
{
    struct world *world = *state;

    use(world, 80, 0);
    assert_int_equal(set(world, 0.5, 100), 0);
    curb_lift(world->curb);
    assert_int_equal(set(world, 0, 500), -1);
    assert_int_equal(world->err.code, ERR_NO_WORKER);
    event_base_dispatch(world->base);
    assert_int_equal(world->n_done, 0);
    check_memory(world, 1000); /* the helper wrote later than curb_lift did */
    empty(world);
    assert_int_equal(set(world, 0, 500), 1);
    check_memory(world, 500);
}

/* As where the gateway was killed, and its helper with it. */
static void
test_v2_left_high(void **state)
{
    struct world *world = *state;

    put(world, "memory.high", "100"); /* a plain file keeps what is longer than what is written */
    curb_lift(world->curb);
    check(world, "memory.high", "max");
    check_memory(world, 1000);
}

/* The cache is there on paper only: nothing is freed by writing to a file. */
static void
test_v2_cannot_be_freed(void **state)
{
    struct world *world = *state;

    use(world, 150, 100);
    assert_int_equal(set(world, 0.5, 100), 0);
    event_base_dispatch(world->base);
    assert_int_equal(world->n_done, 1);
    assert_int_equal(world->err.code, ERR_CONFLICT);
    assert_string_equal(world->err.field, "memory_mb");
    assert_non_null(strstr(world->err.msg, "150 MiB"));
    check(world, "memory.high", "max");
    check_memory(world, 1000);
    check_quota(world, "200000");
}

static void
test_without_swap(void **state)
{
    struct world *world = *state;
    cleanup_free char *memsw = xasprintf("%s/tci-0/a/memory.memsw.limit_in_bytes", world->top);

    world->host->swap = false;
    assert_int_equal(unlink(memsw), 0);
    use(world, 60, 0);
    assert_int_equal(set(world, 0, 200), 1);
    check_number(world, "memory.limit_in_bytes", MB(200));
    put(world, "memory.limit_in_bytes", "");
    assert_int_equal(set(world, 0, 90), 0);
    event_base_dispatch(world->base);
    assert_int_equal(world->n_done, 1);
    assert_int_equal(world->err.code, ERR_NONE);
    check_number(world, "memory.limit_in_bytes", MB(90));
    assert_int_equal(access(memsw, F_OK), -1);
}

static void
remove_group(const struct world *world)
{
    cleanup_free char *group = xasprintf("%s/tci-0/a", world->top);

    assert_int_equal(scratch_remove(group), 0);
}

static void
test_no_group(void **state)
{
    struct world *world = *state;

    remove_group(world);
    assert_int_equal(set(world, 1, 0), -1);
    assert_int_equal(world->err.code, ERR_NO_WORKER);
    assert_int_equal(set(world, 0, 100), -1);
    assert_int_equal(world->err.code, ERR_NO_WORKER);
    curb_lift(world->curb);
}

/* A container of which nothing is known could not be given back what it had. */
static void
test_own_limits_unknown(void **state)
{
    static const struct allowance none;
    struct world *world = *state;
    struct curb *curb = curb_new(world->base, world->host, "a", &none);
    struct err err = ERR_INIT;
    bool lowered;

    curb_lift(curb);
    check_quota(world, "");
    assert_int_equal(curb_set(curb, &own, on_done, world, &err), -1);
    assert_int_equal(err.code, ERR_NO_WORKER);
    assert_int_equal(curb_memory_mb(curb, &lowered), 0);
    assert_false(lowered);
    curb_free(curb);
}

#define V1(name) cmocka_unit_test_setup_teardown(name, make_v1, remove_world)
#define V2(name) cmocka_unit_test_setup_teardown(name, make_v2, remove_world)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        V1(test_at_once),
        V2(test_at_once),
        V1(test_only_what_is_lowered),
        V2(test_only_what_is_lowered),
        V1(test_uses_more),
        V2(test_uses_more),
        V1(test_by_a_helper),
        V2(test_by_a_helper),
        V1(test_lifted_under_way),
        V2(test_lifted_under_way),
        V2(test_v2_left_high),
        V2(test_v2_cannot_be_freed),
        V1(test_without_swap),
        V1(test_no_group),
        V2(test_no_group),
        V2(test_own_limits_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
