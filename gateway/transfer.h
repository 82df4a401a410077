/*
 * transfer.h - operations on a session's files, as the gateway has them: a request, bytes that go or come under flow control,
 * an end (worker/protocol.h: FILES).
 *
 * What comes is sandboxed code's: the reply is bounded and parsed as such, and is JSON of whatever form.
 */
#ifndef GATEWAY_TRANSFER_H
#define GATEWAY_TRANSFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"
#include "wire.h"

struct event_base;
struct link_peer;
struct transfer;
struct transfers;

/* In each the callee may end any transfer, and not the worker.  on_data and on_room may be NULL. */
struct transfer_ops {
    /* What it answers; borrowed.  Of a transfer of events, each of them.  After an error (transfer_error) nothing else comes. */
    void (*on_reply)(void *owner, json_t *reply);
    /* Bytes behind the reply, borrowed.  Those that the owner has done with it tells by transfer_taken. */
    void (*on_data)(void *owner, const void *data, size_t len);
    void (*on_room)(void *owner); /* more can be sent than before */
    /* It is no more.  NULL: what came is complete. */
    void (*on_end)(void *owner, const struct err *why);
};

struct transfer_spec {
    json_t *request; /* taken */
    bool events;     /* replies follow the reply, until it is ended */
};

/* Those of one worker, whose peer is borrowed. */
struct transfers *transfers_new(struct event_base *, struct link_peer *);

/* All of them end with why. */
void transfers_free(struct transfers *, const struct err *why); /* accepts NULL */

/* DATA, GRANT or ENDED of the worker.  False: it was none of what it may be. */
bool transfers_on_link(struct transfers *, char verb, const struct wire_frame *, size_t n);

/*
 * Begins one.  ops and owner are borrowed.  Nothing is called before this has returned.  ERR_BUSY: as many as there may be are
 * under way.
 */
struct transfer *transfer_start(struct transfers *, const struct transfer_spec *,
                                const struct transfer_ops *, void *owner, struct err *) must_check;

/* As many bytes may be sent now; sends them, or fewer.  ERR_PEER: the worker cannot be reached, and will be lost. */
size_t transfer_room(const struct transfer *);
int transfer_send(struct transfer *, const void *data, size_t len, struct err *) must_check;

/* That was all that goes there. */
void transfer_finish(struct transfer *);

/* So many bytes of on_data have been done with: as many more may come. */
void transfer_taken(struct transfer *, size_t len);

/* Ends it; nothing is called any more.  Accepts NULL. */
void transfer_abort(struct transfer *);

/* Whether that is an error, and which. */
bool transfer_error(const json_t *reply, struct err *err);

#endif
