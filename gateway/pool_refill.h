/*
 * pool_refill.h - how many workers there are to be, and of which kernels.  Part of pool.h.
 *
 * It alone decides how many containers start; that is an event of its own, after whatever changed the counts.
 */
#ifndef GATEWAY_POOL_REFILL_H
#define GATEWAY_POOL_REFILL_H

#include <stdbool.h>

struct kernel_kind;
struct pool;
struct pool_refill;

enum { POOL_REFILL_DELAY_MS = 30 }; /* after an assignment: the user's first answer goes first */

struct pool_refill *pool_refill_new(struct pool *);
void pool_refill_free(struct pool_refill *);

/* Containers may be started from now on. */
void pool_refill_start(struct pool_refill *);

/* Kernelspecs or settings have changed: more warm workers than wanted now are let go; too few are started. */
void pool_refill_reconfigure(struct pool_refill *);

/* The counts have changed.  Soon, but no sooner than an assignment's delay that is pending already. */
void pool_refill_soon(struct pool_refill *, unsigned ms);

/* Looks whether as many are warm as are wanted, or as there is room for beside those in use; once they have been, it is filled. */
void pool_refill_check(struct pool_refill *);
bool pool_refill_is_filled(const struct pool_refill *);

/* How many of the kind are kept warm. */
unsigned pool_refill_warm_target(const struct pool *, const struct kernel_kind *);

/* The kind's next start is put off; after some in a row, who waits for a worker of it is told the reason. */
void pool_refill_note_failure(struct pool_refill *, struct kernel_kind *, const char *reason);

void pool_refill_note_success(struct kernel_kind *);

/* It has come to that, and the next try is not due yet: whoever asks then is what it is made for. */
bool pool_refill_has_failed(const struct kernel_kind *);

#endif
