/*
 * spawn.h - starts the kernel: as the sandbox user, with nothing of the worker's left in its hands.
 */
#ifndef WORKER_SPAWN_H
#define WORKER_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "launch.h"

enum { SPAWN_PIPES = 2 };

struct spawned {
    pid_t pid;              /* leader of a session and process group of its own */
    int pipes[SPAWN_PIPES]; /* what it writes to descriptors 1 and 2; non-blocking */
};

/*
 * As the sandbox user: writes the connection file, copies the skeleton into the home, and runs the
 * program.  0, or -1 with a sentence in why when it cannot be run; then no process is left.
 */
int spawn_kernel(const struct launch *, struct spawned *, char *why, size_t why_size)
    __attribute__((warn_unused_result));

/*
 * A process of the sandbox user that empties these directories, of which NULL is the last, and exits with 0 if it could.
 */
pid_t spawn_wiper(const struct launch *, const char *const dirs[]);

#endif
