/* test_runtime_limits.c - less for one execution, in a container; runtime_box.h says how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "runtime.h"
#include "smallfile.h"
#include "tests/unit/runtime_box.h"

/* --- limits of an execution ----------------------------------------------------------------- */

#define MB(n) ((unsigned long long)(n) << 20)

/* The container's group in the hierarchy of a controller of version 1, or, where that is mounted, of version 2. */
static void
group_of(const struct box *box, const char *controller, bool *v2, char *path, size_t size)
{
    char file[64], text[4096], *save = NULL;

    snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)box->init);
    smallfile_read(file, text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':') + 1, *group = strchr(controllers, ':');

        *group++ = '\0';
        *v2 = *controllers == '\0';
        snprintf(path, size, "/sys/fs/cgroup/%s%s", *v2 ? "" : controller, group);
        for (char *words = NULL, *word = strtok_r(controllers, ",", &words); word;
             word = strtok_r(NULL, ",", &words))
            if (strcmp(word, controller) == 0)
                return;
    }
    assert_true(*v2);
}

/* The number behind a word in the group's file of either version; without a word the first one. */
static unsigned long long
group_number(const struct box *box, const char *controller, const char *v1_file,
             const char *v2_file, const char *word)
{
    char group[256], path[320], text[4096];
    bool v2 = false;

    group_of(box, controller, &v2, group, sizeof(group));
    snprintf(path, sizeof(path), "%s/%s", group, v2 ? v2_file : v1_file);
    assert_true(smallfile_read(path, text, sizeof(text)) > 0);
    const char *at = word == NULL ? text : strstr(text, word);
    assert_non_null(at);
    return strtoull(at + (word == NULL ? 0 : strlen(word)), NULL, 10);
}

static unsigned long long
memory_limit(const struct box *box)
{
    return group_number(box, "memory", "memory.limit_in_bytes", "memory.max", NULL);
}

static unsigned long long
memory_used(const struct box *box)
{
    return group_number(box, "memory", "memory.usage_in_bytes", "memory.current", NULL);
}

static unsigned long long
processor_quota(const struct box *box)
{
    return group_number(box, "cpu", "cpu.cfs_quota_us", "cpu.max", NULL);
}

struct limited {
    int n;
    struct err err;
};

static void
on_limited(void *owner, const struct err *err)
{
    struct limited *limited = owner;

    limited->n++;
    if (err != NULL)
        limited->err = *err;
}

static int
limit(struct box *box, double cpu, unsigned memory_mb, struct limited *limited)
{
    const struct allowance to = {cpu, memory_mb};

    memset(limited, 0, sizeof(*limited));
    return container_limit(box->container, &to, on_limited, limited, &limited->err);
}

/* ... until the limits hold. */
static void
limit_now(struct box *box, double cpu, unsigned memory_mb)
{
    struct limited limited;

    if (limit(box, cpu, memory_mb, &limited) == 0)
        wait_for(box->base, &limited.n, 1);
    if (limited.err.code != ERR_NONE)
        fail_msg("%s", limited.err.msg);
}

static void
start_with(struct box *box, const char *id, unsigned memory_mb, const char *script)
{
    struct container_spec spec = make_spec(id, script);

    spec.memory_mb = memory_mb;
    box->n_started = box->n_failed = box->n_exited = box->n_removed = 0;
    memset(&box->exit, 0, sizeof(box->exit));
    box->container = container_start(box->runtime, &spec, &box_ops, box, &box->err);
    assert_non_null(box->container);
    wait_for(box->base, &box->n_started, 1);
}

static void
wait_for_memory(const struct box *box, unsigned mb)
{
    for (int i = 0; i < LIMIT_MS / 50 && memory_used(box) < MB(mb); i++)
        settle(box->base, 50);
    assert_true(memory_used(box) >= MB(mb));
}

