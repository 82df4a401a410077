/* runtime_container.c - what the owner of a container can do with it: see runtime.h. */
#include "runtime.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <event2/event.h>
#include <utlist.h>

#include "ocispec.h"
#include "runtime_driver.h"
#include "runtime_phases.h"
#include "runtime_state.h"

enum { MAX_BOOT = 4096 }; /* fits a pipe, so that writing it never blocks */

bool
container_is_id(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");

    return n >= 1 && n <= 32 && id[n] == '\0';
}

static struct container *
container_new(struct runtime *rt, const char *id, void *box, const struct container_ops *ops,
              void *owner)
{
    struct container *c = xcalloc(1, sizeof(*c));

    c->runtime = rt;
    snprintf(c->id, sizeof(c->id), "%s", id);
    c->box = box;
    c->pidfd = -1;
    c->timer = xnotnull(evtimer_new(rt->base, container_on_timer, c));
    c->ops = ops;
    c->owner = owner;
    DL_APPEND(rt->containers, c);
    return c;
}

struct container *
container_start(struct runtime *rt, const struct container_spec *spec,
                const struct container_ops *ops, void *owner, struct err *err)
{
    assert(container_is_id(spec->id) && spec->slot < OCISPEC_MAX_SLOTS &&
           spec->boot_len <= MAX_BOOT);
    void *box = rt->driver->create(rt->state, spec, err);
    if (box == NULL)
        return NULL;
    struct container *c = container_new(rt, spec->id, box, ops, owner);
    runtime_poke(rt);
    return c;
}

struct container *
container_adopt(struct runtime *rt, const char *id, pid_t init, unsigned long long start_ticks,
                const struct container_ops *ops, void *owner, struct err *err)
{
    if (!container_is_id(id) || init <= 1) {
        err_set(err, ERR_SYSTEM, "There is no container of that name");
        return NULL;
    }
    struct container *c = container_new(rt, id, rt->driver->adopt(rt->state, id), ops, owner);
    /* First hold on to whatever has this pid, then ask whether it is the right one. */
    int rc = container_watch(c, init, err);
    if (rc == 0 && (start_ticks == 0 || runtime_start_ticks(init) != start_ticks))
        rc = err_set(err, ERR_SYSTEM, "The container's init does not run any more");
    if (rc < 0) {
        container_free(c);
        return NULL;
    }
    container_set_phase(c, RUNNING);
    c->told = true;
    return c;
}

void
container_destroy(struct container *c)
{
    if (c == NULL || c->doomed)
        return;
    c->doomed = true;
    if (c->phase == QUEUED || c->phase == ENDED)
        container_condemn(c);
    else if (c->phase == RUNNING)
        container_kill(c);
}

void
container_prefer(struct container *c)
{
    c->preferred = true;
    if (c->phase == RUNNING)
        c->runtime->driver->set_background(c->box, false);
}

void
container_defer(struct container *c)
{
    c->preferred = false;
    if (c->phase == RUNNING)
        c->runtime->driver->set_background(c->box, true);
}

int
container_limit(struct container *c, const struct allowance *to, container_limited_fn *limited,
                void *owner, struct err *err)
{
    if (c->phase != RUNNING || c->doomed)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return c->runtime->driver->limit(c->box, to, limited, owner, err);
}

void
container_unlimit(struct container *c)
{
    c->runtime->driver->unlimit(c->box);
}

int
container_restrict(struct container *c, const struct allowance *most, bool in_force,
                   struct err *err)
{
    if (c->phase != RUNNING || c->doomed)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return c->runtime->driver->restrict_to(c->box, most, in_force, err);
}

struct consumption
container_usage(const struct container *c)
{
    const struct consumption none = {.cpu_seconds = 0};

    return c->phase == RUNNING && !c->doomed ? c->runtime->driver->usage(c->box) : none;
}

void
container_watch_peak(struct container *c)
{
    if (c->phase == RUNNING && !c->doomed)
        c->runtime->driver->watch_peak(c->box);
}

unsigned long long
container_peak(struct container *c)
{
    return c->runtime->driver->peak(c->box);
}

unsigned
container_memory_mb(const struct container *c, bool *lowered)
{
    return c->runtime->driver->memory_mb(c->box, lowered);
}

bool
container_was_oom(const struct container *c)
{
    return c->exit.oom || c->runtime->driver->was_oom(c->box);
}
