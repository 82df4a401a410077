/*
 * visits.h - those who work beside a session's queue, on its files: each waits until there is a worker, and keeps the session from
 * being taken for idle until it is done.  Part of session.h.
 */
#ifndef GATEWAY_VISITS_H
#define GATEWAY_VISITS_H

#include "err.h"

struct event_base;
struct visit;
struct visits;
struct worker;

/*
 * The worker is here, READY; or NULL: it will not come, for the reason why, and the visit is no more.  Must not end the session
 * or the worker.
 */
typedef void visit_fn(void *owner, struct worker *, const struct err *why);

struct visits *visits_new(struct event_base *);
void visits_free(struct visits *,
                 const struct err *why); /* those that wait are told; accepts NULL */

/* fn is called in a turn of its own. */
struct visit *visits_add(struct visits *, visit_fn *, void *owner);

/* Those that wait are told. */
void visits_fail(struct visits *, const struct err *why);

/* The session has this worker now; NULL: none.  Those who have met a worker that ended hear of it from their transfers. */
void visits_attach(struct visits *, struct worker *);

unsigned visits_count(const struct visits *);

/* The worker that it met, if that is the session's still; NULL: it is not. */
struct worker *visit_worker(const struct visit *);

/* Done, or not wanted any more; fn is not called any more.  Accepts NULL, and one whose session has ended. */
void visit_end(struct visit *);

#endif
