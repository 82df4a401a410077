/* test_runtime.c - a container's life, and that of gateways around it; runtime_box.h says how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <event2/event.h>

#include "runtime.h"
#include "smallfile.h"
#include "tests/unit/runtime_box.h"

/* --- a container's life --------------------------------------------------------------------- */

static void
test_start_and_destroy(void **state)
{
    struct box *box = *state;

    start(box, "a1", "sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    assert_true(box->init > 1);
    assert_true(runtime_start_ticks(box->init) > 0);
    assert_false(container_was_oom(box->container));
    container_destroy(box->container);
    assert_int_equal(box->n_exited + box->n_removed, 0);
    destroy(box);
    assert_int_equal(box->n_exited, 1);
    assert_int_equal(box->exit.signal, SIGKILL);
    assert_int_equal(kill(box->init, 0), -1);
    assert_nothing_left(box->runtime);
}

static void
test_exit_status(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, "exit 7"), 7);
    assert_false(box->exit.oom);
    assert_int_equal(run(box, "exit 0"), 0);
    assert_nothing_left(box->runtime);
}

static void
test_killed_from_outside(void **state)
{
    struct box *box = *state;

    start(box, "a3", "sleep 1000 & sleep 1000 & wait");
    wait_for(box->base, &box->n_started, 1);
    kill(box->init, SIGKILL);
    wait_for(box->base, &box->n_exited, 1);
    assert_int_equal(box->exit.signal, SIGKILL);
    assert_false(box->exit.oom);
    destroy(box);
    assert_int_equal(box->n_exited, 1);
    assert_nothing_left(box->runtime);
}

static void
test_destroyed_at_once(void **state)
{
    struct box *box = *state;

    start(box, "a4", "sleep 1000");
    container_destroy(box->container);
    destroy(box);
    assert_int_equal(box->n_started + box->n_failed + box->n_exited, 0);
    assert_nothing_left(box->runtime);
}

static void
test_destroyed_while_starting(void **state)
{
    struct box *box = *state;

    for (int ms = 1; ms < 40; ms += 6) {
        start(box, "a5", "sleep 1000");
        settle(box->base, ms);
        destroy(box);
        assert_nothing_left(box->runtime);
    }
}

static void
test_destroyed_in_callbacks(void **state)
{
    struct box *box = *state;

    box->destroy_when_started = true;
    start(box, "a6", "sleep 1000");
    wait_for(box->base, &box->n_removed, 1);
    box->destroy_when_started = false;
    box->destroy_when_exited = true;
    start(box, "a6", "exit 1");
    wait_for(box->base, &box->n_removed, 1);
    assert_nothing_left(box->runtime);
}

static void
test_start_fails(void **state)
{
    struct box *box = *state;
    struct container_spec spec = make_spec("a7", "exit 0");

    spec.kernelspec_dir = "/nonexistent";
    box->container = container_start(box->runtime, &spec, &box_ops, box, &box->err);
    assert_non_null(box->container);
    wait_for(box->base, &box->n_failed, 1);
    assert_int_equal(box->err.code, ERR_SYSTEM);
    if (is_crun()) /* runsc's gofer tells its log what is missing, and nobody else */
        assert_non_null(strstr(box->err.msg, "nonexistent"));
    destroy(box);
    assert_int_equal(box->n_started + box->n_exited, 0);
    assert_nothing_left(box->runtime);
}

/* One more each time, until there are enough: whatever none is left for, nothing stays of the attempt. */
static void
test_few_descriptors(void **state)
{
    struct box *box = *state;
    const struct container_spec spec = make_spec("a7", "exit 0");
    struct rlimit limit, less;
    int n_failed = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    less = limit;
    box->n_removed = 0;
    for (less.rlim_cur = 3;; less.rlim_cur++) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
        box->container = container_start(box->runtime, &spec, &box_ops, box, &box->err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (box->container != NULL)
            break;
        n_failed++;
        assert_non_null(strstr(box->err.msg, "Too many open files"));
        assert_nothing_left(box->runtime);
    }
    assert_true(n_failed >= 3);
    destroy(box);
}

