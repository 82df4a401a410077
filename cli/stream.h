/*
 * stream.h - the events of one execution, over as many connections as it takes.
 *
 * The execution is made to outlive its connection, with an Idempotency-Key.  Where one breaks, the next asks for what comes
 * after the last event (Last-Event-ID); before there was any, the request is sent again, which finds what it has made.  So
 * nothing is lost or doubled, as long as the server keeps what was missed (gateway/feed.h).
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <jansson.h>

#include "client.h"
#include "events.h"

struct stream;

struct stream_ops {
    events_fn *on_event;          /* must not use the client */
    void (*on_turn)(void *owner); /* after every turn of the wait, to do what events gave rise to */
    int (*input_fd)(void *owner); /* what else is waited for before the next turn; -1: nothing */
    int (*on_interrupt)(void *owner);                  /* -1: enough of it */
    void (*on_trouble)(void *owner, const char *what); /* it takes a while to be connected again */
};

/* path: that of the session's executions; body: the request, taken.  Both structures are borrowed. */
struct stream *stream_new(struct client *, const char *path, json_t *body,
                          const struct stream_ops *, void *owner);
void stream_free(struct stream *); /* accepts NULL */

/* From the request to the event "end". */
int stream_run(struct stream *, struct err *) must_check;

/* The execution's id; NULL: nobody knows yet. */
const char *stream_id(const struct stream *);

/*
 * Ends the execution that is not followed to its end, if there is one; false: nobody can tell whether it has ended.  Takes one Ctrl-C
 * for one more that the code was to have.
 */
bool stream_cancel(struct stream *);

#endif
