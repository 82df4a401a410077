/*
 * pool.h - all users and all workers: who has which, who waits, and how many are kept warm.
 *
 * Every state is a list.  A worker is starting, warm, assigned or dying; a user is waiting for a worker, active
 * with one, or lost: remembered so that the next answer can say that the earlier state is gone.
 *
 * A user is one of his caller's: the same name under another API key, or the master token, is another user.
 */
#ifndef GATEWAY_POOL_H
#define GATEWAY_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"
#include "session.h"
#include "terms.h"
#include "worker.h"

struct caller;
struct kernel_kind;
struct kernels;
struct outfit;
struct pool;
struct store;

/*
 * env, kernels and store are borrowed and must outlive the pool.  Nothing is started yet.  In doubt: users that are not in the store
 * may have had a session, so the first answer to each of them says `restarted`.
 */
struct pool *pool_new(const struct worker_env *, struct kernels *, struct store *, bool in_doubt);

/* Answers what waits and frees the memory; containers live on for the next gateway. */
void pool_free(struct pool *); /* accepts NULL */

/* Containers may be started from now on; after pool_recall, where there is something to take back. */
void pool_start(struct pool *);

/* SIGHUP: the configuration has changed. */
void pool_reconfigure(struct pool *);

/*
 * Runs code in the user's session, which is made if need be.  ERR_NO_WORKER: as many users as there may be workers
 * have one; ERR_QUOTA: the caller has as many as he may; ERR_BUSY: the session's queue is full; ERR_FORBIDDEN, ERR_CONFLICT: the
 * network that spec wants is not to be had, or not what the session has.  The user must be valid (body.h).  done is never
 * called before this returns; job_cancel takes the job back.
 */
struct job *pool_submit(struct pool *, const struct caller *, const char *user,
                        const struct job_spec *, job_done_fn *done, void *owner,
                        struct err *) must_check;

/* What a session is to be.  Of one that there is already: what it must be. */
struct pool_wish {
    struct kernel_kind *kind; /* NULL: nothing is said of it */
    enum network_mode network;
    const struct terms
        *terms;        /* NULL: nothing, and the session is one that goes with what it runs */
    bool has_strategy; /* that of the terms is meant */
};

struct pool_change {
    bool forever;        /* no ttl any more */
    double ttl;          /* seconds from now; 0: as it is */
    double idle_timeout; /* seconds; 0: as it is */
};

/*
 * Makes the user's session if there is none, or it has lost its environment; it has a worker at once, or waits for one.  *made:
 * there was none; else nothing is started.  Fails as pool_submit does, but for want of room or of workers only if it is to be made;
 * and with ERR_CONFLICT and the field where there is a session that is not as it is wished for.
 */
int pool_open(struct pool *, const struct caller *, const char *user, const struct pool_wish *,
              bool *made, struct err *) must_check;

/* Somebody is to work on the files of the user's session, which gets a worker if it has none.  Fails as pool_submit does. */
struct visit *pool_visit(struct pool *, const struct caller *, const char *user, visit_fn *,
                         void *owner, struct err *) must_check;

/* NULL: the packages are in the worker, whose kernel knows of them.  The outfit is no more.  In a turn of its own. */
typedef void pool_outfitted_fn(void *owner, const struct err *why);

/* Who puts a session's packages into the workers that it gets, before it gets them. */
struct pool_outfitter {
    /*
     * groups: terms.packages, to be kept by reference; the session's owner is to be copied; all else is borrowed until the end.  Calls
     * nobody before it returns.
     */
    struct outfit *(*begin)(void *owner, struct worker *, struct kernel_kind *,
                            const struct caller *, json_t *groups, pool_outfitted_fn *done,
                            void *done_owner);
    void (*cancel)(struct outfit *); /* done is not called */
};

/* Borrowed; before pool_recall.  Without one there are no packages. */
void pool_set_outfitter(struct pool *, const struct pool_outfitter *, void *owner);

