/*
 * test_runtime.c - the runtime with real containers, of crun or of what TCI_TEST_RUNTIME names.  The worker in them is
 * this program itself: under that name it runs its boot record as a shell script, as the sandbox user where the record
 * starts with "user:".  What a script finds out comes back as its exit status.  Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <event2/event.h>

#include "child.h"
#include "config.h"
#include "log.h"
#include "ocispec.h"
#include "runtime.h"
#include "smallfile.h"
#include "tests/unit/scratch.h"
#include "worker/protocol.h"

enum { LIMIT_MS = 30000, SKIPPED = 77 };

static char top[SCRATCH_PATH]; /* holds the state directory and what is mounted */
static char platform[] = "", crun[] = "crun";
static char *program; /* TCI_TEST_RUNTIME: which runtime is tested, crun by default */
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

static bool
is_crun(void)
{
    return strcmp(program, crun) == 0;
}

static void
only_crun(const char *reason)
{
    if (is_crun())
        return;
    print_message("not with %s: %s\n", program, reason);
    skip();
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
        .memory_mb = is_crun() ? 128 : 256, /* gVisor's own is part of it */
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

    box->n_started = box->n_failed = box->n_exited = box->n_removed = 0;
    memset(&box->exit, 0, sizeof(box->exit));
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
    config.runtime = program;
    config.runsc_platform = platform;
    const struct runtime_paths paths = {worker_path, link_dir, NULL, NULL, NULL};
    struct runtime *rt = runtime_new(base, &config, &paths, &err);
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
    if (n < 0 || scratch_make(top) < 0 || chmod(top, 0711) < 0)
        return -1;
    snprintf(state_dir, sizeof(state_dir), "%s/state", top);
    snprintf(link_dir, sizeof(link_dir), "%s/link", top);
    snprintf(empty_dir, sizeof(empty_dir), "%s/empty", top);
    return mkdir(link_dir, 0711) < 0 || mkdir(empty_dir, 0755) < 0 ? -1 : 0;
}

static int
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

static int
count_lines(const char *path)
{
    FILE *f = fopen(path, "re");
    int n = 0;

    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

/* Calls visit for each child of this process and adds up what it returns. */
static int
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

static int
count_zombies(void)
{
    return each_child(is_zombie);
}

struct traces {
    int fds, mounts, bundles, notes, containers;
};

static struct traces
look_for_traces(struct runtime *rt)
{
    char path[128];
    struct traces t = {.fds = count_entries("/proc/self/fd"),
                       .mounts = count_lines("/proc/self/mountinfo")};
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

static void
assert_nothing_left(struct runtime *rt)
{
    struct traces t = look_for_traces(rt);

    assert_int_equal(t.containers, 0); /* in none of the cgroup hierarchies either */
    assert_int_equal(t.bundles, 0);
    assert_int_equal(t.notes, 0);
}

static void
settle(struct event_base *base, int ms)
{
    const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    event_base_loopexit(base, &tv);
    event_base_dispatch(base);
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
    assert_false(container_was_oom(box->container));
    container_destroy(box->container);
    assert_int_equal(box->n_exited + box->n_removed, 0);
    destroy(box);
    assert_int_equal(box->n_exited, 1);
    assert_int_equal(box->exit.signal, SIGKILL);
    assert_int_equal(kill(box->init, 0), -1);
    assert_nothing_left(box->runtime);
}

/* Runs the script to its end in a container and gives its exit status. */
static int
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
    box->container = container_start(box->runtime, &spec, &ops, box, &box->err);
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
        box->container = container_start(box->runtime, &spec, &ops, box, &box->err);
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
    assert_null(container_start(box->runtime, &spec, &ops, box, &err));
    assert_int_equal(err.code, ERR_SYSTEM);
    wait_for(box->base, &box->n_started, 1);
    destroy(box);
    assert_nothing_left(box->runtime);
}

/* --- limits --------------------------------------------------------------------------------- */

static void
test_memory_limit(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, "exec python3 -c 'x = b\"x\" * (300 << 20)'"), 128 + SIGKILL);
    assert_true(box->exit.oom);
    /* A process that is not init dies alone. */
    start(box, "a9", "python3 -c 'x = b\"x\" * (300 << 20)'; sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    for (int i = 0; i < 200 && !container_was_oom(box->container); i++)
        settle(box->base, 50);
    assert_true(container_was_oom(box->container));
    destroy(box);
    assert_true(box->exit.oom);
}

