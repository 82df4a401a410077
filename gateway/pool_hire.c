/*
 * pool_hire.c - workers for installations (pool.h: pool_hire).
 *
 * Who hires is a user of the pool, so that his worker is made, waited for, counted and ended as all are; but he is nobody's, has
 * no place in the store, and his name is none that a client could have.
 */
#include <stdio.h>

#include "caller.h"
#include "config.h"
#include "kernels.h"
#include "packagesource.h"
#include "pool.h"
#include "pool_admit.h"
#include "pool_lists.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "pool_user.h"
#include "timestamp.h"
#include "worker.h"

struct hire {
    struct pool *pool;
    char name[40];       /* of the user, who may have gone meanwhile */
    struct visit *visit; /* NULL: the worker will not come */
    visit_fn *fn;
    void *owner;
};

static void
on_visit(void *owner, struct worker *worker, const struct err *why)
{
    struct hire *hire = owner;

    if (worker == NULL)
        hire->visit = NULL;
    hire->fn(hire->owner, worker, why);
}

static struct user *
make_user(struct pool *pool, const char *name, struct kernel_kind *kind, struct err *err)
{
    static const struct caller nobody = {.key = ""};
    struct user *u = user_new(&pool->lists, name, timestamp_now(), LOST);

    user_set_kind(u, kind);
    u->installer = true;
    if (pool_admit_running(pool, &nobody, u, err) == 0)
        return u;
    user_free(&pool->lists, u);
    return NULL;
}

struct hire *
pool_hire(struct pool *pool, struct kernel_kind *kind, visit_fn *fn, void *owner, struct err *err)
{
    struct hire *hire = xcalloc(1, sizeof(*hire));
    struct packagesource source;
    struct user *u;

    hire->pool = pool;
    hire->fn = fn;
    hire->owner = owner;
    snprintf(hire->name, sizeof(hire->name), "install/%lu", pool->n_hires++);
    u = make_user(pool, hire->name, kind, err);
    if (u == NULL) {
        free(hire);
        return NULL;
    }
    user_move(&pool->lists, u, WAITING);
    user_open_session(u, kind, false,
                      packagesource_find(pool->env->config, kind->spec.packages, &source) &&
                          source.index[0]);
    u->own = true;
    hire->visit = session_visit(u->session, on_visit, hire);
    pool_refill_soon(pool->refill, 0);
    return hire;
}

struct worker *
pool_hired(const struct hire *hire)
{
    return hire->visit ? visit_worker(hire->visit) : NULL;
}

void
pool_dismiss(struct hire *hire)
{
    struct user *u;

    if (hire == NULL)
        return;
    visit_end(hire->visit);
    u = user_find(&hire->pool->lists, hire->name);
    if (u)
        user_release(u, "The installation is over");
    free(hire);
}
