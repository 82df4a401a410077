/*
 * execution.h - one run of code on a kernel, from the execute_request to its last output.
 *
 * It is over when *both* the reply on shell and the idle status on iopub have come: they travel over
 * different sockets, in either order (Jupyter messaging 5.3, "Messages on the IOPub channel, Kernel status").
 */
#ifndef GATEWAY_EXECUTION_H
#define GATEWAY_EXECUTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct execution;
struct output;

enum execution_result {
    EXECUTION_OK,
    EXECUTION_RAISED,  /* the code raised an exception, or the kernel refused it */
    EXECUTION_TIMEOUT, /* time is up; the code may still be running */
    EXECUTION_BROKEN, /* the kernel says it is idle and does not reply; the code may still be running */
};

struct execution_spec {
    const char *code; /* UTF-8, copied */
    size_t code_len;
    unsigned timeout_ms; /* of running time; 0 for none */
    size_t max_output;   /* bytes */
    bool silent;         /* no output, no history, no count: for warming up */
};

/* Exactly once, as the last thing the execution does in its turn; may free the execution. */
typedef void execution_done_fn(void *owner, struct execution *, enum execution_result);

struct execution *execution_new(const struct execution_spec *, execution_done_fn *, void *owner);
void execution_free(struct execution *); /* accepts NULL; does not call the owner */

/* Starts the clock: the request is on its way.  msg_id (copied) is the parent of all that belongs to it. */
void execution_begin(struct execution *, struct event_base *, const char *msg_id);

/* A new execute_request content (Jupyter messaging 5.3, "Execute"). */
json_t *execution_request(const struct execution *);

const char *execution_msg_id(const struct execution *); /* "" before execution_begin */
unsigned execution_timeout_ms(const struct execution *);
size_t execution_max_output(const struct execution *);
struct output *execution_output(struct execution *); /* borrowed */
int execution_count(const struct execution *);       /* the kernel's In[] number; -1 = not told */

/* Feed it what came with its msg_id as parent; contents are borrowed.  After the end all of it is ignored. */
void execution_reply(struct execution *, const json_t *content);
void execution_iopub(struct execution *, const char *msg_type, const json_t *content);

/* Its idle status was published but lost on the way, and other output may be lost with it. */
void execution_idle_lost(struct execution *);

/* Raw bytes of descriptor 1 or 2 that the worker read while it ran. */
void execution_raw(struct execution *, int fd, const void *data, size_t len);

#endif