static void
test_same_name_twice(void **state)
{
    struct box *box = *state;
    struct container_spec spec = make_spec("a8", "exit 0");
    struct err err = ERR_INIT;

    start(box, "a8", "sleep 1000");
    assert_null(container_start(box->runtime, &spec, &box_ops, box, &err));
    assert_int_equal(err.code, ERR_SYSTEM);
    wait_for(box->base, &box->n_started, 1);
    destroy(box);
    assert_nothing_left(box->runtime);
}

/* --- gateways that come and go -------------------------------------------------------------- */

static void
test_adopt(void **state)
{
    struct box *box = *state;

    start(box, "b1", "sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    unsigned long long ticks = runtime_start_ticks(box->init);
    reopen(box);
    char **ids = runtime_list(box->runtime);
    assert_string_equal(ids[0], "b1");
    assert_null(ids[1]);
    free(ids[0]);
    free(ids);
    assert_null(
        container_adopt(box->runtime, "b1", box->init, ticks + 1, &box_ops, box, &box->err));
    assert_null(container_adopt(box->runtime, "../b1", box->init, ticks, &box_ops, box, &box->err));
    box->container =
        container_adopt(box->runtime, "b1", box->init, ticks, &box_ops, box, &box->err);
    assert_non_null(box->container);
    if (is_crun())
        kill(box->init, SIGTERM); /* which an init without a handler does not get */
    settle(box->base, 50);
    assert_int_equal(box->n_exited, 0);
    kill(box->init, SIGKILL);
    wait_for(box->base, &box->n_exited, 1);
    assert_int_equal(box->n_started, 1);
    destroy(box);
    assert_nothing_left(box->runtime);
    assert_null(container_adopt(box->runtime, "b1", box->init, ticks, &box_ops, box, &box->err));
}

static void
test_remove_what_nobody_owns(void **state)
{
    struct box *box = *state;
    struct err err = ERR_INIT;

    start(box, "b2", "sleep 1000 & sleep 1000 & wait");
    wait_for(box->base, &box->n_started, 1);
    reopen(box);
    assert_int_equal(runtime_remove(box->runtime, "b2", &err), 0);
    assert_nothing_left(box->runtime);
    assert_int_equal(runtime_remove(box->runtime, "b2", &err), 0);
    assert_int_equal(runtime_remove(box->runtime, "../state", &err), -1);
    settle(box->base, 20);
    assert_int_equal(count_zombies(), 0);
}

static void
test_remove_remains(void **state)
{
    struct box *box = *state;
    struct err err = ERR_INIT;
    char path[128];

    snprintf(path, sizeof(path), "%s/containers/b3", state_dir);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/b4", state_dir, program);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/b5_sandbox:b5.state", state_dir, program);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    snprintf(path, sizeof(path), "%s/%s/b4/status", state_dir, program);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    char **ids = runtime_list(box->runtime);
    int n = 0;
    for (char **id = ids; *id != NULL; id++, n++) {
        assert_int_equal(runtime_remove(box->runtime, *id, &err), 0);
        free(*id);
    }
    free(ids);
    assert_int_equal(n, 3);
    assert_nothing_left(box->runtime);
}

/* A gateway of its own that starts containers until it is killed. */
static void
be_a_gateway(struct box *parent)
{
    struct box box = {0};
    char id[16];

    event_reinit(
        parent->base); /* before it is freed: the kernel's part is shared with the parent */
    runtime_free(parent->runtime);
    event_base_free(parent->base);
    box.base = event_base_new();
    box.runtime = open_runtime(box.base);
    for (int i = 0; i < 4; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        start(&box, id, "sleep 1000");
    }
    event_base_dispatch(box.base);
    _exit(0);
}

