/*
 * sandbox.h - what a process gives up between fork and exec to be the sandbox user's: the kernel's, and those that work on
 * its files.  Nothing but system calls, because threads may have held any lock at the fork.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <sys/types.h>

/* NULL, or the step that failed, with errno. */

/* A session of its own, signals and file modes as they are by default, limits, first to go when memory is short. */
const char *sandbox_detach(void) __attribute__((warn_unused_result));

/* That user, for good: no capabilities, no groups, no new privileges; ends with its parent. */
const char *sandbox_become(uid_t uid, gid_t gid) __attribute__((warn_unused_result));

/*
 * Descriptors other than 0 to 2 end with the exec.  All of ours do by themselves; this is for inherited ones.
 */
void sandbox_close_others(void);

#endif
