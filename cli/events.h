/*
 * events.h - a reader of server-sent events (WHATWG HTML, 9.2.6), in pieces of any size.  Pure; the bytes are foreign.
 */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include <stddef.h>

#include "gateway/err.h"
#include "gateway/mem.h"

struct events;

/* One event: its name, "message" if it has none, and its data, which ends in a NUL that is not counted.  Both are borrowed. */
typedef void events_fn(void *owner, const char *name, const char *data, size_t len);

/* max: bytes of a line, and of an event's data, more of which is an error. */
struct events *events_new(size_t max, events_fn *, void *owner);
void events_free(struct events *); /* accepts NULL */

/* The id of the last event that was handed over, or is being; "" when none had any.  One of over 63 bytes is none. */
const char *events_last_id(const struct events *);

/* -1 (ERR_PEER) for too long a line or event; what comes later is refused as well. */
int events_feed(struct events *, const char *bytes, size_t len, struct err *) must_check;

#endif
