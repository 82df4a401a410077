/* curb.c - see curb.h. */
#include "curb.h"

#include <errno.h>
#include <stdint.h>

#include "cgroup.h"
#include "cgroup_usage.h"
#include "child.h"
#include "log.h"

enum {
    LOWER_LIMIT_MS = 10000,
    /*
     * As much the group may take between our look at what it uses and our writing: the write waits only where more is used
     * than will be allowed.
     */
    MARGIN_MB = 32,
};

#define MIB ((uint64_t)1 << 20)

struct curb {
    struct event_base *base;
    const struct cgroup_host *host;
    char *id;
    struct allowance own;
    struct allowance now;
    struct child *helper; /* while it lowers memory */
    curb_done_fn *done;   /* ... for; NULL: what it does is to be undone */
    void *owner;
};

struct curb *
curb_new(struct event_base *base, const struct cgroup_host *host, const char *id,
         const struct allowance *own)
{
    struct curb *curb = xcalloc(1, sizeof(*curb));

    curb->base = base;
    curb->host = host;
    curb->id = xstrdup(id);
    curb->own = curb->now = *own;
    return curb;
}

void
curb_free(struct curb *curb)
{
    if (curb == NULL)
        return;
    if (curb->helper != NULL)
        child_cancel(curb->helper);
    free(curb->id);
    free(curb);
}

/* A limit that stays too low hurts nobody but the session that has it. */
static void
tell(const struct curb *curb, const struct err *err)
{
    if (err->sys_errno != ENOENT) /* the group is gone */
        log_warn("container %s: a limit stays as it is: %s", curb->id, err->msg);
}

static void
write_own(struct curb *curb)
{
    const struct allowance *own = &curb->own;
    struct err err = ERR_INIT;

    if (own->cpu > 0 && cgroup_limit_cpu(curb->host, curb->id, own->cpu, &err) < 0)
        tell(curb, &err);
    if (own->memory_mb > 0 && cgroup_raise_memory(curb->host, curb->id, own->memory_mb, &err) < 0)
        tell(curb, &err);
    curb->now = *own;
}

/* A helper at work may write after this, and cannot be stopped while it waits in Linux: the same again when it has ended. */
void
curb_lift(struct curb *curb)
{
    curb->done = NULL;
    write_own(curb);
}

static int
in_use(uint64_t bytes, struct err *err)
{
    return err_field(err, ERR_CONFLICT, "memory_mb",
                     "memory_mb: the session uses %llu MiB of memory already",
                     (unsigned long long)((bytes + MIB - 1) / MIB));
}

static int
not_now(const struct err *why, struct err *err)
{
    return err_set(err, ERR_NO_WORKER, "The execution's limits cannot be set: %s", why->msg);
}

static void
on_lowered(void *owner, bool ok, const char *why)
{
    struct curb *curb = owner;
    struct err err = ERR_INIT;

    curb->helper = NULL;
    if (curb->done == NULL || !ok)
        write_own(curb);
    if (curb->done == NULL)
        return;
    if (ok) {
        curb->done(curb->owner, NULL);
        return;
    }
    log_debug("container %s: memory not lowered: %s", curb->id, why);
    in_use(cgroup_memory_used(curb->host, curb->id), &err);
    curb->done(curb->owner, &err);
}

static int
start_helper(struct curb *curb, unsigned mb, struct err *err)
{
    struct cgroup_lowering lowering;
    struct err why = ERR_INIT;

    cgroup_lowering_init(&lowering, curb->host, curb->id, mb);
    const struct child_spec spec = {
        .argv = lowering.argv, .stdin_fd = -1, .output_fd = -1, .timeout_ms = LOWER_LIMIT_MS};
    curb->helper = child_spawn(curb->base, &spec, on_lowered, curb, &why);
    cgroup_lowering_clear(&lowering);
    return curb->helper != NULL ? 0 : not_now(&why, err);
}

/* 1: done.  0: a helper does it. */
static int
lower_memory(struct curb *curb, unsigned mb, struct err *err)
{
    const uint64_t limit = mb * MIB;
    struct err why = ERR_INIT;

    if (cgroup_memory_used(curb->host, curb->id) + MARGIN_MB * MIB <= limit)
        return cgroup_lower_memory(curb->host, curb->id, mb, &why) == 0 ? 1 : not_now(&why, err);
    const struct cgroup_memory memory = cgroup_memory(curb->host, curb->id);
    if (memory.used - memory.cache > limit)
        return in_use(memory.used - memory.cache, err);
    return start_helper(curb, mb, err);
}

static int
lower(struct curb *curb, const struct allowance *to, struct err *err)
{
    struct err why = ERR_INIT;

    if (to->cpu > 0 && to->cpu < curb->own.cpu) {
        curb->now.cpu = to->cpu;
        if (cgroup_limit_cpu(curb->host, curb->id, to->cpu, &why) < 0)
            return not_now(&why, err);
    }
    if (to->memory_mb == 0 || to->memory_mb >= curb->own.memory_mb)
        return 1;
    curb->now.memory_mb = to->memory_mb;
    return lower_memory(curb, to->memory_mb, err);
}

int
curb_set(struct curb *curb, const struct allowance *to, curb_done_fn *done, void *owner,
         struct err *err)
{
    if (allowance_is_none(&curb->own))
        return err_set(err, ERR_NO_WORKER,
                       "The execution's limits cannot be set: those of its session are not known");
    if (curb->helper != NULL)
        return err_set(err, ERR_NO_WORKER,
                       "The execution's limits cannot be set: an earlier one's are being lifted");
    curb->done = done;
    curb->owner = owner;
    int rc = lower(curb, to, err);
    if (rc < 0)
        curb_lift(curb);
    return rc;
}

static int
write_limits(const struct curb *curb, const struct allowance *to, struct err *err)
{
    struct err why = ERR_INIT;

    if (to->memory_mb < curb->own.memory_mb &&
        cgroup_memory_used(curb->host, curb->id) + MARGIN_MB * MIB > to->memory_mb * MIB)
        return in_use(cgroup_memory_used(curb->host, curb->id), err);
    if (to->cpu < curb->own.cpu && cgroup_limit_cpu(curb->host, curb->id, to->cpu, &why) < 0)
        return not_now(&why, err);
    if (to->memory_mb < curb->own.memory_mb &&
        cgroup_lower_memory(curb->host, curb->id, to->memory_mb, &why) < 0)
        return not_now(&why, err);
    return 0;
}

int
curb_restrict(struct curb *curb, const struct allowance *most, bool in_force, struct err *err)
{
    struct allowance to = curb->own;

    if (allowance_is_none(&curb->own))
        return in_force ? 0 : err_set(err, ERR_NO_WORKER, "The container's limits are not known");
    if (curb->helper != NULL && !in_force)
        return err_set(err, ERR_NO_WORKER, "An execution's limits are being lifted");
    if (most->cpu > 0 && most->cpu < to.cpu)
        to.cpu = most->cpu;
    if (most->memory_mb > 0 && most->memory_mb < to.memory_mb)
        to.memory_mb = most->memory_mb;
    if (!in_force && write_limits(curb, &to, err) < 0) {
        curb_lift(curb);
        return -1;
    }
    curb->own = curb->now = to;
    return 0;
}

unsigned
curb_memory_mb(const struct curb *curb, bool *lowered)
{
    *lowered = curb->now.memory_mb < curb->own.memory_mb;
    return curb->now.memory_mb;
}
