/* pool_recall.h - what an earlier gateway has left.  Part of pool.h. */
#ifndef GATEWAY_POOL_RECALL_H
#define GATEWAY_POOL_RECALL_H

#include "err.h"
#include "mem.h"

struct pool;

/*
 * Takes back the workers and users in the store, and removes every container that is none of them.  Before the first
 * pool_submit.  Blocks for the removals; for start-up.
 */
int pool_recall(struct pool *, struct err *) must_check;

#endif
