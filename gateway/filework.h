/*
 * filework.h - a request about a session's files, from the handler to the answer: waits for the session's worker, has the operation
 * done there (transfer.h), and sees to it that whatever ends first takes the rest with it.
 */
#ifndef GATEWAY_FILEWORK_H
#define GATEWAY_FILEWORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "audit_event.h"
#include "err.h"

struct api;
struct http_request;
struct http_stream;
struct filework;
struct transfer;
struct v1_session;

/* What is particular to a kind of request.  All but on_reply may be NULL. */
struct filework_kind {
    const char *action;                  /* for the audit log; NULL: it is not worth one */
    bool events;                         /* transfer_spec.events */
    void (*on_begun)(struct filework *); /* the operation has: bytes may go */
    /* What it answered, which is no error.  Answers the request, by filework_end or by a stream. */
    void (*on_reply)(struct filework *, json_t *reply);
    /* ... that the file has no such part: that error.  Answers as on_reply does. */
    void (*on_no_range)(struct filework *, json_t *reply, const struct err *);
    void (*on_data)(struct filework *, const void *, size_t);
    void (*on_room)(struct filework *);
    /* The operation is over, in good order: whatever has not been answered by then goes wrong without this. */
    void (*on_over)(struct filework *);
    void (*free)(void *state);
};

struct filework {
    struct api *api;
    const struct filework_kind *kind;
    struct http_request *request; /* NULL: it has been answered, or is a stream's */
    struct http_stream *stream;   /* NULL: there is none */
    struct transfer *transfer;    /* NULL: it has not begun, or is over */
    struct visit *visit;
    json_t *ask; /* the operation, until it begins */
    struct audit_event event;
    void *state; /* the kind's own */
};

/*
 * Begins it, for the session of v1_find_session.  ask (taken) is the operation's request (NULL: on_begun begins the first one, by
 * filework_next), path what the audit log calls it.  The
 * work, or NULL after the request has been answered with an error; then state (taken) has been freed.
 */
struct filework *filework_begin(struct api *, struct http_request *, const struct v1_session *,
                                const char *who, const struct filework_kind *, json_t *ask,
                                const char *path, void *state);

/* The next operation, when the reply of the one before has been had.  -1: the work has ended in an error. */
int filework_next(struct filework *, json_t *ask) __attribute__((warn_unused_result));

/* Each ends the work and what it waits for, and is the last thing done to it. */
void filework_end(struct filework *, int status, json_t *body); /* body taken; NULL: none */
void filework_fail(struct filework *, const struct err *);
void filework_done(struct filework *, int status); /* it has been answered */

#endif
