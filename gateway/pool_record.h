/* pool_record.h - what is kept of a session beside its worker: its terms, its containers, as text for the store.  Part of pool.h. */
#ifndef GATEWAY_POOL_RECORD_H
#define GATEWAY_POOL_RECORD_H

#include "mem.h"
#include "pool_lists.h"

struct kernels;

enum { POOL_RECORD_HISTORY = 20 }; /* containers that a session remembers */

/* The session has that container from now on; it has it no more, for that reason. */
void pool_record_began(struct user *, const char *container);
void pool_record_ended(struct user *, const char *reason);

/* A new string; and back: what is missing stays as it is, and of a kernel that is gone there is none. */
char *pool_record_save(const struct user *) must_check;
void pool_record_load(struct user *, const char *saved, const struct kernels *);

#endif
