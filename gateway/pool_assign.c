/* pool_assign.c - see pool_assign.h. */
#include "pool_assign.h"

#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "config.h"
#include "err.h"
#include "log.h"
#include "pool.h"
#include "pool_member.h"
#include "pool_record.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "pool_user.h"
#include "session.h"
#include "worker.h"

/* A session of a time when these had a network keeps its right to one, for when they have it again. */
static bool
has_network(const struct user *u)
{
    return u->network && (u->installer || u->pool->env->config->network == NETWORK_ALLOWLIST);
}

static void
hand_over(struct member *m, struct user *u)
{
    u->had_worker = true;
    user_move(&m->pool->lists, u, ACTIVE);
    u->idle_since = clock_now();
    if (has_network(u))
        worker_open_network(m->worker);
    session_attach(u->session, m->worker);
    pool_record_began(u, worker_identity(m->worker)->id);
    user_save(u, m->worker);
    pool_refill_check(m->pool->refill);
    pool_refill_soon(m->pool->refill, POOL_REFILL_DELAY_MS);
}

static void
on_outfitted(void *owner, const struct err *why)
{
    struct member *m = owner;
    struct user *u = m->user;

    m->outfit = NULL;
    m->outfitted = why == NULL;
    if (why == NULL) {
        hand_over(m, u);
        return;
    }
    log_info("worker %s: without its packages: %s", worker_identity(m->worker)->id, why->msg);
    member_doom(m);
    user_fail(u, why);
}

void
pool_assign(struct member *m, struct user *u)
{
    const struct caller owner = user_owner(u);
    struct pool *pool = m->pool;

    worker_prefer(m->worker);
    m->user = u;
    u->member = m;
    member_move(&pool->lists, m, ASSIGNED);
    if (u->terms.packages && !m->outfitted && pool->outfitter)
        m->outfit = pool->outfitter->begin(pool->outfitter_owner, m->worker, m->kind, &owner,
                                           u->terms.packages, on_outfitted, m);
    else
        hand_over(m, u);
}

/* Takes from a warm worker what the user's is not to have.  False: only one that is made for him will do. */
static bool
fit(struct member *m, struct user *u)
{
    const struct portion *l = &u->terms.limits;
    struct err err = ERR_INIT;

    if ((l->cpu <= 0 && l->memory_mb == 0) || worker_restrict(m->worker, l, &err) == 0)
        return true;
    log_debug("worker %s: not for a session with limits: %s", worker_identity(m->worker)->id,
              err.msg);
    u->own = true;
    pool_refill_soon(u->pool->refill, 0);
    return false;
}

void
pool_assign_waiting(struct pool *pool)
{
    struct user *u, *next;
    struct member *m;

    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next)
        if (u->member == NULL && !u->own &&
            (m = pool_lists_first_warm(&pool->lists, u->kind)) != NULL && fit(m, u))
            pool_assign(m, u);
}
