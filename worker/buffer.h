/* buffer.h - bytes that wait to be sent or to be taken apart: added at the end, taken from the beginning. */
#ifndef WORKER_BUFFER_H
#define WORKER_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* All zero: empty.  One that is empty holds no memory, since a large message is a rare one. */
struct buffer {
    uint8_t *data;
    size_t begin, end, size; /* data[begin..end) is in use */
};

static inline size_t
buffer_len(const struct buffer *b)
{
    return b->end - b->begin;
}

/* Makes room for `more` bytes behind the end.  Dies when there is no memory, as buffer_add does. */
void buffer_reserve(struct buffer *, size_t more);
void buffer_add(struct buffer *, const void *, size_t len);

/* Takes len bytes, which are there, from the beginning. */
void buffer_skip(struct buffer *, size_t len);
void buffer_free(struct buffer *); /* empties it */

/* Sends of it what the socket takes now (framing_send).  -1 when the connection is lost. */
int buffer_send(struct buffer *, int fd) __attribute__((warn_unused_result));

#endif
