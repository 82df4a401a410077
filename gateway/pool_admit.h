/* pool_admit.h - whether a user may have a session, or one more job in it.  Part of pool.h. */
#ifndef GATEWAY_POOL_ADMIT_H
#define GATEWAY_POOL_ADMIT_H

#include "err.h"
#include "mem.h"
#include "pool.h"
#include "pool_lists.h"

struct caller;

/* The user is NULL where he is not known.  Fails as pool_submit does, and with a wish as pool_open. */
int pool_admit(const struct pool *, const struct caller *, const struct user *,
               const struct pool_wish *, struct err *) must_check;

/* The same, with regard to nothing but what the session is to be: where nothing is started or queued. */
int pool_admit_wish(const struct pool *, const struct user *, const struct pool_wish *,
                    struct err *) must_check;

/* The same, without regard to what the session is to be. */
int pool_admit_running(const struct pool *, const struct caller *, const struct user *,
                       struct err *) must_check;

#endif
