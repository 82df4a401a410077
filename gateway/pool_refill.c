/* pool_refill.c - see pool_refill.h. */
#include "pool_refill.h"

#include <stdio.h>
#include <unistd.h>
#include <utlist.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "kernels.h"
#include "log.h"
#include "mem.h"
#include "pool_member.h"
#include "pool_state.h"
#include "pool_user.h"
#include "session.h"
#include "worker.h"

enum {
    BACKOFF_MIN_MS = 250,
    BACKOFF_MAX_MS = 4000, /* the pool is full again soon after what was wrong is mended */
    FAILURES_TO_TELL = 3,  /* failed starts in a row before waiting users are told */
};

struct pool_refill {
    struct pool *pool;
    unsigned max_starting;
    struct event *event;
    struct event *retry_event; /* when a kernel's back-off is over */
    bool started, filled;
};

void
pool_refill_soon(struct pool_refill *refill, unsigned ms)
{
    if (refill->started && !evtimer_pending(refill->event, NULL))
        clock_arm(refill->event, ms);
}

void
pool_refill_check(struct pool_refill *refill)
{
    const struct pool *pool = refill->pool;
    const struct config *config = pool->env->config;
    unsigned in_use = pool->lists.n_members[ASSIGNED], room, wanted;
    const struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        in_use += m->user != NULL;
    room = config->max_total_workers > in_use ? config->max_total_workers - in_use : 0;
    wanted = config->min_idle_workers < room ? config->min_idle_workers : room;
    if (refill->filled || !refill->started ||
        pool_lists_warm(&pool->lists, kernels_standard(pool->kernels)) < wanted)
        return;
    refill->filled = true;
    log_info("pool: %u workers are warm, %u in use", pool->lists.n_members[WARM], in_use);
}

bool
pool_refill_is_filled(const struct pool_refill *refill)
{
    return refill->filled;
}

/* --- back-off ------------------------------------------------------------------------------ */

static void
fail_all_waiting(struct pool *pool, const struct kernel_kind *kind)
{
    struct user *u, *next;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "No worker can be started: %s", kind->starts.error);
    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next) {
        if (u->member == NULL && u->kind == kind) {
            user_fail(u, &why);
        }
    }
}

void
pool_refill_note_failure(struct pool_refill *refill, struct kernel_kind *kind, const char *reason)
{
    unsigned shift = kind->starts.n_failures < 8 ? kind->starts.n_failures : 8;
    unsigned ms = BACKOFF_MIN_MS << shift;

    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    kind->starts.n_failures++;
    kind->starts.not_before = clock_now() + ms / 1000.0;
    snprintf(kind->starts.error, sizeof(kind->starts.error), "%s", reason);
    log_warn("pool: a worker of the kernel %s did not start (%u in a row, next try in %u ms): %s",
             kind->name, kind->starts.n_failures, ms, reason);
    pool_refill_soon(refill, 0);
    if (pool_refill_has_failed(kind))
        fail_all_waiting(refill->pool, kind);
}

void
pool_refill_note_success(struct kernel_kind *kind)
{
    kind->starts.n_failures = 0;
    kind->starts.error[0] = '\0';
}

bool
pool_refill_has_failed(const struct kernel_kind *kind)
{
    return kind->starts.n_failures >= FAILURES_TO_TELL && clock_now() < kind->starts.not_before;
}

static double
sooner(double soonest, const struct kernel_kind *kind, double now)
{
    const double due = kind->starts.not_before;

    return due > now && (soonest <= 0 || due < soonest) ? due : soonest;
}

/* When the first back-off is over.  The standard kernel, and those that users wait for, may be in the list no more. */
static void
arm_retry(const struct pool_refill *refill)
{
    const struct pool *pool = refill->pool;
    const double now = clock_now();
    double soonest = sooner(0, kernels_standard(pool->kernels), now);
    const struct kernel_kind *kind;
    const struct user *u;

    for (kind = kernels_first(pool->kernels); kind; kind = kind->next)
        soonest = sooner(soonest, kind, now);
    DL_FOREACH (pool->lists.user_lists[WAITING], u)
        soonest = sooner(soonest, u->kind, now);
    if (soonest > 0)
        clock_arm(refill->retry_event, 1 + (unsigned)((soonest - now) * 1000));
}

/* --- of which kernel, and how many --------------------------------------------------------- */

static bool
is_current(const struct pool *pool, const struct kernel_kind *kind)
{
    return kernels_find(pool->kernels, kind->name) == kind;
}

unsigned
pool_refill_warm_target(const struct pool *pool, const struct kernel_kind *kind)
{
    if (kind == kernels_standard(pool->kernels))
        return pool->env->config->min_idle_workers;
    return is_current(pool, kind) && kind->why_not == NULL ? kind->spec.warm : 0;
}

static bool
is_full(const struct pool *pool)
{
    return pool_lists_alive(&pool->lists) >= pool->env->config->max_total_workers;
}

