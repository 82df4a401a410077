/*
 * wire.h - Jupyter message framing and signatures (Jupyter messaging protocol 5.3, "The Wire
 * Protocol").  Pure: no sockets, no event loop.
 *
 *   <IDS|MSG> | HMAC-SHA256 hex of the next four | header | parent_header | metadata | content | buffers
 */
#ifndef GATEWAY_WIRE_H
#define GATEWAY_WIRE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

#define WIRE_N_FRAMES 6 /* frames of a message that we build: no buffers */

struct wire_frame { /* bytes of one frame, borrowed */
    const void *data;
    size_t len;
};

struct wire_key {
    uint8_t bytes[64]; /* as in the connection file: the characters of its "key" */
    size_t len;
};

struct wire_msg { /* owns its objects */
    json_t *header, *parent, *content;
};

/* The parent header that came last: all messages of an execution have the same.  Zero = none; wire_memo_clear in the end. */
struct wire_memo {
    char *text;
    size_t len;
    json_t *object;
};

/*
 * Frames start at the delimiter; metadata and buffers are not looked into.  Verifies the signature in constant time, and only
 * then parses.  On failure returns -1, fills *err (ERR_PEER) and leaves *out cleared.  What user code can put
 * into a kernel's JSON without the kernel being at fault is mended, not refused: reader.h has the rules.
 */
int wire_decode(const struct wire_key *, struct wire_memo *, const struct wire_frame *, size_t n,
                struct wire_msg *out, struct err *) must_check;
void wire_memo_clear(struct wire_memo *); /* idempotent */

/* Drops the objects and zeroes the struct.  Safe to call twice. */
void wire_msg_clear(struct wire_msg *);

/* A message to send: owns its strings, frames point at them. */
struct wire_encoded {
    struct wire_frame frames[WIRE_N_FRAMES];
    char *owned[WIRE_N_FRAMES];
};

/*
 * Builds and signs a message.  session, msg_id and msg_type have no character that JSON escapes; parent is a header object
 * or NULL for none; content is borrowed.
 * username is "tci", version "5.3", date now in UTC.
 */
void wire_encode(const struct wire_key *, const char *session, const char *msg_id,
                 const char *msg_type, const json_t *parent, const json_t *content,
                 struct wire_encoded *out);
void wire_encoded_clear(struct wire_encoded *); /* idempotent */

#endif
