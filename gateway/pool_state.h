/*
 * pool_state.h - what the parts of a pool have in common.  Part of pool.h, and for its parts alone.
 *
 *   a worker:  starting ──▶ warm ──▶ assigned ──▶ dying ──▶ gone       (from any state to dying)
 *   a user:    waiting ⇄ active ──▶ lost                               (from any state forgotten: user_release)
 *
 * pool_lists has who is in which state.  pool_member says what becomes of a worker, pool_user what becomes of a user, pool_assign
 * brings the two together; pool_refill alone decides how many workers there are, and pool_sweep is the only clock of users.
 */
#ifndef GATEWAY_POOL_STATE_H
#define GATEWAY_POOL_STATE_H

#include <stdbool.h>

#include "pool.h"
#include "pool_lists.h"

struct kernels;
struct pool_outfitter;
struct pool_refill;
struct pool_sweep;
struct store;
struct worker_env;

struct pool {
    const struct worker_env *env; /* borrowed, as are these two */
    struct kernels *kernels;
    struct store *store;
    bool in_doubt; /* who is not known may have had a session */
    bool draining; /* no job is accepted any more, and no worker started */
    struct pool_lists lists;
    struct pool_refill *refill;
    struct pool_sweep *sweep;
    const struct pool_outfitter *outfitter; /* NULL: there are no packages */
    void *outfitter_owner;
    pool_new_session_fn *on_new_session; /* NULL: nobody is to be told */
    void *on_new_session_owner;
    unsigned long n_hires; /* ever */
};

extern const char pool_shutting_down[]; /* what is said then */

#endif