static void
test_gateway_killed_while_starting(void **state)
{
    struct box *box = *state;

    for (int ms = 2; ms < 100; ms += 9) {
        const struct timespec pause = {0, ms * 1000000L};
        struct err err = ERR_INIT;
        pid_t gateway = fork();

        if (gateway == 0)
            be_a_gateway(box);
        nanosleep(&pause, NULL);
        kill(gateway, SIGKILL);
        waitpid(gateway, NULL, 0);
        char **ids = runtime_list(box->runtime);
        for (char **id = ids; *id != NULL; id++) {
            if (runtime_remove(box->runtime, *id, &err) < 0)
                fail_msg("%s", err.msg);
            free(*id);
        }
        free(ids);
        settle(box->base, 30);
        assert_nothing_left(box->runtime);
    }
    assert_int_equal(count_zombies(), 0);
}

/* --- accidents ------------------------------------------------------------------------------ */

static int
kill_if_helper(pid_t pid)
{
    char path[64], text[64];

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    smallfile_read(path, text, sizeof(text));
    if (strcmp(text, program) == 0)
        kill(pid, SIGKILL);
    return 0;
}

/* In whatever it is doing. */
static void
kill_helper(void)
{
    each_child(kill_if_helper);
}

static void
test_helper_killed_while_starting(void **state)
{
    struct box *box = *state;

    for (int ms = 1; ms < 40; ms += 3) {
        start(box, "d1", "sleep 1000");
        settle(box->base, ms);
        kill_helper();
        while (box->n_started + box->n_failed == 0)
            event_base_loop(box->base, EVLOOP_ONCE);
        destroy(box);
        assert_nothing_left(box->runtime);
    }
    settle(box->base, 20);
    assert_int_equal(count_zombies(), 0);
}

static void
test_helper_killed_while_deleting(void **state)
{
    struct box *box = *state;

    for (int ms = 1; ms < 8; ms++) {
        start(box, "d2", "sleep 1000");
        wait_for(box->base, &box->n_started, 1);
        container_destroy(box->container);
        settle(box->base, ms);
        kill_helper();
        destroy(box);
        assert_nothing_left(box->runtime);
    }
}

/* --- many ----------------------------------------------------------------------------------- */

enum { N_MANY = 50 };

static void
run_many(struct box *boxes, int n)
{
    char id[16];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "e%d", i);
        start(&boxes[i], id, "sleep 1000");
    }
    for (int i = 0; i < n; i++)
        wait_for(boxes[i].base, &boxes[i].n_started, 1);
    for (int i = 0; i < n; i++)
        container_destroy(boxes[i].container);
    for (int i = 0; i < n; i++)
        wait_for(boxes[i].base, &boxes[i].n_removed, 1);
}

static void
test_many_leave_nothing(void **state)
{
    struct box *box = *state;
    struct box *boxes = xcalloc(N_MANY, sizeof(*boxes));

    for (int i = 0; i < N_MANY; i++) {
        boxes[i].base = box->base;
        boxes[i].runtime = box->runtime;
    }
    run_many(boxes, 2);
    settle(box->base, 20);
    struct traces before = look_for_traces(box->runtime);
    run_many(boxes, N_MANY);
    settle(box->base, 50);
    struct traces after = look_for_traces(box->runtime);
    assert_int_equal(count_zombies(), 0);
    assert_int_equal(after.fds, before.fds);
    assert_int_equal(after.mounts, before.mounts);
    assert_nothing_left(box->runtime);
    free(boxes);
}

int
main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_start_and_destroy),
        TEST(test_exit_status),
        TEST(test_killed_from_outside),
        TEST(test_destroyed_at_once),
        TEST(test_destroyed_while_starting),
        TEST(test_destroyed_in_callbacks),
        TEST(test_start_fails),
        TEST(test_few_descriptors),
        TEST(test_same_name_twice),
        TEST(test_adopt),
        TEST(test_remove_what_nobody_owns),
        TEST(test_remove_remains),
        TEST(test_gateway_killed_while_starting),
        TEST(test_helper_killed_while_starting),
        TEST(test_helper_killed_while_deleting),
        TEST(test_many_leave_nothing),
    };
    const int status = begin(argv);

    (void)argc;
    return status ? status : cmocka_run_group_tests(tests, make_directories, remove_directories);
}
