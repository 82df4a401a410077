/*
 * tail.h - the last of an execution's output, when there is more of it than may go over the link: it is kept until the
 * execution is over, and what is too old by then is dropped.  The first part went over the link as it came.
 */
#ifndef WORKER_TAIL_H
#define WORKER_TAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "message.h"
#include "uplink.h"

enum { TAIL_MAX_ITEMS = 256, TAIL_MAX_BYTES = 256 << 10 };

/* A message, as RELAY's frames, or a piece of what was written to a descriptor. */
struct tail_item {
    size_t size; /* bytes that count */
    struct message *message;
    char *bytes; /* of descriptor fd, from `offset` on */
    size_t offset;
    char fd; /* '1' or '2' */
};

struct tail {
    size_t max_bytes;
    unsigned max_items;
    struct tail_item items[TAIL_MAX_ITEMS]; /* a ring */
    unsigned first, n;
    size_t bytes;
    bool dropped; /* something was, since the reset */
};

/* Empties it; from now on it keeps no more than that, at most TAIL_MAX_BYTES and TAIL_MAX_ITEMS. */
void tail_reset(struct tail *, size_t max_bytes, unsigned max_items);

/* It may keep so much more: what a first part that ended early left over. */
void tail_widen(struct tail *, size_t bytes);

/* Put something at its end.  Bytes are copied and may lose their beginning; a message of `size` bytes is moved. */
void tail_add_bytes(struct tail *, char fd, const char *bytes, size_t len);
void tail_add_message(struct tail *, struct message *relay, size_t size);

/* Sends all of it, and forgets it. */
void tail_send(struct tail *, struct uplink *);

#endif
