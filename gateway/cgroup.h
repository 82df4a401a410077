/*
 * cgroup.h - the control groups of this state directory's containers: which layout the host has, whether it will do,
 * and what the runtime program leaves to us: out-of-memory counts, stragglers, left-over directories.
 *
 * All groups are /tci-<hash of the state directory>/<container id>, in every hierarchy.
 */
#ifndef GATEWAY_CGROUP_H
#define GATEWAY_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct cgroup_host;

/* Of a contended processor, as version 1 counts them. */
enum {
    CGROUP_SHARES = 1024,    /* the usual */
    CGROUP_SHARES_LOW = 102, /* of what nobody waits for */
};

/*
 * Looks at what is mounted on root ("/sys/fs/cgroup"; borrowed) and checks that memory, cpu and pids can be limited
 * there.  Where a version 2 hierarchy is mounted beside version 1 controllers, which the runtime program does not
 * bear, this thread and what it starts from now on see the host without it.
 */
struct cgroup_host *cgroup_open(const char *root, const char *state_dir, struct err *) must_check;

/* Of a host, or a user, without any: there is nothing to do for the verbs below, and no path. */
struct cgroup_host *cgroup_none(void);

/* Accepts NULL.  Removes the parent groups if they are empty. */
void cgroup_close(struct cgroup_host *);

/* The linux.cgroupsPath of a container, or NULL; free it. */
char *cgroup_path(const struct cgroup_host *, const char *id);

/* Whether swap can be limited (the kernel can be built or booted without). */
bool cgroup_limits_swap(const struct cgroup_host *);

/* Whether memory of TCP sockets has a limit of its own (version 1); otherwise it counts as memory (version 2). */
bool cgroup_limits_tcp(const struct cgroup_host *);

/* Whether the kernel has killed one of the group's processes for memory.  Reads one file. */
bool cgroup_oom_killed(const struct cgroup_host *, const char *id);

/*
 * The group's part of the processors when others want them, too: as much as anybody's, or in the background, which is what
 * the others leave, and whoever wakes up goes first (cpu.idle, Linux 5.15; before, a tenth).  A group that is gone is no
 * error.
 */
void cgroup_set_background(const struct cgroup_host *, const char *id, bool background);

/* SIGKILL to all that is in the group.  True if there was something. */
bool cgroup_kill(const struct cgroup_host *, const char *id);

/* Removes the empty group from all hierarchies.  -1 while something is left, errno in *err. */
int cgroup_remove(const struct cgroup_host *, const char *id, struct err *) must_check;

/* Calls found() with the name of each group that is there, in some hierarchies maybe more than once. */
typedef void cgroup_found_fn(void *arg, const char *id);
void cgroup_each(const struct cgroup_host *, cgroup_found_fn *found, void *arg);

#endif
