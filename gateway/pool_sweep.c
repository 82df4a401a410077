/* pool_sweep.c - see pool_sweep.h. */
#include "pool_sweep.h"

#include <uthash.h>
#include <utlist.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "pool_member.h"
#include "pool_state.h"
#include "pool_user.h"
#include "session.h"
#include "store.h"
#include "timestamp.h"
#include "worker.h"

enum {
    SWEEP_MS = 250,
    WAIT_LIMIT_S = 60, /* of a user for a worker */
};

struct pool_sweep {
    struct pool *pool;
    struct event *event;
    void (*drained)(void *owner); /* set once the pool is draining */
    void *drain_owner;
};

static void
sweep_waiting(struct pool *pool, double now)
{
    struct user *u, *next;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "No worker became ready within %d s", WAIT_LIMIT_S);
    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next) {
        if (u->member == NULL && now - u->since > WAIT_LIMIT_S) {
            user_fail(u, &why);
        }
    }
}

static double
idle_limit(const struct user *u)
{
    return u->terms.idle_timeout > 0 ? u->terms.idle_timeout
                                     : u->pool->env->config->worker_idle_timeout;
}

static void
sweep_idle(struct pool *pool, double now)
{
    struct user *u, *next;

    DL_FOREACH_SAFE (pool->lists.user_lists[ACTIVE], u, next) {
        if (session_jobs(u->session) > 0 || session_visits(u->session) > 0) {
            u->idle_since = now;
        } else if (now - u->idle_since > idle_limit(u)) {
            struct member *m = u->member;

            log_info("worker %s: idle for too long", worker_identity(m->worker)->id);
            metrics_add(METRIC_SESSIONS_REAPED, 1);
            u->ended = true;
            member_doom(m);
            user_part(u, NULL, "It was idle for too long");
        }
    }
}

/* A session without a worker: nobody comes back to it. */
static void
sweep_lost(struct pool *pool, double now)
{
    struct user *u, *next;

    DL_FOREACH_SAFE (pool->lists.user_lists[LOST], u, next) {
        if (u->ended || now - u->idle_since <= idle_limit(u))
            continue;
        u->ended = true;
        if (u->had_worker)
            user_save(u, NULL);
        else
            user_forget(u);
    }
}

static void
sweep_expired(struct pool *pool)
{
    const int64_t now = timestamp_now();
    struct user *u, *next;

    HASH_ITER (hh, pool->lists.users, u, next) {
        if (u->terms.expires_ms == 0 || now < u->terms.expires_ms)
            continue;
        log_info("a session has ended: its ttl is over");
        user_release(u, "The session has ended: its ttl is over");
    }
}

/* Some write has failed.  What should be in the store is what is here. */
static void
mend_store(struct pool *pool)
{
    const struct member *m;
    const struct user *u;

    if (!store_is_behind(pool->store) || store_begin(pool->store) < 0)
        return;
    for (int i = STARTING; i < DYING; i++)
        DL_FOREACH (pool->lists.members[i], m)
            if (worker_identity(m->worker)->pid != 0)
                member_save(m);
    for (u = pool->lists.users; u; u = u->hh.next)
        if (u->had_worker || u->kept)
            user_save(u, user_kept_worker(u));
    store_commit(pool->store);
}

/* What runs is waited for; what waits, now or after its worker ended, will not run any more. */
static void
drain(const struct pool_sweep *sweep)
{
    const struct pool *pool = sweep->pool;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "%s", pool_shutting_down);
    for (struct user *u = pool->lists.users; u; u = u->hh.next) {
        if (u->session == NULL)
            continue;
        session_fail_queue(u->session, &why);
        if (session_state(u->session) == SESSION_WAITING && !u->installer)
            session_fail_visits(u->session, &why);
    }
    for (struct user *u = pool->lists.users; u; u = u->hh.next)
        if (u->session && session_jobs(u->session) > 0)
            return;
    sweep->drained(sweep->drain_owner);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct pool_sweep *sweep = arg;
    struct pool *pool = sweep->pool;
    double now = clock_now();

    (void)fd, (void)what;
    sweep_waiting(pool, now);
    sweep_idle(pool, now);
    sweep_lost(pool, now);
    sweep_expired(pool);
    mend_store(pool);
    if (sweep->drained)
        drain(sweep);
}

void
pool_sweep_drain(struct pool_sweep *sweep, void (*idle)(void *owner), void *owner)
{
    sweep->drained = idle;
    sweep->drain_owner = owner;
}

struct pool_sweep *
pool_sweep_new(struct pool *pool)
{
    struct pool_sweep *sweep = xcalloc(1, sizeof(*sweep));

    sweep->pool = pool;
    sweep->event = xnotnull(event_new(pool->env->base, -1, EV_PERSIST, on_sweep, sweep));
    clock_arm(sweep->event, SWEEP_MS);
    return sweep;
}

void
pool_sweep_free(struct pool_sweep *sweep)
{
    event_free(sweep->event);
    free(sweep);
}
