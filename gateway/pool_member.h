/* pool_member.h - a worker of the pool: started or taken back, given up, and what it tells meanwhile.  Part of pool.h. */
#ifndef GATEWAY_POOL_MEMBER_H
#define GATEWAY_POOL_MEMBER_H

#include "err.h"
#include "mem.h"
#include "pool_lists.h"

struct store_row;

/* A new one, STARTING: for the user, if he needs one of his own; NULL: for nobody yet. */
int member_start(struct pool *, struct kernel_kind *, struct user *, struct err *) must_check;

/* One of an earlier gateway, which is STARTING until it has dialled home.  NULL: it cannot be taken back. */
struct member *member_adopt(struct pool *, const struct store_row *, const struct user *,
                            struct err *) must_check;

/* Puts it into the store, whose it is aside. */
void member_save(const struct member *);

/* Its user's packages are not put into it any more, if they were about to be. */
void member_cancel_outfit(struct member *);

/* Nobody's any more, and destroyed; may be called again.  Frees it, but never before this returns. */
void member_doom(struct member *);

#endif
