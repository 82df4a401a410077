/*
 * feed.h - what happens in one execution, as server-sent events to whoever follows it.
 *
 * The events are in a log (eventlog.h) of bounded size, from which each follower is sent what he has not got yet, as fast as
 * he takes it.  So the log is all there is of buffers, beside HIGH_WATER bytes for each connection.  Where a follower falls
 * behind by half of the log the source is to pause, and where nobody follows the oldest events are dropped.  A follower whose
 * connection broke finds what he has missed for RESUME_MS, in which the source waits for him as if he were there.
 */
#ifndef GATEWAY_FEED_H
#define GATEWAY_FEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

struct event_base;
struct feed;
struct http_request;

enum {
    FEED_MAX_BYTES = 1 << 20,   /* of the log; one event may exceed it */
    FEED_HIGH_WATER = 64 << 10, /* bytes of a connection from which on no more is given to it */
    FEED_RESUME_MS = 10000,
    FEED_MAX_FOLLOWERS = 8,
};

/* Neither may free the feed. */
struct feed_ops {
    void (*on_pressure)(void *owner, bool pause); /* the source is to pause, or may go on */
    void (*on_alone)(
        void *owner); /* the last follower has gone before the end; called at most once a turn */
};

struct feed *feed_new(struct event_base *, size_t max_bytes, const struct feed_ops *, void *owner);
void
feed_free(struct feed *); /* accepts NULL; cuts the connections of those who have not got all */

/* Something has happened: name is static, data is taken. */
void feed_add(struct feed *, const char *name, json_t *data);

/* Nothing more will: each follower's answer ends when he has got all. */
void feed_end(struct feed *);

/*
 * Answers the request with the events after that number, and those to come.  -1, and the request is not answered, when some of
 * them are not there any more (ERR_CONFLICT), or too many follow already (ERR_BUSY).
 */
int feed_follow(struct feed *, struct http_request *, uint64_t after, struct err *) must_check;

bool feed_is_paused(const struct feed *);

/* The slowest is behind by all of the log: what a source that does not pause adds now is piled up for him. */
bool feed_is_full(const struct feed *);

size_t feed_bytes(const struct feed *);     /* of the log */
bool feed_is_followed(const struct feed *); /* by somebody who has not got all */

#endif