static void
test_lowered_and_lifted(void **state)
{
    struct box *box = *state;
    bool lowered;

    start_with(box, "f1", 512, "sleep 1000");
    limit_now(box, 0.25, 200);
    assert_int_equal(processor_quota(box), 25000);
    assert_int_equal(memory_limit(box), MB(200));
    assert_int_equal(container_memory_mb(box->container, &lowered), 200);
    assert_true(lowered);
    limit_now(box, 0.5, 0); /* what is not said stays as it is */
    assert_int_equal(memory_limit(box), MB(200));
    container_unlimit(box->container);
    assert_int_equal(processor_quota(box), 100000);
    assert_int_equal(memory_limit(box), MB(512));
    container_unlimit(box->container);
    container_prefer(box->container);
    container_defer(box->container);
    assert_int_equal(processor_quota(box), 100000);
    destroy(box);
    assert_nothing_left(box->runtime);
}

static void
test_not_below_what_is_used(void **state)
{
    struct box *box = *state;
    struct limited limited;

    start_with(box, "f2", 512,
               "exec python3 -c 'import time; x = b\"x\" * (100 << 20); time.sleep(1000)'");
    wait_for_memory(box, 100);
    assert_int_equal(limit(box, 0.5, 90, &limited), -1);
    assert_int_equal(limited.err.code, ERR_CONFLICT);
    assert_string_equal(limited.err.field, "memory_mb");
    assert_int_equal(memory_limit(box), MB(512));
    assert_int_equal(processor_quota(box), 100000);
    settle(box->base, 50);
    assert_int_equal(box->n_exited + limited.n, 0);
    destroy(box);
}

/* A file that is in no memory yet, so that whoever reads it pays for it. */
static void
make_cold_file(const char *path, unsigned mb)
{
    static char block[1 << 20];
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    for (unsigned i = 0; i < mb; i++)
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
}

static void
test_file_cache_makes_room(void **state)
{
    struct box *box = *state;
    struct limited limited;
    char path[128];

    only_crun("it may keep what it has read in its own memory");
    snprintf(path, sizeof(path), "%s/cold", empty_dir);
    make_cold_file(path, 200);
    start_with(box, "f3", 512, "cat /kernelspec/cold > /dev/null; sleep 1000");
    wait_for_memory(box, 190);
    assert_int_equal(limit(box, 0, 64, &limited), 0);
    wait_for(box->base, &limited.n, 1);
    unlink(path);
    if (limited.err.code != ERR_NONE)
        fail_msg("%s", limited.err.msg);
    assert_int_equal(memory_limit(box), MB(64));
    assert_true(memory_used(box) <= MB(64));
    container_unlimit(box->container);
    assert_int_equal(memory_limit(box), MB(512));
    assert_false(container_was_oom(box->container));
    destroy(box);
}

static void
test_lifted_while_lowering(void **state)
{
    struct box *box = *state;
    struct limited limited;

    start_with(box, "f4", 512, "sleep 1000");
    assert_int_equal(limit(box, 0.5, (unsigned)(memory_used(box) >> 20) + 20, &limited), 0);
    container_unlimit(box->container);
    assert_int_equal(processor_quota(box), 100000);
    destroy(box);
    assert_int_equal(limited.n, 0);
    /* The end of the container under the helper. */
    start_with(box, "f4", 512, "sleep 1000");
    assert_int_equal(limit(box, 0.5, (unsigned)(memory_used(box) >> 20) + 20, &limited), 0);
    kill(box->init, SIGKILL);
    wait_for(box->base, &box->n_exited, 1);
    container_unlimit(box->container);
    destroy(box);
    assert_true(limited.n <= 1);
    settle(box->base, 50);
    assert_int_equal(count_zombies(), 0);
    assert_nothing_left(box->runtime);
}

/* Takes memory when it is told to.  An init gets no signal for which it has no handler. */
static void
take_memory(struct box *box)
{
    for (int i = 0; i < LIMIT_MS / 50 && box->n_exited == 0; i++) {
        kill(box->init, SIGUSR1);
        settle(box->base, 50);
    }
    assert_int_equal(box->n_exited, 1);
}

