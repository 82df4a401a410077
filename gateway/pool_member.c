/* pool_member.c - see pool_member.h. */
#include "pool_member.h"

#include "clock.h"
#include "kernels.h"
#include "log.h"
#include "metrics.h"
#include "pool.h"
#include "pool_assign.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "pool_user.h"
#include "store.h"
#include "worker.h"

enum { YOUNG_S = 5 }; /* a warm worker that ends before this age counts as a failed start */

void
member_save(const struct member *m)
{
    store_put_worker(m->pool->store, worker_identity(m->worker), m->kind->name);
}

void
member_cancel_outfit(struct member *m)
{
    if (m->outfit)
        m->pool->outfitter->cancel(m->outfit);
    m->outfit = NULL;
}

void
member_doom(struct member *m)
{
    if (m->list == DYING)
        return;
    member_cancel_outfit(m);
    m->user = NULL;
    member_move(&m->pool->lists, m, DYING);
    store_remove_worker(m->pool->store, worker_identity(m->worker)->id);
    worker_destroy(m->worker);
    pool_refill_soon(m->pool->refill, POOL_REFILL_DELAY_MS);
}

static void
on_worker_started(void *owner)
{
    member_save(owner);
}

static void
on_worker_ready(void *owner)
{
    struct member *m = owner;
    struct pool *pool = m->pool;

    if (!m->adopted)
        pool_refill_note_success(m->kind);
    if (m->user) {
        if (m->adopted && !m->renewing) {
            metrics_add(METRIC_SESSIONS_RECOVERED, 1);
            m->outfitted = true; /* only such are in the store */
        }
        m->renewing = false;
        pool_assign(m, m->user);
        return;
    }
    member_move(&pool->lists, m, WARM);
    pool_assign_waiting(pool);
    pool_refill_check(pool->refill);
    pool_refill_soon(pool->refill, 0);
}

static void
on_worker_lost(void *owner, const struct err *why)
{
    struct member *m = owner;
    struct pool *pool = m->pool;
    struct user *u = m->user;
    bool start_failed =
        !m->adopted && !m->renewing &&
        (m->list == STARTING || (m->list == WARM && clock_now() - m->since < YOUNG_S));

    log_info("worker %s: lost: %s", worker_identity(m->worker)->id, why->msg);
    if (m->outfit) { /* another would fare no better */
        member_doom(m);
        user_fail(u, why);
        return;
    }
    if (u && u->list == WAITING && !m->adopted && !m->renewing) {
        u->member = NULL; /* it was being made for him; he waits on */
        u = NULL;
    }
    member_doom(m);
    if (start_failed)
        pool_refill_note_failure(pool->refill, m->kind, why->msg);
    if (u)
        user_part(u, why, why->msg);
}

static void
on_worker_gone(void *owner)
{
    struct member *m = owner;
    struct pool *pool = m->pool;

    member_free(&pool->lists, m);
    pool_refill_soon(pool->refill, 0);
}

static const struct worker_ops worker_ops = {
    on_worker_started,
    on_worker_ready,
    on_worker_lost,
    on_worker_gone,
};

int
member_start(struct pool *pool, struct kernel_kind *kind, struct user *u, struct err *err)
{
    struct member *m = member_new(&pool->lists, kind, pool_lists_free_slot(&pool->lists));
    const struct worker_spec spec = {
        .kind = kind,
        .limits = u ? &u->terms.limits : NULL,
        .env = u ? u->terms.env : NULL,
        .installer = u && u->installer,
    };

    m->worker = worker_start(pool->env, m->slot, &spec, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return -1;
    }
    m->user = u;
    if (u)
        u->member = m;
    if (u || pool_lists_first_waiting(&pool->lists, kind))
        worker_prefer(m->worker);
    return 0;
}

struct member *
member_adopt(struct pool *pool, const struct store_row *row, const struct user *u, struct err *err)
{
    struct kernel_kind *kind = kernels_find(pool->kernels, row->kernel);
    const struct worker_spec spec = {
        .kind = kind, .limits = u ? &u->terms.limits : NULL, .env = u ? u->terms.env : NULL};
    struct member *m;

    if (kind == NULL || kind->spec.name == NULL) {
        err_set(err, ERR_CONFIG, "it runs the kernel %s, which is not there any more", row->kernel);
        return NULL;
    }
    /* It may have been somebody's: a write can have failed, or not have been made when the gateway was killed. */
    if (row->user == NULL) {
        err_set(err, ERR_NO_WORKER, "it is nobody's");
        return NULL;
    }
    m = member_new(&pool->lists, kind, row->identity->slot);
    m->adopted = true;
    m->worker = worker_adopt(pool->env, row->identity, &spec, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return NULL;
    }
    return m;
}
