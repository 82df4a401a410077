/* pool_status.h - what can be seen of a pool's lists.  Part of pool.h. */
#ifndef GATEWAY_POOL_STATUS_H
#define GATEWAY_POOL_STATUS_H

#include <jansson.h>

#include "mem.h"
#include "pool_lists.h"

struct caller;

/* A new array: the sessions, as GET /status has them; those of the caller's key, all for the master token. */
json_t *pool_status_sessions(const struct pool_lists *, const struct caller *) must_check;

/*
 * A new object: a session, or what is left of one, as /v1 has it.  The terms are those that hold for it; in full: with what its
 * container uses, and those before.
 */
json_t *pool_status_session(const struct user *, const struct terms *, bool in_full) must_check;

/* A new object: a kernel, as GET /v1/kernels has it.  source: the server has one of packages. */
json_t *pool_status_kernel(const struct pool_lists *, const struct kernel_kind *, bool standard,
                           bool source, unsigned warm_target) must_check;

void pool_status_gauge(const struct pool_lists *); /* sets the metrics' gauges */

#endif