#define TAKE_WHEN_TOLD                                                                             \
    "trap 'exec python3 -c \"x = b\\\"x\\\" * (150 << 20)\"' USR1; while :; do sleep 0.02; done"

static void
test_lowered_memory_bites(void **state)
{
    struct box *box = *state;

    only_crun("signals to the sandbox are not for the program in it");
    start_with(box, "f5", 256, TAKE_WHEN_TOLD);
    limit_now(box, 0, 100);
    take_memory(box);
    assert_int_equal(box->exit.signal, SIGKILL);
    assert_true(box->exit.oom);
    destroy(box);
    start_with(box, "f5", 256, TAKE_WHEN_TOLD);
    limit_now(box, 0, 100);
    container_unlimit(box->container);
    take_memory(box);
    assert_int_equal(box->exit.signal, 0);
    assert_int_equal(box->exit.code, 0);
    destroy(box);
}

/* In microseconds, by the kernel's account. */
static unsigned long long
processor_time(const struct box *box)
{
    char group[256];
    bool v2 = false;

    group_of(box, "cpu", &v2, group, sizeof(group));
    return v2 ? group_number(box, "cpu", "", "cpu.stat", "usage_usec ")
              : group_number(box, "cpuacct", "cpuacct.usage", "", NULL) / 1000;
}

static unsigned long long
periods(const struct box *box)
{
    return group_number(box, "cpu", "cpu.stat", "cpu.stat", "nr_periods ");
}

/* Of the time in which it wanted the processor, which the kernel counts in periods of 100 ms. */
static double
cores_used(struct box *box, unsigned long long n)
{
    settle(box->base, 200);
    unsigned long long began = periods(box), time = processor_time(box);
    for (int i = 0; i < LIMIT_MS / 50 && periods(box) < began + n; i++)
        settle(box->base, 50);
    double used = (double)(processor_time(box) - time) / 1e5 / (double)(periods(box) - began);
    print_message("%.3f cores\n", used);
    return used;
}

static void
test_lowered_processor_bites(void **state)
{
    struct box *box = *state;

    start_with(box, "f6", 256, "while :; do :; done & while :; do :; done");
    container_prefer(box->container);
    limit_now(box, 0.2, 0);
    assert_true(cores_used(box, 20) < 0.26);
    container_defer(box->container); /* which is about who goes first, not about how much */
    limit_now(box, 0.1, 0);
    assert_true(cores_used(box, 10) < 0.16);
    container_prefer(box->container);
    container_unlimit(box->container);
    for (int tries = 0; cores_used(box, 10) <= 0.3; tries++) /* others may use the machine */
        assert_true(tries < 60);
    destroy(box);
}

/* What an earlier gateway had lowered, by the limits that the container was made with. */
static void
test_adopt_and_lift(void **state)
{
    struct box *box = *state;
    bool lowered;

    start_with(box, "b6", 512, "sleep 1000");
    limit_now(box, 0.25, 200);
    unsigned long long ticks = runtime_start_ticks(box->init);
    reopen(box);
    box->container =
        container_adopt(box->runtime, "b6", box->init, ticks, &box_ops, box, &box->err);
    assert_non_null(box->container);
    assert_int_equal(memory_limit(box), MB(200));
    container_unlimit(box->container);
    assert_int_equal(memory_limit(box), MB(512));
    assert_int_equal(processor_quota(box), 100000);
    assert_int_equal(container_memory_mb(box->container, &lowered), 512);
    assert_false(lowered);
    limit_now(box, 0.5, 200);
    assert_int_equal(memory_limit(box), MB(200));
    destroy(box);
    assert_nothing_left(box->runtime);
}

int
main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_lowered_and_lifted),    TEST(test_not_below_what_is_used),
        TEST(test_file_cache_makes_room), TEST(test_lifted_while_lowering),
        TEST(test_lowered_memory_bites),  TEST(test_lowered_processor_bites),
        TEST(test_adopt_and_lift),
    };
    const int status = begin(argv);

    (void)argc;
    return status ? status : cmocka_run_group_tests(tests, make_directories, remove_directories);
}
