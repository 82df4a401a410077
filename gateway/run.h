/*
 * run.h - an execution as /v1 has it: the job, what it shows, its tests, and what is known of it when it is over.
 *
 *   QUEUED ─▶ RUNNING ⇄ WAITING (for input) ─▶ DONE
 *
 * It is of several steps, each an execution of its own in the session's turn: the code, then its tests; with an environment of
 * its own, this is set before the code and taken back after it.
 */
#ifndef GATEWAY_RUN_H
#define GATEWAY_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

struct body_run;
struct caller;
struct config;
struct event_base;
struct http_request;
struct pool;
struct run;

enum {
    RUN_ID_SIZE = 35,            /* x- and 32 hexadecimal digits */
    RUN_MAX_CODE = 4 << 10,      /* bytes of its code that are remembered */
    RUN_STREAM_KEPT = 256 << 10, /* bytes of a streamed one's outputs that are in its answer */
    RUN_MAX_INPUT = 1 << 20,     /* bytes that wait to be read by it */
};

struct run_parts { /* borrowed */
    struct event_base *base;
    const struct config *config;
    struct pool *pool;
};

/* Once, when it is DONE; not from run_start.  The last thing that it does in its turn. */
typedef void run_done_fn(void *owner, struct run *);

struct run_spec {
    const struct caller *caller;
    const char *session;
    const struct body_run *body;
    const char *id;     /* of RUN_ID_SIZE - 1 characters */
    json_t *findings;   /* of the scan; NULL = none */
    double max_timeout; /* seconds that a test may take */
    bool
        streamed; /* its events are asked for: more output is let through, and less of it is kept */
    bool lives_on; /* though nobody follows it any more */
    bool python;
};

/* Copies what it needs.  NULL: pool_submit's errors, and those of its tests. */
struct run *run_start(const struct run_parts *, const struct run_spec *, run_done_fn *done,
                      void *owner, struct err *) must_check;

/* One that is DONE, by the answer that an earlier gateway gave; it has no events.  NULL: that is no answer. */
struct run *run_recall(const char *answer, size_t len) must_check;

/* Accepts NULL.  One that is not DONE is cancelled, without a word to its owner. */
void run_free(struct run *);

/* Nobody wants to hear of its end any more. */
void run_disown(struct run *);

/* A queued one does not run, a running one is interrupted; it is DONE at once, and its owner is told before this returns. */
void run_cancel(struct run *);

/* KeyboardInterrupt; what does not end within the grace ends with its environment.  ERR_CONFLICT: it does not run. */
int run_interrupt(struct run *, double grace, struct err *) must_check;

/* The next line that it reads; NULL: its end.  ERR_CONFLICT: it is not to be asked, or is over.  ERR_BUSY: too much waits. */
int run_input(struct run *, const json_t *line, struct err *) must_check;

/* feed_follow; ERR_CONFLICT: it has no events, or not any more. */
int run_follow(struct run *, struct http_request *, uint64_t after, struct err *) must_check;
bool run_is_followed(const struct run *);
void run_forget_events(struct run *); /* of one that is DONE */

const char *run_id(const struct run *);
bool run_is_done(const struct run *);
bool run_is_queued(const struct run *);

/* "ok", "error", "timeout", "died", "cancelled" or "rejected"; NULL before it is DONE; static. */
const char *run_status(const struct run *);

/* Why it could not be run, or not to its end; its code is ERR_NONE otherwise. */
const struct err *run_error(const struct run *);

/* A new object: what it is and how it stands, without what it has shown. */
json_t *run_summary(const struct run *) must_check;

/* The whole answer as JSON; NULL before it is DONE.  Borrowed. */
const char *run_answer(const struct run *, size_t *len);

/* Bytes of memory that one that is DONE takes. */
size_t run_bytes(const struct run *);

#endif