static void
test_process_limit(void **state)
{
    struct box *box = *state;

    only_crun("it leaves that to the worker, which this program is not");
    assert_int_equal(run(box, "user:exec python3 -c '\n"
                              "import os, time\n"
                              "n = 0\n"
                              "try:\n"
                              "  while n < 200:\n"
                              "    if os.fork() == 0: time.sleep(60)\n"
                              "    n += 1\n"
                              "except BlockingIOError: os._exit(n)\n"
                              "os._exit(0)'"),
                     31);
}

static void
test_file_system_limits(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, "user:dd if=/dev/zero of=/workspace/x bs=1M count=60 || exit 1\n"
                              "dd if=/dev/zero of=/workspace/x bs=1M count=70 && exit 2\n"
                              "dd if=/dev/zero of=/tmp/x bs=1M count=20 && exit 3\n"
                              "dd if=/dev/zero of=/home/sandbox/x bs=1M count=20 && exit 4\n"
                              "dd if=/dev/zero of=/run/kernel/x bs=1M count=2 && exit 5\n"
                              "dd if=/dev/zero of=/dev/shm/x bs=1M count=70 && exit 6\n"
                              "exit 0"),
                     0);
}

static void
test_inode_limit(void **state)
{
    struct box *box = *state;

    only_crun("gVisor's tmpfs counts bytes only; its inodes are in the memory limit");
    assert_int_equal(run(box, "user:cd /tmp; exec python3 -c '\n"
                              "try:\n"
                              "  for n in range(100000): open(str(n), \"w\").close()\n"
                              "except OSError: raise SystemExit(42)'"),
                     42);
}

static void
test_processor_limit(void **state)
{
    struct box *box = *state;
    only_crun("its processes are not told of the time in which the limit stopped them");
    struct container_spec spec = make_spec("a10", "exec python3 -c '\n"
                                                  "import time\n"
                                                  "end = time.monotonic() + 2\n"
                                                  "while time.monotonic() < end: pass\n"
                                                  "raise SystemExit(int(time.process_time() * "
                                                  "50))'");

    spec.cpu = 0.25;
    box->container = container_start(box->runtime, &spec, &ops, box, &box->err);
    assert_non_null(box->container);
    wait_for(box->base, &box->n_exited, 1);
    assert_in_range(box->exit.code, 1, 40); /* 0.5 s of 2, and what the start took */
    destroy(box);
}

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
    box->container = container_start(box->runtime, &spec, &ops, box, &box->err);
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

/* --- the sandbox ---------------------------------------------------------------------------- */

static void
test_ordinary_programs_work(void **state)
{
    struct box *box = *state;

    assert_int_equal(
        run(box,
            "user:cd /workspace; export HOME=/home/sandbox; cat > x.py << 'END'\n"
            "import asyncio, multiprocessing, os, pty, socket, sqlite3, ssl, subprocess\n"
            "import tempfile, threading, time\n"
            "if __name__ == '__main__':\n"
            "    threads = [threading.Thread(target=time.sleep, args=(0,)) for _ in range(8)]\n"
            "    [t.start() for t in threads]; [t.join() for t in threads]\n"
            "    for how in 'fork', 'spawn', 'forkserver':\n"
            "        with multiprocessing.get_context(how).Pool(2) as pool:\n"
            "            assert pool.map(abs, [-1, 2]) == [1, 2]\n"
            "    out = subprocess.run('echo a | tr a b', shell=True, capture_output=True)\n"
            "    assert out.stdout == b'b\\n'\n"
            "    assert asyncio.run(asyncio.sleep(0, 5)) == 5\n"
            "    assert os.cpu_count() >= 1 and len(os.sched_getaffinity(0)) >= 1\n"
            "    pid, fd = pty.fork()\n"
            "    if pid == 0: os.execvp('tty', ['tty'])\n"
            "    assert os.read(fd, 99).startswith(b'/dev/pts/')\n"
            "    a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
            "    s = socket.create_server(('127.0.0.1', 0)); "
            "socket.create_connection(s.getsockname())\n"
            "    assert 'localhost' in socket.gethostbyaddr('127.0.0.1')\n"
            "    assert os.getcwd() == '/workspace' and tempfile.gettempdir() == '/tmp'\n"
            "    assert open('/proc/self/status', 'rb').read()\n"
            "    import pwd; assert pwd.getpwuid(os.getuid()).pw_name == 'sandbox'\n"
            "    os.mkfifo('f'); os.symlink('f', 'g'); os.link('f', 'h')\n"
            "END\n"
            "exec python3 x.py"),
        0);
}