static bool
may_go_on(const struct pool_refill *refill)
{
    const struct pool *pool = refill->pool;
    const struct config *config = pool->env->config;

    return !pool->draining && pool_lists_starting(&pool->lists) < refill->max_starting &&
           /* Dying ones go quickly; if they do not, others must not pile up on them. */
           pool_lists_alive(&pool->lists) + pool->lists.n_members[DYING] <
               2 * config->max_total_workers;
}

static bool
is_short(const struct pool *pool, const struct kernel_kind *kind, unsigned warm)
{
    return pool_lists_coming(&pool->lists, kind) + pool_lists_warm(&pool->lists, kind) <
           warm + pool_lists_waiting(&pool->lists, kind);
}

static bool
may_start(struct kernel_kind *kind)
{
    return clock_now() >= kind->starts.not_before && kernel_kind_is_prepared(kind);
}

/* Who waits while nothing that would do for him is coming; NULL: nobody. */
static struct user *
missed_user(const struct pool *pool)
{
    struct user *u;

    DL_FOREACH (pool->lists.user_lists[WAITING], u)
        if (u->member == NULL && (u->own || is_short(pool, u->kind, 0)) && may_start(u->kind))
            return u;
    return NULL;
}

/* The kernel of which the next worker should be, for whom nobody waits yet; NULL: there are enough of all. */
static struct kernel_kind *
next_kind(const struct pool *pool)
{
    struct kernel_kind *kind, *standard = kernels_standard(pool->kernels);

    if (is_short(pool, standard, pool_refill_warm_target(pool, standard)) && may_start(standard))
        return standard;
    for (kind = kernels_first(pool->kernels); kind; kind = kind->next)
        if (is_short(pool, kind, pool_refill_warm_target(pool, kind)) && may_start(kind))
            return kind;
    return NULL;
}

/* Where there are as many workers as there may be, one that nobody wants now goes for one that somebody waits for. */
static bool
make_room(struct pool *pool)
{
    struct member *m = pool_lists_first_warm(&pool->lists, NULL);

    if (m == NULL || missed_user(pool) == NULL)
        return false;
    log_info("worker %s: ended, to make room for one of another kernel",
             worker_identity(m->worker)->id);
    member_doom(m);
    return true;
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
    struct pool_refill *refill = arg;
    struct pool *pool = refill->pool;
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    while (may_go_on(refill) && (!is_full(pool) || make_room(pool))) {
        struct user *u = missed_user(pool);
        struct kernel_kind *kind = u ? u->kind : next_kind(pool);

        if (kind == NULL)
            break;
        if (member_start(pool, kind, u && u->own ? u : NULL, &err) < 0)
            pool_refill_note_failure(refill, kind, err.msg);
    }
    arm_retry(refill);
}

static void
on_kernel_prepared(void *owner)
{
    pool_refill_soon(owner, 0);
}

/* --- life ---------------------------------------------------------------------------------- */

/* A kernelspec that has changed: who waits for a worker of it gets one of what it is now, if that can run. */
static void
renew_waiting(struct pool *pool)
{
    struct kernel_kind *kind;
    struct user *u;

    DL_FOREACH (pool->lists.user_lists[WAITING], u) {
        kind = kernels_find(pool->kernels, u->kind->name);
        if (u->member == NULL && kind && kind->why_not == NULL)
            user_set_kind(u, kind);
    }
}

/* Workers that nobody has, of a kernelspec that has changed, or more of them than wanted now. */
static void
doom_surplus(struct pool *pool)
{
    struct member *m, *next;

    DL_FOREACH_SAFE (pool->lists.members[STARTING], m, next)
        if (m->user == NULL && !is_current(pool, m->kind))
            member_doom(m);
    DL_FOREACH_SAFE (pool->lists.members[WARM], m, next)
        if (pool_lists_warm(&pool->lists, m->kind) > pool_refill_warm_target(pool, m->kind))
            member_doom(m);
}

void
pool_refill_reconfigure(struct pool_refill *refill)
{
    renew_waiting(refill->pool);
    doom_surplus(refill->pool);
    pool_refill_check(refill);
    evtimer_del(refill->event);
    pool_refill_soon(refill, 0);
}

void
pool_refill_start(struct pool_refill *refill)
{
    refill->started = true;
    pool_refill_check(refill);
    pool_refill_soon(refill, 0);
}

struct pool_refill *
pool_refill_new(struct pool *pool)
{
    struct event_base *base = pool->env->base;
    struct pool_refill *refill = xcalloc(1, sizeof(*refill));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    refill->pool = pool;
    refill->max_starting = cores > 1 ? (unsigned)cores : 1;
    refill->event = xnotnull(evtimer_new(base, on_refill, refill));
    refill->retry_event = xnotnull(evtimer_new(base, on_refill, refill));
    kernels_on_prepared(pool->kernels, on_kernel_prepared, refill);
    return refill;
}

void
pool_refill_free(struct pool_refill *refill)
{
    kernels_on_prepared(refill->pool->kernels, NULL, NULL);
    event_free(refill->event);
    event_free(refill->retry_event);
    free(refill);
}
