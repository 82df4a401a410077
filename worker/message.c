/* message.c - see message.h. */
#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "die.h"

struct block *
block_new(size_t size)
{
    struct block *b = malloc(sizeof(*b) + size);

    if (b == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    b->refs = 1;
    b->size = size;
    return b;
}

void
block_unref(struct block *b)
{
    if (b && --b->refs == 0)
        free(b);
}

void
message_clear(struct message *m)
{
    for (size_t i = 0; i < m->n; i++)
        block_unref(m->blocks[i]);
    m->n = 0;
}

void
message_append_bytes(struct message *m, struct block *block, const void *data, size_t len)
{
    block->refs++;
    m->frames[m->n] = (struct frame){data, len};
    m->blocks[m->n++] = block;
}

void
message_append_byte(struct message *m, uint8_t byte)
{
    static uint8_t every[UINT8_MAX + 1];

    every[byte] = byte;
    m->frames[m->n] = (struct frame){&every[byte], 1};
    m->blocks[m->n++] = NULL;
}

void
message_append(struct message *to, struct message *from, size_t first)
{
    const size_t n = from->n - first;

    memcpy(to->frames + to->n, from->frames + first, n * sizeof(*to->frames));
    memcpy(to->blocks + to->n, from->blocks + first, n * sizeof(struct block *));
    to->n += n;
    from->n = first;
}

size_t
message_size(const struct message *m, size_t first)
{
    size_t size = 0;

    for (size_t i = first; i < m->n; i++)
        size += m->frames[i].len;
    return size;
}

void
message_detach(struct message *m)
{
    struct block *own = block_new(message_size(m, 0));
    struct message copy = {.n = 0};
    uint8_t *p = own->data;

    for (size_t i = 0; i < m->n; i++) {
        if (m->frames[i].len > 0)
            memcpy(p, m->frames[i].data, m->frames[i].len);
        message_append_bytes(&copy, own, p, m->frames[i].len);
        p += m->frames[i].len;
    }
    block_unref(own);
    message_clear(m);
    message_append(m, &copy, 0);
}