static void
test_plots_have_wide_glyphs(void **state)
{
    struct box *box = *state;

    if (access("/usr/lib/python3/dist-packages/matplotlib", F_OK) < 0)
        skip();
    assert_int_equal(
        run(box, "user:cd /workspace; export HOME=/home/sandbox; exec python3 -W error -c '\n"
                 "import numpy, pandas, matplotlib\n"
                 "matplotlib.use(\"Agg\")\n"
                 "import matplotlib.pyplot as plt\n"
                 "assert numpy.linalg.inv(numpy.eye(50)).shape == (50, 50)\n"
                 "assert pandas.DataFrame({\"a\": [1, 2]}).a.sum() == 3\n"
                 "plt.title(\"\\u4f60\\u597d \\u65e5\\u672c\\u8a9e\")\n"
                 "plt.savefig(\"x.png\")'"),
        0);
}

#define TRY_TO_WRITE                                                                               \
    "cd /; for d in / /usr /usr/bin /etc /etc/skel /kernelspec /run /var /var/lib /home /opt "     \
    "/root /srv /sys; do\n"                                                                        \
    "  if true > $d/new; then exit 1; fi\n"                                                        \
    "done 2> /dev/null\n"                                                                          \
    "if echo 1 > /proc/sys/vm/drop_caches; then exit 2; fi 2> /dev/null\n"                         \
    "if [ -e /etc/shadow ]; then exit 3; fi\n"                                                     \
    "if ls /sys/* 2> /dev/null; then exit 4; fi\n"                                                 \
    "[ -z \"$(cat /proc/kallsyms /proc/keys /proc/kmsg)\" ] || exit 6\n"                           \
    "exit 0"

static void
test_nothing_to_write_outside(void **state)
{
    struct box *box = *state;

    assert_int_equal(run(box, TRY_TO_WRITE), 0);
    assert_int_equal(run(box, "user:" TRY_TO_WRITE), 0);
}

static void
test_link_is_for_the_worker_alone(void **state)
{
    struct box *box = *state;
    char path[128];

    snprintf(path, sizeof(path), "%s/" TCI_PATH_LINK_SOCKET, link_dir);
    assert_true(close(open(path, O_CREAT | O_WRONLY, 0666)) == 0);
    assert_int_equal(run(box, "test -e " TCI_PATH_LINK_DIR "/" TCI_PATH_LINK_SOCKET), 0);
    assert_int_equal(run(box, "user:test -e " TCI_PATH_LINK_DIR "/" TCI_PATH_LINK_SOCKET), 1);
    assert_int_equal(run(box, "user:test -e " TCI_PATH_LINK_DIR), 1);
    unlink(path);
}

static void
test_dangerous_calls_are_refused(void **state)
{
    struct box *box = *state;

    only_crun("calls are answered by the container's own kernel, not by a list");
    const char *script =
        "import ctypes, errno, socket\n"
        "c = ctypes.CDLL(None, use_errno=True)\n"
        "def check(name, wanted, *args):\n"
        "    ctypes.set_errno(0)\n"
        "    rc = getattr(c, name)(*[ctypes.c_long(a) for a in args])\n"
        "    assert rc == -1 and ctypes.get_errno() == wanted, (name, rc, ctypes.get_errno())\n"
        "for flag in 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, "
        "0x40000000:\n"
        "    check(\"unshare\", errno.EPERM, flag)\n"
        "    check(\"clone\", errno.EINVAL, 0, 0, 0, 0)\n"
        "check(\"mount\", errno.EPERM, 0, 0, 0, 0, 0)\n"
        "check(\"setns\", errno.EPERM, 0, 0)\n"
        "check(\"ptrace\", errno.EPERM, 0, 0, 0, 0)\n"
        "check(\"process_vm_readv\", errno.EPERM, 1, 0, 0, 0, 0, 0)\n"
        "check(\"reboot\", errno.EPERM, 0)\n"
        "check(\"personality\", errno.ENOSYS, 8)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x5412, 0)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x100005412, 0)\n"
        "check(\"ioctl\", errno.ENOSYS, 0, 0x541c, 0)\n"
        "for number in 425, 426, 427:\n"
        "    check(\"syscall\", errno.ENOSYS, number, 1, 0, 0)\n"
        "for family in 16, 17, 38, 40:\n"
        "    try: socket.socket(family, socket.SOCK_RAW, 9)\n"
        "    except OSError as e: assert e.errno in (errno.ENOSYS, errno.EOPNOTSUPP), (family, e)\n"
        "    else: raise AssertionError(family)\n"
        "for family in socket.AF_INET, socket.AF_INET6:\n"
        "    try: socket.socket(family, socket.SOCK_RAW, 1)\n"
        "    except OSError as e: assert e.errno == errno.ENOSYS, (family, e)\n"
        "    else: raise AssertionError(family)\n"
        "s = socket.socket()\n"
        "s.settimeout(2)\n"
        "try: s.connect((\"192.0.2.1\", 80))\n"
        "except OSError as e: assert e.errno == errno.ENETUNREACH, e\n"
        "else: raise AssertionError()\n";
    char text[4096];

    snprintf(text, sizeof(text), "user:exec python3 -c '%s'", script);
    assert_int_equal(run(box, text), 0);
}

