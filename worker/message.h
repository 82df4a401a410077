/*
 * message.h - a multipart message.  Its frames are views of blocks, which several messages may share: a frame is moved or
 * shared, never copied.
 */
#ifndef WORKER_MESSAGE_H
#define WORKER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "protocol.h"

/* Bytes that go with the last who refers to them. */
struct block {
    unsigned refs;
    size_t size;
    uint8_t data[];
};

/* With one reference, the caller's.  Dies when there is no memory. */
struct block *block_new(size_t size);
void block_unref(struct block *); /* accepts NULL */

struct message {
    struct frame frames[TCI_MAX_FRAMES];
    struct block
        *blocks[TCI_MAX_FRAMES]; /* where each frame's bytes are; NULL: they live for ever */
    size_t n;
};

/* All frames go. */
void message_clear(struct message *);

/* Put a frame at the end.  There must be room.  len bytes of the block at data, which gets one more reference; or one byte. */
void message_append_bytes(struct message *, struct block *, const void *data, size_t len);
void message_append_byte(struct message *, uint8_t byte);

/* Moves the frames from `first` on to the end of another message, which must have room; these are no frames of `from` any
 * more. */
void message_append(struct message *to, struct message *from, size_t first);

/* For one that will be kept: copies its bytes into a block of their size, since it may refer to a few of a large one. */
void message_detach(struct message *);

/* Bytes of the frames from `first` on. */
size_t message_size(const struct message *, size_t first);

#endif
