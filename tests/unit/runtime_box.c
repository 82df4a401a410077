/* runtime_box.c - see runtime_box.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <event2/event.h>

#include "config.h"
#include "log.h"
#include "runtime.h"
#include "smallfile.h"
#include "tests/unit/runtime_box.h"
#include "tests/unit/scratch.h"
#include "worker/protocol.h"

enum { SKIPPED = 77 };

char *program, top[SCRATCH_PATH], state_dir[64], link_dir[64], empty_dir[64], worker_path[PATH_MAX],
    platform[] = "";

static char crun[] = "crun";

/* --- the worker ----------------------------------------------------------------------------- */

static void __attribute__((noreturn)) run_as_worker(void)
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

const struct container_ops box_ops = {on_started, on_start_failed, on_exited, on_removed};

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

bool
is_crun(void)
{
    return strcmp(program, crun) == 0;
}

void
only_crun(const char *reason)
{
    if (is_crun())
        return;
    print_message("not with %s: %s\n", program, reason);
    skip();
}

/* Turns the loop until *count is n; the test fails after LIMIT_MS. */
void
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

struct container_spec
make_spec(const char *id, const char *script)
{
    struct container_spec spec = {
        .id = id,
        .slot = 3,
        .boot = script,
        .boot_len = strlen(script),
        .cpu = 1.0,
        .memory_mb = is_crun() ? 128 : 256, /* gVisor's own is part of it */
        .disk_mb = 64,
        .pids = 32,
        .kernelspec_dir = empty_dir,
        .skel_dir = empty_dir,
    };

    return spec;
}

void
start(struct box *box, const char *id, const char *script)
{
    struct container_spec spec = make_spec(id, script);

    box->n_started = box->n_failed = box->n_exited = box->n_removed = 0;
    memset(&box->exit, 0, sizeof(box->exit));
    box->container = container_start(box->runtime, &spec, &box_ops, box, &box->err);
    if (box->container == NULL)
        fail_msg("%s", box->err.msg);
    assert_int_equal(box->n_started + box->n_failed, 0);
}

void
destroy(struct box *box)
{
    container_destroy(box->container);
    wait_for(box->base, &box->n_removed, 1);
}

/* --- fixtures ------------------------------------------------------------------------------- */

struct runtime *
open_runtime(struct event_base *base)
{
    static struct config config;
    struct err err = ERR_INIT;

    config.state_dir = state_dir;
    config.runtime = program;
    config.runsc_platform = platform;
    const struct runtime_paths paths = {worker_path, link_dir, NULL, NULL, NULL};
    struct runtime *rt = runtime_new(base, &config, &paths, &err);
    if (rt == NULL)
        fail_msg("%s", err.msg);
    return rt;
}

int
set_up(void **state)
{
    struct box *box = xcalloc(1, sizeof(*box));

    box->base = event_base_new();
    box->runtime = open_runtime(box->base);
    *state = box;
    return 0;
}

int
tear_down(void **state)
{
    struct box *box = *state;

    runtime_free(box->runtime);
    event_base_free(box->base);
    free(box);
    return 0;
}

int
make_directories(void **state)
{
    ssize_t n = readlink("/proc/self/exe", worker_path, sizeof(worker_path) - 1);

    (void)state;
    if (n < 0 || scratch_make(top) < 0 || chmod(top, 0711) < 0)
        return -1;
    snprintf(state_dir, sizeof(state_dir), "%s/state", top);
    snprintf(link_dir, sizeof(link_dir), "%s/link", top);
    snprintf(empty_dir, sizeof(empty_dir), "%s/empty", top);
    return mkdir(link_dir, 0711) < 0 || mkdir(empty_dir, 0755) < 0 ? -1 : 0;
}

int
remove_directories(void **state)
{
    (void)state;
    return scratch_remove(top);
}

/* --- nothing is left ------------------------------------------------------------------------ */

static int
count_entries(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int n = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* Of and in the state directory: other programs of this host mount and unmount meanwhile. */
static int
count_mounts(void)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[8192];
    int n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        n += strstr(line, state_dir) != NULL;
    fclose(f);
    return n;
}

/* Calls visit for each child of this process and adds up what it returns. */
int
each_child(int visit(pid_t))
{
    char path[64], text[4096], *save = NULL;
    int sum = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    smallfile_read(path, text, sizeof(text));
    for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        sum += visit(smallfile_pid(word));
    return sum;
}

static int
is_zombie(pid_t pid)
{
    char path[64], text[512];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    smallfile_read(path, text, sizeof(text));
    return strstr(text, ") Z ") != NULL;
}

int
count_zombies(void)
{
    return each_child(is_zombie);
}

struct traces
look_for_traces(struct runtime *rt)
{
    char path[128];
    struct traces t = {.fds = count_entries("/proc/self/fd"), .mounts = count_mounts()};
    char **ids = runtime_list(rt);

    for (char **id = ids; *id != NULL; id++) {
        t.containers++;
        free(*id);
    }
    free(ids);
    snprintf(path, sizeof(path), "%s/containers", state_dir);
    t.bundles = count_entries(path);
    snprintf(path, sizeof(path), "%s/%s", state_dir, program);
    t.notes = count_entries(path);
    return t;
}

void
assert_nothing_left(struct runtime *rt)
{
    struct traces t = look_for_traces(rt);

    assert_int_equal(t.containers, 0); /* in none of the cgroup hierarchies either */
    assert_int_equal(t.bundles, 0);
    assert_int_equal(t.notes, 0);
}

void
settle(struct event_base *base, int ms)
{
    const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    event_base_loopexit(base, &tv);
    event_base_dispatch(base);
}

/* Runs the script to its end in a container and gives its exit status. */
int
run(struct box *box, const char *script)
{
    start(box, "run", script);
    while (box->n_failed == 0 && box->n_exited == 0)
        event_base_loop(box->base, EVLOOP_ONCE);
    if (box->n_failed > 0)
        fail_msg("%s", box->err.msg);
    destroy(box);
    assert_true(box->exit.known);
    return box->exit.signal != 0 ? 128 + box->exit.signal : box->exit.code;
}

void
reopen(struct box *box)
{
    runtime_free(box->runtime);
    box->container = NULL;
    box->runtime = open_runtime(box->base);
}

int
begin(char **argv)
{
    if (strcmp(argv[0], TCI_PATH_WORKER) == 0)
        run_as_worker();
    if (geteuid() != 0)
        return SKIPPED;
    program = getenv("TCI_TEST_RUNTIME");
    if (program == NULL)
        program = crun;
    log_setup(getenv("TCI_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
              LOG_FORMAT_TEXT);
    return 0;
}
