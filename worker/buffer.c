/* buffer.c - see buffer.h. */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "framing.h"
#include "protocol.h"

void
buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

void
buffer_reserve(struct buffer *b, size_t more)
{
    const size_t used = buffer_len(b);

    if (b->data && b->begin > used) {
        memcpy(b->data, b->data + b->begin, used);
        b->begin = 0;
        b->end = used;
    }
    if (b->data && b->size - b->end >= more)
        return;
    b->size = b->end + more > 2 * b->size ? b->end + more : 2 * b->size;
    b->data = realloc(b->data, b->size);
    if (b->data == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
}

void
buffer_add(struct buffer *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    buffer_reserve(b, len);
    memcpy(b->data + b->end, data, len);
    b->end += len;
}

void
buffer_skip(struct buffer *b, size_t len)
{
    b->begin += len;
    if (b->begin == b->end)
        buffer_free(b);
}

int
buffer_send(struct buffer *b, int fd)
{
    const size_t len = buffer_len(b);
    struct iovec part = {.iov_len = len}, *iov = &part;
    size_t n = 1;

    if (len == 0)
        return 0;
    part.iov_base = b->data + b->begin;
    if (framing_send(fd, &iov, &n) < 0)
        return -1;
    buffer_skip(b, n > 0 ? len - part.iov_len : len);
    return 0;
}
