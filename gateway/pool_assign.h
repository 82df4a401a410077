/* pool_assign.h - users and workers brought together.  Part of pool.h. */
#ifndef GATEWAY_POOL_ASSIGN_H
#define GATEWAY_POOL_ASSIGN_H

#include "pool_lists.h"

/* The worker is ready, and from now on the user's: at once, or when his packages are in it. */
void pool_assign(struct member *, struct user *);

/* Who waits gets what is warm and fits, in the order in which they came. */
void pool_assign_waiting(struct pool *);

#endif
