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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "protocol.h"
#include "sandbox.h"
#include "skel.h"
#include "textfile.h"
#include "wipe.h"

enum { START_TIMEOUT_MS = 20000 };

/* What the child reports when it cannot go on; nothing is reported by a successful exec. */
struct failure {
    int error;
    char step[60];
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

static const char *
detach(const struct plumbing *p)
{
    if (dup2(p->null, STDIN_FILENO) < 0 || dup2(p->out[1], STDOUT_FILENO) < 0 ||
        dup2(p->err[1], STDERR_FILENO) < 0)
        return "dup2";
    return sandbox_detach();
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

static void __attribute__((noreturn)) child_main(const struct launch *l, const struct plumbing *p)
{
    const char *failed = detach(p);

    if (failed == NULL)
        failed = sandbox_become(l->uid, l->gid);
    if (failed == NULL)
        failed = prepare_files(l);
    if (failed)
        child_fail(p->report[1], failed);
    sandbox_close_others();
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
    if (sandbox_detach() != NULL || sandbox_become(l->uid, l->gid) != NULL)
        _exit(1);
    for (; *dirs; dirs++)
        if (wipe_dir(*dirs) < 0)
            _exit(1);
    _exit(0);
}
