/*
 * spawn.c - see spawn.h.
 *
 * The child does all of it itself, after it has given up root wherever it can: what it writes is
 * the sandbox user's, and nothing there can make root write elsewhere.  Between fork and exec it
 * does little but system calls.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "protocol.h"
#include "skel.h"
#include "textfile.h"
#include "wipe.h"

enum { START_TIMEOUT_MS = 20000 };

/* What the child reports when it cannot go on; nothing is reported by a successful exec. */
struct failure {
    int error;
    char step[60];
};

/*
 * Not part of the container's config.json, or not alone: see gateway/ocispec.c.  Of a core file of one byte there is nothing,
 * and no program of the host is run for it.
 */
static const struct {
    int resource;
    rlim_t most; /* bytes, signals */
} limits[] = {
    {RLIMIT_CORE, 1},
    {RLIMIT_MEMLOCK, 64 << 10},
    {RLIMIT_MSGQUEUE, 64 << 10},
    {RLIMIT_SIGPENDING, 1024},
};

/* Descriptors of one start. */
struct plumbing {
    int null;
    int out[2], err[2]; /* the kernel's descriptors 1 and 2 */
    int report[2];      /* carries a struct failure */
};

static void __attribute__((noreturn)) child_fail(int report, const char *step)
{
    struct failure f = {.error = errno};

    strncpy(f.step, step, sizeof(f.step) - 1);
    _exit(write(report, &f, sizeof(f)) == (ssize_t)sizeof(f) ? 127 : 126);
}

static int
default_signals(void)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &standard, NULL); /* fails for those that cannot be changed anyway */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The kernel is the one to go when memory is short, so that the worker lives to tell. */
static int
prefer_for_oom(void)
{
    return textfile_write("/proc/self/oom_score_adj", 0, 0, "1000");
}

static int
drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    return (int)syscall(SYS_capset, &header, none);
}

/*
 * Without CAP_SETPCAP the bounding set stays as the runtime made it; no_new_privs makes it useless.
 */
static void
empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static const char *
become_user(const struct launch *l)
{
    empty_bounding_set();
    if (setgroups(0, NULL) < 0)
        return "setgroups";
    if (setresgid(l->gid, l->gid, l->gid) < 0)
        return "setresgid";
    if (setresuid(l->uid, l->uid, l->uid) < 0)
        return "setresuid";
    if (drop_capabilities() < 0)
        return "capset";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return "no_new_privs";
    /* Outside of a pid namespace nothing else ends the kernel when the worker is killed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return "pdeathsig";
    return NULL;
}

/* Linux lets everybody lower his own; gVisor, which knows no such queues, refuses to hear of some of them. */
static int
limit_resources(void)
{
    struct rlimit limit;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (getrlimit(limits[i].resource, &limit) < 0)
            return -1;
        if (limit.rlim_max > limits[i].most)
            limit.rlim_max = limits[i].most;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(limits[i].resource, &limit) < 0 && errno != EPERM)
            return -1;
    }
    return 0;
}

static const char *
detach(const struct plumbing *p)
{
    if (default_signals() < 0)
        return "sigprocmask";
    if (setsid() < 0)
        return "setsid";
    if (dup2(p->null, STDIN_FILENO) < 0 || dup2(p->out[1], STDOUT_FILENO) < 0 ||
        dup2(p->err[1], STDERR_FILENO) < 0)
        return "dup2";
    if (limit_resources() < 0)
        return "setrlimit";
    if (prefer_for_oom() < 0)
        return "oom_score_adj";
    umask(022);
    return NULL;
}

static const char *
prepare_files(const struct launch *l)
{
    if (textfile_write(LAUNCH_CONNECTION_FILE, O_CREAT | O_EXCL, 0600, l->connection) < 0)
        return "writing the connection file";
    if (skel_copy(TCI_PATH_SKEL, TCI_PATH_HOME) < 0)
        return "copying " TCI_PATH_SKEL;
    if (chdir(l->cwd) < 0)
        return "entering the working directory";
    return NULL;
}

/*
 * Descriptors other than 0 to 2 end with the exec.  All of ours do by themselves; this is for
 * inherited ones.
 */
static void
close_others(void)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 4096; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* an old kernel, or a sandbox that has no close_range */
}

static void __attribute__((noreturn)) child_main(const struct launch *l, const struct plumbing *p)
{
    const char *failed = detach(p);

    if (failed == NULL)
        failed = become_user(l);
    if (failed == NULL)
        failed = prepare_files(l);
    if (failed)
        child_fail(p->report[1], failed);
    close_others();
    environ = l->env; /* execvp looks the program up in this PATH, and hands this environment on */
    execvp(l->argv[0], l->argv);
    child_fail(p->report[1], "");
}

static void
close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

static void
plumbing_open(struct plumbing *p)
{
    p->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (p->null < 0 || pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ||
        pipe2(p->report, O_CLOEXEC) < 0 || fcntl(p->out[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(p->err[0], F_SETFL, O_NONBLOCK) < 0)
        die(TCI_EXIT_SYSTEM, "cannot make the kernel's pipes: %s", strerror(errno));
}

static void
close_one(int *fd)
{
    close(*fd);
    *fd = -1;
}

/* True when the child reported a failure or did not get anywhere in time. */
static int
wait_for_exec(int report, struct failure *f)
{
    const int64_t deadline = clock_ms() + START_TIMEOUT_MS;
    struct pollfd p = {.fd = report, .events = POLLIN};
    int64_t left;

    memset(f, 0, sizeof(*f));
    while ((left = deadline - clock_ms()) > 0 && poll(&p, 1, (int)left) <= 0)
        ;
    if (left <= 0) {
        f->error = ETIMEDOUT;
        return -1;
    }
    return read(report, f, sizeof(*f)) == (ssize_t)sizeof(*f) ? -1 : 0;
}

static void
explain(const struct launch *l, struct failure *f, char *why, size_t size)
{
    f->step[sizeof(f->step) - 1] = '\0';
    snprintf(why, size, "cannot run %.200s: %s%s%s", l->argv[0], f->step, f->step[0] ? ": " : "",
             strerror(f->error));
}

int
spawn_kernel(const struct launch *l, struct spawned *out, char *why, size_t why_size)
{
    struct plumbing p;
    struct failure failure;

    plumbing_open(&p);
    out->pid = fork();
    if (out->pid == 0)
        child_main(l, &p);
    if (out->pid < 0)
        die(TCI_EXIT_SYSTEM, "cannot fork: %s", strerror(errno));
    close(p.null);
    close_one(&p.out[1]);
    close_one(&p.err[1]);
    close_one(&p.report[1]);
    out->pipes[0] = p.out[0];
    out->pipes[1] = p.err[0];
    if (wait_for_exec(p.report[0], &failure) == 0) {
        close(p.report[0]);
        return 0;
    }
    explain(l, &failure, why, why_size);
    kill(out->pid, SIGKILL);
    waitpid(out->pid, NULL, 0);
    close_pair(p.out);
    close_pair(p.err);
    close_pair(p.report);
    return -1;
}

pid_t
spawn_wiper(const struct launch *l, const char *const dirs[])
{
    pid_t pid = fork();

    if (pid < 0)
        die(TCI_EXIT_SYSTEM, "cannot fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    if (default_signals() < 0 || become_user(l) != NULL)
        _exit(1);
    for (; *dirs; dirs++)
        if (wipe_dir(*dirs) < 0)
            _exit(1);
    _exit(0);
}
