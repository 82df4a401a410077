/*
 * child.c - see child.h.  A child is RUNNING until its pidfd becomes readable; only then is it reaped, so
 * that its pid cannot become another process's while we may still signal it.  Everything else that can
 * happen (time is up, its stderr closed, its owner lost interest) leaves it running and is only noted.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <event2/event.h>
#include <utlist.h>

#include "clock.h"

enum {
    TAIL_SIZE = 1024, /* of stderr kept for the message */
    LINE_SIZE = 240,  /* of its last line that goes into the message */
};

struct child {
    char *name;
    pid_t pid;
    int pidfd;
    int stderr_fd; /* -1: not ours, or closed */
    struct event *exit_event, *stderr_event, *timer;
    unsigned timeout_ms;
    bool overran;
    char tail[TAIL_SIZE];
    size_t tail_len;
    child_done_fn *done; /* NULL: cancelled */
    void *owner;
    struct child *prev, *next;
};

/* All that run, for child_reap_strays: children belong to the process, whatever module started them. */
static struct child *children;

/* --- stderr --------------------------------------------------------------------------------- */

static void
tail_append(struct child *c, const char *data, size_t len)
{
    if (len >= TAIL_SIZE) {
        data += len - TAIL_SIZE;
        len = TAIL_SIZE;
    }
    if (c->tail_len + len > TAIL_SIZE) {
        size_t drop = c->tail_len + len - TAIL_SIZE;

        memmove(c->tail, c->tail + drop, c->tail_len - drop);
        c->tail_len -= drop;
    }
    memcpy(c->tail + c->tail_len, data, len);
    c->tail_len += len;
}

static void
close_stderr(struct child *c)
{
    if (c->stderr_fd < 0)
        return;
    event_free(c->stderr_event);
    c->stderr_event = NULL;
    close(c->stderr_fd);
    c->stderr_fd = -1;
}

/* A helper that floods its stderr must not hold the loop: one pipe's worth a turn. */
static void
read_stderr(struct child *c)
{
    char buffer[4096];

    for (int i = 0; i < 16 && c->stderr_fd >= 0; i++) {
        ssize_t n = read(c->stderr_fd, buffer, sizeof(buffer));

        if (n > 0)
            tail_append(c, buffer, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            close_stderr(c);
        else
            return;
    }
}

static void
on_stderr(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    read_stderr(arg);
}

/* The last line that is not empty, cut at size; "" if there is none. */
static void
last_line(const struct child *c, char *line, size_t size)
{
    size_t end = c->tail_len, start;

    while (end > 0 && strchr("\r\n\t ", c->tail[end - 1]) != NULL)
        end--;
    for (start = end; start > 0 && c->tail[start - 1] != '\n';)
        start--;
    snprintf(line, size, "%.*s", (int)(end - start), c->tail + start);
}

/* --- the end -------------------------------------------------------------------------------- */

static void
explain(const struct child *c, const siginfo_t *info, char *why, size_t size)
{
    char line[LINE_SIZE];
    int n;

    last_line(c, line, sizeof(line));
    if (c->overran)
        n = snprintf(why, size, "%s took longer than %u ms and was killed", c->name, c->timeout_ms);
    else if (info->si_code == CLD_EXITED)
        n = snprintf(why, size, "%s exited with status %d", c->name, info->si_status);
    else
        n = snprintf(why, size, "%s was killed by signal %d (%s)", c->name, info->si_status,
                     strsignal(info->si_status));
    if (line[0] != '\0' && n > 0 && (size_t)n < size)
        snprintf(why + n, size - (size_t)n, ": %s", line);
}

static void
child_free(struct child *c)
{
    DL_DELETE(children, c);
    close_stderr(c);
    event_free(c->exit_event);
    event_free(c->timer);
    close(c->pidfd);
    free(c->name);
    free(c);
}

static void
on_exit_event(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;
    char why[LINE_SIZE + 160] = "";
    siginfo_t info = {0};

    (void)fd, (void)what;
    if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return; /* not yet, after all */
    read_stderr(c);
    bool ok = info.si_code == CLD_EXITED && info.si_status == 0;
    if (!ok)
        explain(c, &info, why, sizeof(why));
    child_done_fn *done = c->done;
    void *owner = c->owner;
    child_free(c);
    if (done != NULL)
        done(owner, ok, why);
}

/* It leads a session of its own, so its group is it and what it forked. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct child *c = arg;

    (void)fd, (void)what;
    c->overran = true;
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL);
}

/* --- the start ------------------------------------------------------------------------------ */

/* Returns an errno value, as posix_spawn does.  stderr_fd is the pipe's end for it, or -1. */
static int
set_files(posix_spawn_file_actions_t *files, const struct child_spec *spec, int stderr_fd)
{
    int out = spec->output_fd, rc;

    if (out >= 0)
        rc = posix_spawn_file_actions_adddup2(files, out, 1);
    else
        rc = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, out >= 0 ? out : stderr_fd, 2);
    if (rc == 0 && spec->stdin_fd >= 0)
        rc = posix_spawn_file_actions_adddup2(files, spec->stdin_fd, 0);
    else if (rc == 0)
        rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0 && spec->program == NULL) /* which may be one of them: /proc/self/fd/N */
        rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
    return rc;
}

