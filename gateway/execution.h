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
#include <stdint.h>

struct event_base;
struct execution;
struct output;

/*
 * Where all that an execution shows goes as it comes, in place of an output.  What is passed is borrowed.  None of them may end
 * the execution.  NULL where there is nothing to be done, but for on_message, and for on_input and on_changes of a spec that
 * asks for these.
 */
struct execution_sink {
    void (*on_begin)(void *owner); /* it is on its way to the kernel */
    void (*on_message)(void *owner, const char *msg_type, const json_t *content); /* of iopub */
    void (*on_raw)(void *owner, int fd, const void *data, size_t len);
    void (*on_truncated)(void *owner); /* something was left out before what comes next */
    void (*on_reply)(void *owner, const json_t *content);
    void (*on_input)(void *owner, const char *prompt, bool password); /* it waits for input */
    void (*on_changes)(void *owner, json_t *changes);                 /* changes_parse */
};

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

    /* Zero: as POST /execute has it. */
    size_t max_message;       /* bytes of one message, less than max_output */
    unsigned max_messages;    /* other than TCI_MAX_OUTPUT_MESSAGES */
    unsigned interrupt_ms;    /* of running time, after which its owner interrupts it; 0: not */
    bool watch;               /* what it does to files, and its peak of memory, are asked for */
    bool no_history;          /* not kept in the kernel's history, and not counted */
    bool input;               /* code may ask for it; on_input tells */
    json_t *user_expressions; /* an object (copied by reference): the reply has their values */
    const char *request;      /* static: another request than "execute", such as "complete", */
    json_t *content;          /* with this content (by reference) */
    const struct execution_sink *sink; /* borrowed */
    void *sink_owner;
};

/* Exactly once, as the last thing the execution does in its turn; may free the execution. */
typedef void execution_done_fn(void *owner, struct execution *, enum execution_result);

struct execution *execution_new(const struct execution_spec *, execution_done_fn *, void *owner);
void execution_free(struct execution *); /* accepts NULL; does not call the owner */

/* Starts the clock: the request is on its way.  msg_id (copied) is the parent of all that belongs to it. */
void execution_begin(struct execution *, struct event_base *, const char *msg_id);

/* A new execute_request content (Jupyter messaging 5.3, "Execute"). */
json_t *execution_request(const struct execution *);

/* What is asked for: "execute", "complete", ...; the message's type without "_request". */
const char *execution_request_type(const struct execution *);

const char *execution_msg_id(const struct execution *); /* "" before execution_begin */
unsigned execution_timeout_ms(const struct execution *);
size_t execution_max_output(const struct execution *);
unsigned execution_interrupt_ms(const struct execution *);
uint64_t execution_max_message(const struct execution *);
unsigned execution_max_messages(const struct execution *);
bool execution_is_watched(const struct execution *);
struct output *execution_output(struct execution *); /* borrowed; NULL with a sink */
int execution_count(const struct execution *);       /* the kernel's In[] number; -1 = not told */

/* Nobody listens any more: the sink is not called again. */
void execution_unplug(struct execution *);

/* A running one has no more than so much time left. */
void execution_hasten(struct execution *, unsigned ms);

/* Feed it what came with its msg_id as parent; contents are borrowed.  After the end all of it is ignored. */
void execution_reply(struct execution *, const json_t *content);
void execution_iopub(struct execution *, const char *msg_type, const json_t *content);

/* Whether that is the type of the reply to it. */
bool execution_is_answered_by(const struct execution *, const char *msg_type);

/* The code asks for input; false: nobody can give it. */
bool execution_input(struct execution *, const json_t *content);

/* The worker has left output out. */
void execution_truncated(struct execution *);

/* Its idle status was published but lost on the way, and other output may be lost with it. */
void execution_idle_lost(struct execution *);

/* What it has done to the session's files; may come several times, and the last counts. */
void execution_changes(struct execution *, json_t *changes);

/* Raw bytes of descriptor 1 or 2 that the worker read while it ran. */
void execution_raw(struct execution *, int fd, const void *data, size_t len);

#endif
