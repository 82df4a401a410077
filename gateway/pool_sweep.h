/*
 * pool_sweep.h - the only clock of users: it ends waits that are too long, idle sessions and those whose ttl is over, mends the store,
 * and sees the last job answered.  Part of pool.h.
 */
#ifndef GATEWAY_POOL_SWEEP_H
#define GATEWAY_POOL_SWEEP_H

struct pool;
struct pool_sweep;

struct pool_sweep *pool_sweep_new(struct pool *);
void pool_sweep_free(struct pool_sweep *);

/* The pool is draining: what waits is answered, and idle called when nothing runs any more. */
void pool_sweep_drain(struct pool_sweep *, void (*idle)(void *owner), void *owner);

#endif
