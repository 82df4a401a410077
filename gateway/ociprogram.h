/*
 * ociprogram.h - a program that makes containers as the OCI runtime specification has them (crun, runsc): found in PATH,
 * run with its own arguments and never with our environment, and found again among the host's processes.
 */
#ifndef GATEWAY_OCIPROGRAM_H
#define GATEWAY_OCIPROGRAM_H

#include <stdbool.h>

#include "child.h"
#include "err.h"
#include "mem.h"

struct event_base;
struct ociprogram;

enum { OCIPROGRAM_MAX_ARGS = 24 };

/* How to run it; borrowed for the call of open. */
struct ociprogram_spec {
    const char *name;           /* as in PATH; what it starts has a name that begins with it */
    const char *const *options; /* before the verb, --root left out; NULL-terminated */
    const char *const *enter;   /* a command that executes what is appended to it; NULL: none */
    bool seal; /* it runs from a sealed memory file (see ociprogram.c), unless it is entered */
};

/* root: directory of the program's own notes.  Fails with the field "runtime" if the program is not there. */
struct ociprogram *ociprogram_open(const struct ociprogram_spec *, const char *root,
                                   struct err *) must_check;
void ociprogram_close(struct ociprogram *); /* accepts NULL */

/* Where a run's files come from and go to, and how long it may take. */
struct ociprogram_run {
    const char *const *args; /* the verb and what follows it, NULL-terminated */
    int stdin_fd, output_fd; /* as child_spec has them */
    unsigned limit_ms;
};

/* As child_spawn. */
struct child *ociprogram_spawn(const struct ociprogram *, struct event_base *,
                               const struct ociprogram_run *, child_done_fn *, void *owner,
                               struct err *) must_check;

/* To its end, or to the limit, with nothing to read and nothing said.  Blocks; for start-up. */
void ociprogram_run_quietly(const struct ociprogram *, const char *const *args, unsigned limit_ms);

/*
 * Sends a signal to what the program still does for this bundle: a start that was cut off may be going on in a process that
 * nobody waits for.  True if there was one, or may be: what it does until it is gone may have to be undone.  0: only looks.
 */
bool ociprogram_signal_helpers(const struct ociprogram *, const char *bundle, int signal);

#endif
