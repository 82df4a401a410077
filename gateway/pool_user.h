/*
 * pool_user.h - a user of the pool: his session from its making to its end, and what the store has of it.  Part of pool.h.
 *
 * A user of the list LOST has no session but may have one again (user_wake); all others have one.
 */
#ifndef GATEWAY_POOL_USER_H
#define GATEWAY_POOL_USER_H

#include <stdbool.h>

#include "err.h"
#include "pool.h"
#include "pool_lists.h"
#include "terms.h"

struct kernel_kind;
struct worker;

/* There is a session, or what is left of one whose worker ended.  NULL: there is none. */
static inline bool
user_has_session(const struct user *u)
{
    return u && !u->installer && !(u->list == LOST && u->ended);
}

/* ... and what it is, is said: by whoever made it, or by the worker that it has or waits for. */
static inline bool
user_is_settled(const struct user *u)
{
    return user_has_session(u) && (u->session || u->kept);
}

/* What the session has, also where nothing was said; env is borrowed. */
struct terms user_terms(const struct user *);

/* What a session of the user, who may be NULL, would run, or runs. */
struct kernel_kind *user_kind_for(const struct pool *, const struct user *,
                                  const struct pool_wish *);

/* Puts the session into the store, and that the worker is the user's; NULL: the session has none. */
void user_save(const struct user *, const struct worker *);

/* The worker that is the user's in the store: not one that is only being made for him.  NULL: none. */
const struct worker *user_kept_worker(const struct user *);

/*
 * A session of a user who is not known, or who is only remembered: `old`, who is freed.  LOST, until he is woken.  It is a new one
 * but where `old` has lost his worker and nothing is said of what it is to be.
 */
struct user *user_make(struct pool *, struct user *old, const char *full_name,
                       const struct pool_wish *);

/* He has a worker, or waits for one.  is_new: user_make has just made him. */
void user_wake(struct user *, bool is_new);

/* The user (NULL: not known) with a session: an old one, or a new one that has a worker or waits for one. */
struct user *user_with_session(struct pool *, struct user *, const char *full_name,
                               const struct pool_wish *);

/* Gives a user of an earlier gateway, who is LOST, his session.  restarted: its next answer says so. */
void user_open_session(struct user *, struct kernel_kind *, bool restarted, bool network);

/*
 * The user's worker ended: what runs is answered with why, the history says the reason.  Who has more to run waits for another; who
 * has not is lost.
 */
void user_part(struct user *, const struct err *why, const char *reason);

/* Starts the kernel of the user's worker anew, without his files if wipe is set; he waits for it meanwhile. */
void user_renew(struct user *, bool wipe, const char *reason);

/*
 * The user has no environment any more; who waited for one is told why (NULL: that it has ended).  Whoever had one is remembered, so
 * that the next answer can tell; others are freed.
 */
void user_lose(struct user *, const struct err *why);

/* He will not get the worker that he waits for: what he wants to run is answered with why. */
void user_fail(struct user *, const struct err *why);

/* Ends session and worker, answers what runs and waits with the reason, and frees the user. */
void user_release(struct user *, const char *reason);

/* Frees the user, whose session is the caller's to end, and the store forgets him. */
void user_forget(struct user *);

#endif