/*
 * The session has these packages (requirement.h) too, and its next workers get them; code, if there is some, is run in the kernel
 * that it has before all that is submitted from now on.  ERR_NOT_FOUND: there is no session; ERR_CONFLICT: it has too many.
 */
int pool_add_packages(struct pool *, const struct caller *, const char *user, json_t *group,
                      const char *code, struct err *) must_check;

/* What the session runs, borrowed; NULL: there is no session. */
struct kernel_kind *pool_kind(const struct pool *, const struct caller *, const char *user);

/* Whether it has a worker, or is to have one also while nothing runs: else packages need not be put anywhere now. */
bool pool_keeps_worker(const struct pool *, const struct caller *, const char *user);

/* A worker that no session has or will have, for the installation of packages. */
struct hire;

/*
 * One of that kernel is made; fn is told when it is READY, or why it will not be, as visits.h has it.  Fails as pool_submit does.
 */
struct hire *pool_hire(struct pool *, struct kernel_kind *, visit_fn *, void *owner,
                       struct err *) must_check;
struct worker *pool_hired(const struct hire *); /* NULL: it is not READY, or has ended */
void pool_dismiss(struct hire *);               /* the worker ends; accepts NULL */

/* The user, by his name in full (pool_lists.h), is about to get a session that is none's continuation. */
typedef void pool_new_session_fn(void *owner, const char *full_name);

/* Who keeps what belongs to a session by its name is told when that is another's.  Borrowed. */
void pool_on_new_session(struct pool *, pool_new_session_fn *, void *owner);

/* Whether the user has a session, be it one whose worker has ended. */
bool pool_has_session(const struct pool *, const struct caller *, const char *user);

/* The same by the user's name in full (pool_lists.h). */
bool pool_has_session_named(const struct pool *, const char *full_name);

/*
 * Whether the user's session runs Python, or one that pool_submit would make.  Also where its kernel.json cannot be read: whoever
 * goes on as with Python is told so by pool_submit.
 */
bool pool_is_python(const struct pool *, const struct caller *, const char *user);
/*
 * Starts the session's kernel anew, in the same container if there is one; what runs is answered with ERR_WORKER_DIED.
 * ERR_NOT_FOUND: there is no session.
 */
int pool_restart(struct pool *, const struct caller *, const char *user, struct err *) must_check;

/* ERR_NOT_FOUND: there is no session. */
int pool_change(struct pool *, const struct caller *, const char *user, const struct pool_change *,
                struct err *) must_check;

/* What an execution may have at most in that session, if there is one: seconds of running time are returned. */
double pool_most(const struct pool *, const struct caller *, const char *user,
                 struct allowance *most);

/* Whether a job may have limits of its own (job_spec.limits) on this host. */
bool pool_limits_executions(const struct pool *);

/* Ends the user's session, answering what runs and waits in it, and forgets the user. */
void pool_release(struct pool *, const struct caller *, const char *user);

/* No job is accepted any more; idle tells when the last one has been answered. */
void pool_drain(struct pool *, void (*idle)(void *owner), void *owner);

/* Once it drains, and is not to take any longer: all that is asked for is answered.  Workers go on with what they run. */
void pool_cut(struct pool *);

/* Since the start as many have been warm at once as are wanted, or as there was room for. */
bool pool_is_ready(const struct pool *);

/* A new object: GET /status.  The master token sees all sessions, a key its own. */
json_t *pool_status(const struct pool *, const struct caller *);

/* A new object: the session as /v1 has it; NULL: there is none. */
json_t *pool_session(const struct pool *, const struct caller *, const char *user);

/*
 * A new array of such, the oldest first: what is behind the cursor `after` (0: from the first on), at most limit of them.
 * *next: the cursor for those that follow; 0: there are none.  The master token sees all sessions, a key its own.
 */
json_t *pool_sessions(const struct pool *, const struct caller *, unsigned long long after,
                      unsigned limit, unsigned long long *next);

/* A new array: the kernels, as GET /v1/kernels has them. */
json_t *pool_kernels(const struct pool *);

void pool_gauge(const struct pool *); /* sets the metrics' gauges */

#endif
