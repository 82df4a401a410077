/*
 * child.h - a helper program (crun) run to its end without blocking the loop: spawned in a session of its own,
 * its exit seen through a pidfd, its stderr kept in part for the error message, killed when it overruns.
 */
#ifndef GATEWAY_CHILD_H
#define GATEWAY_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct event_base;
struct child;

enum { CHILD_NO_TIMEOUT = 0 };

struct child_spec {
    const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
    const char *const *env;  /* whole environment, NULL-terminated; NULL = inherit */
    const char *program;     /* executed in place of argv[0], which stays its name; may be NULL */
    int stdin_fd;            /* becomes its stdin, borrowed; -1 = /dev/null */
    int output_fd; /* becomes its stdout and stderr, borrowed; -1 = /dev/null, and stderr kept */
    unsigned timeout_ms; /* then SIGKILL; or CHILD_NO_TIMEOUT */
};

/* ok: it exited with 0.  why: one sentence with exit status or signal and the last line of stderr; "" if ok. */
typedef void child_done_fn(void *owner, bool ok, const char *why);

/*
 * Never calls `done` before it returns; afterwards exactly once, unless child_cancel comes first.  The
 * child frees itself after `done`.  NULL with *err filled when it cannot be spawned.
 */
struct child *child_spawn(struct event_base *, const struct child_spec *, child_done_fn *done,
                          void *owner, struct err *) must_check;

/* `done` will not be called; the process runs on to its end or timeout and is reaped. */
void child_cancel(struct child *);

/*
 * For a subreaper: reaps ended processes that nobody started here but that became our children.  What keep() says
 * true of is left alone, and so is what child_spawn started.
 */
typedef bool child_keep_fn(void *arg, pid_t);
void child_reap_strays(child_keep_fn *keep, void *arg);

#endif