/* Ignored signals and the mask survive an exec; the helper gets neither. */
static int
set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attr, &none);
    posix_spawnattr_setsigdefault(attr, &all);
    return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
}

/* posix_spawn shares our memory with the child until it executes: no page tables are copied. */
static int
spawn(const struct child_spec *spec, int stderr_fd, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    const char *program = spec->program != NULL ? spec->program : spec->argv[0];
    char *const *env = spec->env != NULL ? (char *const *)spec->env : environ;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    int rc = set_files(&files, spec, stderr_fd);
    if (rc == 0)
        rc = set_attributes(&attr);
    if (rc == 0)
        rc = posix_spawnp(pid, program, &files, &attr, (char *const *)spec->argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static struct child *
watch(struct event_base *base, const struct child_spec *spec, pid_t pid, int pidfd, int stderr_fd)
{
    struct child *c = xcalloc(1, sizeof(*c));

    c->name = xstrdup(base_name(spec->argv[0]));
    c->pid = pid;
    c->pidfd = pidfd;
    c->stderr_fd = stderr_fd;
    c->timeout_ms = spec->timeout_ms;
    c->exit_event = xnotnull(event_new(base, pidfd, EV_READ | EV_PERSIST, on_exit_event, c));
    c->timer = xnotnull(evtimer_new(base, on_timer, c));
    event_add(c->exit_event, NULL);
    if (spec->timeout_ms != CHILD_NO_TIMEOUT)
        clock_arm(c->timer, spec->timeout_ms);
    if (stderr_fd >= 0) {
        c->stderr_event = xnotnull(event_new(base, stderr_fd, EV_READ | EV_PERSIST, on_stderr, c));
        event_add(c->stderr_event, NULL);
    }
    DL_APPEND(children, c);
    return c;
}

/* A running program whose stderr, if kept, comes out of *read_end.  -1 if it cannot be had. */
static int
spawn_with_pipe(const struct child_spec *spec, pid_t *pid, int *read_end, struct err *err)
{
    int ends[2] = {-1, -1};

    if (spec->output_fd < 0 && pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, "make a pipe for %s", spec->argv[0]);
    if (ends[0] >= 0) /* only our end: a helper does not expect EAGAIN from its stderr */
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    errno = spawn(spec, ends[1], pid);
    int rc = errno == 0 ? 0 : err_sys(err, "start %s", spec->argv[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    if (rc < 0 && ends[0] >= 0)
        close(ends[0]);
    *read_end = ends[0];
    return rc;
}

struct child *
child_spawn(struct event_base *base, const struct child_spec *spec, child_done_fn *done,
            void *owner, struct err *err)
{
    int read_end = -1;
    pid_t pid = 0;

    if (spawn_with_pipe(spec, &pid, &read_end, err) < 0)
        return NULL;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        err_sys(err, "watch %s", spec->argv[0]);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (read_end >= 0)
            close(read_end);
        return NULL;
    }
    struct child *c = watch(base, spec, pid, pidfd, read_end);
    c->done = done;
    c->owner = owner;
    return c;
}

void
child_cancel(struct child *c)
{
    c->done = NULL;
}

/* --- strays --------------------------------------------------------------------------------- */

static bool
is_ours(pid_t pid)
{
    struct child *c;

    DL_FOREACH (children, c) {
        if (c->pid == pid)
            return true;
    }
    return false;
}

/*
 * waitid shows one ended child, always the same as long as it is not reaped.  One that is kept hides the others
 * until its owner has reaped it and comes here again.
 */
void
child_reap_strays(child_keep_fn *keep, void *arg)
{
    for (;;) {
        siginfo_t info = {0};

        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        if (is_ours(info.si_pid) || keep(arg, info.si_pid))
            return;
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}
