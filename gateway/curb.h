/*
 * curb.h - the limits of a running container's control group, lowered for one execution and raised again.
 *
 * Raising takes microseconds, and so does lowering the processor.  Lowering memory to what the group uses, or to less, has
 * Linux free file cache first, in the process that writes the limit and for as long as it takes; so that process is then
 * not this one but a helper.
 */
#ifndef GATEWAY_CURB_H
#define GATEWAY_CURB_H

#include <stdbool.h>

#include "allowance.h"
#include "err.h"
#include "mem.h"

struct cgroup_host;
struct curb;
struct event_base;

/* err as curb_set has it, or NULL: the limits hold. */
typedef void curb_done_fn(void *owner, const struct err *err);

/*
 * For the group of that id, which need not be there yet; own is what it is made with.  Writes nothing.  The host and the base
 * are borrowed, the rest is copied.
 */
struct curb *curb_new(struct event_base *, const struct cgroup_host *, const char *id,
                      const struct allowance *own);
void curb_free(struct curb *); /* accepts NULL; the limits stay as they are */

/*
 * Lowers the limits: to the lesser of what is given here and the group's own.  1: they hold.  0: done will be called, exactly
 * once unless curb_lift comes first.  -1, or done with an error: they are what they were.  ERR_CONFLICT with field
 * memory_mb: the group uses more than that (file cache that can be freed is not counted).  ERR_NO_WORKER: they cannot be
 * changed, or not now.
 */
int curb_set(struct curb *, const struct allowance *, curb_done_fn *done, void *owner,
             struct err *) must_check;

/*
 * The group's own limits hold again, whatever they were; done will not be called any more.  Any number of times.  A helper at work
 * goes on to its end, and until then curb_set's answer is not now.
 */
void curb_lift(struct curb *);

/*
 * From now on the group's own limits are these, where they are less.  in_force: that is so already, and nothing is written.  -1:
 * nothing has changed; ERR_CONFLICT: its memory cannot be lowered without waiting.
 */
int curb_restrict(struct curb *, const struct allowance *, bool in_force, struct err *) must_check;

/* The memory limit that holds, in MiB; 0 = not known.  *lowered: it is less than the group's own. */
unsigned curb_memory_mb(const struct curb *, bool *lowered);

#endif
