/*
 * cgroup.h - the control groups of this state directory's containers: which layout the host has, whether it will do,
 * and what the runtime program leaves to us: out-of-memory counts, stragglers, left-over directories.
 *
 * All groups are /tci-<hash of the state directory>/<container id>, in every hierarchy.
 */
#ifndef GATEWAY_CGROUP_H
#define GATEWAY_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "allowance.h"
#include "err.h"
#include "mem.h"

struct cgroup_host;

/* Of a contended processor, as version 1 counts them. */
enum {
    CGROUP_SHARES = 1024,    /* the usual */
    CGROUP_SHARES_LOW = 102, /* of what nobody waits for */
};

enum { CGROUP_CPU_PERIOD_US = 100000 };

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

/* Processor time that so many cores come to, in microseconds of CGROUP_CPU_PERIOD_US; not below the kernel's minimum. */
long cgroup_cpu_quota(double cores);

/* Of a group that was made with such a limit. */
int cgroup_limit_cpu(const struct cgroup_host *, const char *id, double cores,
                     struct err *) must_check;

/*
 * Memory, and with it swap, of a group that was made with such limits.  Raising never waits.  Lowering to what is used or
 * less waits until the kernel has freed file cache, or killed; cgroup_lowering is for that.
 */
int cgroup_raise_memory(const struct cgroup_host *, const char *id, unsigned mb,
                        struct err *) must_check;
int cgroup_lower_memory(const struct cgroup_host *, const char *id, unsigned mb,
                        struct err *) must_check;

enum { CGROUP_LOWERING_ARGS = 12 };

/* cgroup_lower_memory as a command, which ends when the gateway does.  Its strings are static but for these two. */
struct cgroup_lowering {
    const char *argv[CGROUP_LOWERING_ARGS]; /* NULL-terminated */
    char *dir;
    char bytes[24];
};
void cgroup_lowering_init(struct cgroup_lowering *, const struct cgroup_host *, const char *id,
                          unsigned mb);
void cgroup_lowering_clear(struct cgroup_lowering *);

/* SIGKILL to all that is in the group.  True if there was something. */
bool cgroup_kill(const struct cgroup_host *, const char *id);

/* Removes the empty group from all hierarchies.  -1 while something is left, errno in *err. */
int cgroup_remove(const struct cgroup_host *, const char *id, struct err *) must_check;

/* Calls found() with the name of each group that is there, in some hierarchies maybe more than once. */
typedef void cgroup_found_fn(void *arg, const char *id);
void cgroup_each(const struct cgroup_host *, cgroup_found_fn *found, void *arg);

#endif