static void
test_host_ids(void **state)
{
    struct box *box = *state;
    struct stat st;
    char path[64];

    start(box, "a11", "sleep 1000");
    wait_for(box->base, &box->n_started, 1);
    snprintf(path, sizeof(path), "/proc/%d", (int)box->init);
    assert_int_equal(stat(path, &st), 0);
    /* Its own root on the host, or nobody at all, unless the kernel calls it not dumpable: then the host's. */
    if (st.st_uid != 0)
        assert_int_equal(st.st_uid, is_crun() ? OCISPEC_FIRST_ID + 3 * OCISPEC_IDS : 65534);
    destroy(box);
}

static void
test_state_directory_must_be_passable(void **state)
{
    const struct runtime_paths paths = {worker_path, link_dir, NULL, NULL, NULL};
    struct config config = {.state_dir = state_dir, .runtime = program, .runsc_platform = platform};
    struct box *box = *state;
    struct err err = ERR_INIT;

    assert_int_equal(chmod(top, 0700), 0);
    assert_null(runtime_new(box->base, &config, &paths, &err));
    assert_int_equal(chmod(top, 0711), 0);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.field, "state_dir");
    assert_non_null(strstr(err.msg, top));
    char other[] = "no-such-runtime";
    config.runtime = other;
    assert_null(runtime_new(box->base, &config, &paths, &err));
    assert_string_equal(err.field, "runtime");
}

/* --- gateways that come and go -------------------------------------------------------------- */

static void
reopen(struct box *box)
{
    runtime_free(box->runtime);
    box->container = NULL;
    box->runtime = open_runtime(box->base);
}

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
    assert_null(container_adopt(box->runtime, "b1", box->init, ticks + 1, &ops, box, &box->err));
    assert_null(container_adopt(box->runtime, "../b1", box->init, ticks, &ops, box, &box->err));
    box->container = container_adopt(box->runtime, "b1", box->init, ticks, &ops, box, &box->err);
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
    assert_null(container_adopt(box->runtime, "b1", box->init, ticks, &ops, box, &box->err));
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
    box->container = container_adopt(box->runtime, "b6", box->init, ticks, &ops, box, &box->err);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(test_memory_limit),
        TEST(test_process_limit),
        TEST(test_file_system_limits),
        TEST(test_inode_limit),
        TEST(test_processor_limit),
        TEST(test_lowered_and_lifted),
        TEST(test_not_below_what_is_used),
        TEST(test_file_cache_makes_room),
        TEST(test_lifted_while_lowering),
        TEST(test_lowered_memory_bites),
        TEST(test_lowered_processor_bites),
        TEST(test_ordinary_programs_work),
        TEST(test_plots_have_wide_glyphs),
        TEST(test_nothing_to_write_outside),
        TEST(test_link_is_for_the_worker_alone),
        TEST(test_dangerous_calls_are_refused),
        TEST(test_host_ids),
        TEST(test_state_directory_must_be_passable),
        TEST(test_adopt),
        TEST(test_adopt_and_lift),
        TEST(test_remove_what_nobody_owns),
        TEST(test_remove_remains),
        TEST(test_gateway_killed_while_starting),
        TEST(test_helper_killed_while_starting),
        TEST(test_helper_killed_while_deleting),
        TEST(test_many_leave_nothing),
    };

    (void)argc;
    if (strcmp(argv[0], TCI_PATH_WORKER) == 0)
        return run_as_worker();
    if (geteuid() != 0)
        return SKIPPED;
    program = getenv("TCI_TEST_RUNTIME");
    if (program == NULL)
        program = crun;
    log_setup(getenv("TCI_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
              LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
