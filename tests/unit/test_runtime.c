/*
 * test_runtime.c - the runtime with real containers of crun.  The worker in them is this program itself: under that
 * name it runs its boot record as a shell script, as the sandbox user where the record starts with "user:".  What a
 * script finds out comes back as its exit status.  Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <event2/event.h>

#include "child.h"
#include "config.h"
#include "log.h"
#include "ocispec.h"
#include "runtime.h"
#include "worker/protocol.h"

enum { LIMIT_MS = 30000, SKIPPED = 77 };

static char top[] = "/tmp/tci-test-runtime-XXXXXX"; /* holds the state directory and what is mounted */
static char state_dir[64], link_dir[64], empty_dir[64], worker_path[PATH_MAX];

/* --- the worker ----------------------------------------------------------------------------- */

static int
run_as_worker(void)
{
    static char script[8192];
    size_t n = fread(script, 1, sizeof(script) - 1, stdin);
    char *text = script;

    script[n] = '\0';
    if (strncmp(text, "user:", 5) == 0) {
        text += 5;
        if (setgroups(0, NULL) < 0 || setgid(1000) < 0 || setuid(1000) < 0)
            _exit(100);
    }
    execl("/bin/sh", "sh", "-c", text, (char *)NULL);
    _exit(101);
}

/* --- one container as a test sees it --------------------------------------------------------- */

struct box {
    struct event_base *base;
    struct runtime *runtime;
    struct container *container;
    pid_t init;
    int n_started, n_failed, n_exited, n_removed;
    bool destroy_when_started, destroy_when_exited;
    struct container_exit exit;
    struct err err;
};

static void
on_started(void *owner, pid_t init)
{
    struct box *box = owner;

    box->init = init;
    box->n_started++;
    if (box->destroy_when_started)
        container_destroy(box->container);
}

static void
on_start_failed(void *owner, const struct err *err)
{
    struct box *box = owner;

    box->err = *err;
    box->n_failed++;
}

static void
on_exited(void *owner, const struct container_exit *exit)
{
    struct box *box = owner;

    box->exit = *exit;
    box->n_exited++;
    if (box->destroy_when_exited)
        container_destroy(box->container);
}

static void
on_removed(void *owner)
{
    struct box *box = owner;

    assert_int_equal(box->n_removed, 0);
    box->n_removed++;
    box->container = NULL;
}

static const struct container_ops ops = {on_started, on_start_failed, on_exited, on_removed};

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

/* Turns the loop until *count is n; the test fails after LIMIT_MS. */
static void
wait_for(struct event_base *base, const int *count, int n)
{
    const struct timeval tv = {LIMIT_MS / 1000, 0};
    bool late = false;
    struct event *limit = evtimer_new(base, on_limit, &late);

    event_add(limit, &tv);
    while (*count < n && !late)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(limit);
    assert_false(late);
}

static struct container_spec
make_spec(const char *id, const char *script)
{
    struct container_spec spec = {
        .id = id,
        .slot = 3,
        .boot = script,
        .boot_len = strlen(script),
        .cpu = 1.0,
        .memory_mb = 128,
        .disk_mb = 64,
        .pids = 32,
        .kernelspec_dir = empty_dir,
        .skel_dir = empty_dir,
    };

    return spec;
}

static void
start(struct box *box, const char *id, const char *script)
{
    struct container_spec spec = make_spec(id, script);

    box->container = container_start(box->runtime, &spec, &ops, box, &box->err);
    if (box->container == NULL)
        fail_msg("%s", box->err.msg);
    assert_int_equal(box->n_started + box->n_failed, 0);
}

static void
destroy(struct box *box)
{
    container_destroy(box->container);
    wait_for(box->base, &box->n_removed, 1);
}

/* --- fixtures ------------------------------------------------------------------------------- */

static struct runtime *
open_runtime(struct event_base *base)
{
    static struct config config;
    struct err err = ERR_INIT;

    config.state_dir = state_dir;
    config.runtime = (char *)(uintptr_t)"crun";
    struct runtime *rt = runtime_new(base, &config, worker_path, link_dir, &err);
    if (rt == NULL)
        fail_msg("%s", err.msg);
    return rt;
}

static int
set_up(void **state)
{
    struct box *box = xcalloc(1, sizeof(*box));

    box->base = event_base_new();
    box->runtime = open_runtime(box->base);
    *state = box;
    return 0;
}

static int
tear_down(void **state)
{
    struct box *box = *state;

    runtime_free(box->runtime);
    event_base_free(box->base);
    free(box);
    return 0;
}

static int
make_directories(void **state)
{
    ssize_t n = readlink("/proc/self/exe", worker_path, sizeof(worker_path) - 1);

    (void)state;
    if (n < 0 || mkdtemp(top) == NULL || chmod(top, 0711) < 0)
        return -1;
    snprintf(state_dir, sizeof(state_dir), "%s/state", top);
    snprintf(link_dir, sizeof(link_dir), "%s/link", top);
    snprintf(empty_dir, sizeof(empty_dir), "%s/empty", top);
    return mkdir(link_dir, 0711) < 0 || mkdir(empty_dir, 0755) < 0 ? -1 : 0;
}

static int
remove_directories(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

/* --- a container's life --------------------------------------------------------------------- */

static void
test_start_and_destroy(void **state)
{
    struct box *box = *state;

    start(box, "a1", "sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    assert_true(box->init > 1);
    assert_true(runtime_start_ticks(box->init) > 0);
    destroy(box);
    assert_int_equal(box->n_exited, 1);
    assert_int_equal(box->exit.signal, SIGKILL);
    assert_int_equal(kill(box->init, 0), -1);
}

static void
test_exit_status(void **state)
{
    struct box *box = *state;

    start(box, "a2", "exit 7");
    wait_for(box->base, &box->n_exited, 1);
    assert_int_equal(box->n_started, 1);
    assert_true(box->exit.known);
    assert_int_equal(box->exit.code, 7);
    assert_int_equal(box->exit.signal, 0);
    assert_false(box->exit.oom);
    destroy(box);
}

int
main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start_and_destroy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exit_status, set_up, tear_down),
    };

    (void)argc;
    if (strcmp(argv[0], TCI_PATH_WORKER) == 0)
        return run_as_worker();
    if (geteuid() != 0)
        return SKIPPED;
    log_setup(getenv("TCI_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
              LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
