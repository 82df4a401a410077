/* pool_user.c - see pool_user.h. */
#include "pool_user.h"

#include <utlist.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "kernels.h"
#include "log.h"
#include "pool_assign.h"
#include "pool_member.h"
#include "pool_record.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "runtime.h"
#include "session.h"
#include "store.h"
#include "timestamp.h"
#include "worker.h"

enum { MAX_LOST = 10000 }; /* users remembered without a session */

struct terms
user_terms(const struct user *u)
{
    const struct config *c = u->pool->env->config;
    const struct portion *kind = &u->kind->spec.limits;
    struct terms t = u->terms; /* env is borrowed */

    if (t.limits.cpu <= 0)
        t.limits.cpu = kind->cpu > 0 ? kind->cpu : c->worker_cpu;
    if (t.limits.memory_mb == 0)
        t.limits.memory_mb = kind->memory_mb ? kind->memory_mb : c->worker_memory_mb;
    if (t.limits.disk_mb == 0)
        t.limits.disk_mb = kind->disk_mb ? kind->disk_mb : c->worker_disk_mb;
    if (t.limits.pids == 0)
        t.limits.pids = kind->pids ? kind->pids : c->worker_pids;
    if (t.timeout <= 0)
        t.timeout = c->exec_timeout;
    if (t.idle_timeout <= 0)
        t.idle_timeout = c->worker_idle_timeout;
    return t;
}

/* The kernelspec by that name as it is now, where it can run; who has lost his worker gets one of it. */
static struct kernel_kind *
renewed(const struct pool *pool, struct kernel_kind *kind)
{
    struct kernel_kind *now = kernels_find(pool->kernels, kind->name);

    return now && now->why_not == NULL ? now : kind;
}

struct kernel_kind *
user_kind_for(const struct pool *pool, const struct user *u, const struct pool_wish *wish)
{
    if (user_is_settled(u))
        return u->session ? u->kind : renewed(pool, u->kind);
    return wish->kind ? wish->kind : kernels_standard(pool->kernels);
}

void
user_save(const struct user *u, const struct worker *worker)
{
    cleanup_free char *details = NULL;

    if (u->installer)
        return; /* nobody comes back to it */
    details = pool_record_save(u);
    store_put_session(u->pool->store, u->name, worker ? worker_identity(worker)->id : NULL,
                      (time_t)(u->created_ms / 1000), u->network, details);
}

const struct worker *
user_kept_worker(const struct user *u)
{
    const struct member *m = u->member;

    return m && (u->list == ACTIVE || m->adopted || m->renewing) ? m->worker : NULL;
}

void
user_forget(struct user *u)
{
    store_remove_session(u->pool->store, u->name);
    user_free(&u->pool->lists, u);
}

static void
bound_lost(struct pool *pool)
{
    if (pool->lists.n_users[LOST] > MAX_LOST)
        user_forget(pool->lists.user_lists[LOST]);
}

void
user_lose(struct user *u, const struct err *why)
{
    struct pool *pool = u->pool;

    u->executions += session_executions(u->session);
    session_free(u->session, why);
    u->session = NULL;
    if (u->installer || (!u->had_worker && !u->kept)) {
        user_free(&pool->lists, u);
        return;
    }
    user_move(&pool->lists, u, LOST);
    user_save(u, NULL);
    bound_lost(pool);
}

void
user_fail(struct user *u, const struct err *why)
{
    u->member = NULL;
    session_fail_queue(u->session, why);
    user_lose(u, why);
}

void
user_part(struct user *u, const struct err *why, const char *reason)
{
    u->member = NULL;
    pool_record_ended(u, reason);
    session_detach(u->session, why);
    if (session_jobs(u->session) == 0) {
        user_lose(u, why);
        return;
    }
    user_move(&u->pool->lists, u, WAITING); /* also from there: his wait begins now */
    pool_assign_waiting(u->pool);
}

void
user_renew(struct user *u, bool wipe, const char *reason)
{
    struct member *m = u->member;
    struct pool *pool = u->pool;
    struct err why = ERR_INIT, err = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    session_detach(u->session, &why);
    user_move(&pool->lists, u, WAITING);
    member_move(&pool->lists, m, STARTING);
    m->renewing = true;
    m->outfitted = m->outfitted && !wipe;
    if (worker_renew(m->worker, wipe, &err) == 0)
        return;
    member_doom(m);
    user_part(u, &err, err.msg);
}

static void
on_session_spent(void *owner, const struct err *reason)
{
    struct user *u = owner;
    struct member *m = u->member;
    struct err why = ERR_INIT;

    if (reason == NULL && u->terms.strategy == TERMS_POOL) {
        user_renew(u, true, "");
        return;
    }
    err_set(&why, ERR_WORKER_DIED, "The worker died");
    if (reason)
        log_info("worker %s: taken from its session and destroyed", worker_identity(m->worker)->id);
    /* First: in the store, too, a worker without its user must not be there to be adopted. */
    member_doom(m);
    user_part(u, &why, reason ? reason->msg : "It was for one execution");
}

void
user_open_session(struct user *u, struct kernel_kind *kind, bool restarted, bool network)
{
    user_set_kind(u, kind);
    u->network = network;
    u->ended = false;
    u->session = session_new(u->pool->env->base, restarted, on_session_spent, u);
    if (u->terms.strategy != TERMS_SESSION)
        session_set_single_use(u->session);
    u->own = terms_need_own(&u->terms, runtime_limits_executions(u->pool->env->runtime));
}

void
user_release(struct user *u, const char *reason)
{
    struct member *m = u->member;
    struct err why = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    session_free(u->session, &why);
    if (m)
        member_doom(m);
    user_forget(u);
}

/* Somebody waits: what is starting already is for him. */
static void
hurry(struct pool *pool)
{
    struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        worker_prefer(m->worker);
    pool_refill_soon(pool->refill, 0);
}

struct user *
user_make(struct pool *pool, struct user *old, const char *name, const struct pool_wish *wish)
{
    const bool had_worker = old && old->had_worker;
    const bool goes_on = user_has_session(old) && wish->terms == NULL;
    const unsigned long executions = old && goes_on ? old->executions : 0;
    struct user *u;

    if (!goes_on && pool->on_new_session)
        pool->on_new_session(pool->on_new_session_owner, name);
    if (old)
        user_free(&pool->lists, old);
    u = user_new(&pool->lists, name, timestamp_now(), LOST);
    u->had_worker = had_worker;
    u->executions = executions;
    u->network = wish->network == NETWORK_ALLOWLIST;
    user_set_kind(u, wish->kind ? wish->kind : kernels_standard(pool->kernels));
    if (wish->terms)
        terms_copy(&u->terms, wish->terms);
    u->kept = wish->terms != NULL;
    bound_lost(pool);
    return u;
}

void
user_wake(struct user *u, bool is_new)
{
    struct pool *pool = u->pool;
    const bool had = u->had_worker || (is_new && pool->in_doubt);

    user_move(&pool->lists, u, WAITING);
    user_open_session(u, renewed(pool, u->kind), had && u->terms.strategy == TERMS_SESSION,
                      u->network);
    pool_assign_waiting(pool);
    if (u->member == NULL)
        hurry(pool);
}

struct user *
user_with_session(struct pool *pool, struct user *u, const char *name, const struct pool_wish *wish)
{
    const bool is_new = !user_is_settled(u);

    if (u && u->session)
        return u;
    if (is_new)
        u = user_make(pool, u, name, wish);
    user_wake(u, is_new);
    return u;
}
