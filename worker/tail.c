/* tail.c - see tail.h. */
#include "tail.h"

#include <stdlib.h>
#include <string.h>

#include "die.h"
#include "protocol.h"

enum { PIECE = 8 << 10 }; /* up to which bytes are put together */

static void *
allocate(size_t size)
{
    void *p = malloc(size);

    if (p == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    return p;
}

static void
forget_first(struct tail *t)
{
    struct tail_item *item = &t->items[t->first];

    if (item->message)
        message_clear(item->message);
    free(item->message);
    free(item->bytes);
    t->bytes -= item->size;
    t->first = (t->first + 1) % TAIL_MAX_ITEMS;
    t->n--;
}

void
tail_reset(struct tail *t, size_t max_bytes, unsigned max_items)
{
    while (t->n > 0)
        forget_first(t);
    t->max_bytes = max_bytes < TAIL_MAX_BYTES ? max_bytes : TAIL_MAX_BYTES;
    t->max_items = max_items < TAIL_MAX_ITEMS ? max_items : TAIL_MAX_ITEMS;
    t->dropped = false;
}

void
tail_widen(struct tail *t, size_t bytes)
{
    t->max_bytes += bytes;
}

/* Makes room for one more of that size, which is no larger than all there is. */
static void
make_room(struct tail *t, size_t size)
{
    while (t->n > 0 && (t->n >= t->max_items || t->bytes + size > t->max_bytes)) {
        struct tail_item *item = &t->items[t->first];
        const size_t excess = t->bytes + size > t->max_bytes ? t->bytes + size - t->max_bytes : 0;

        t->dropped = true;
        if (t->n < t->max_items && item->bytes && item->size > excess) {
            item->offset += excess;
            item->size -= excess;
            t->bytes -= excess;
        } else {
            forget_first(t);
        }
    }
}

static void
add(struct tail *t, struct tail_item item)
{
    t->items[(t->first + t->n) % TAIL_MAX_ITEMS] = item;
    t->n++;
    t->bytes += item.size;
}

/* Small pieces are put together, so that what may be kept is bytes, not reads. */
static bool
extend_last(struct tail *t, char fd, const char *bytes, size_t len)
{
    struct tail_item *last = &t->items[(t->first + t->n + TAIL_MAX_ITEMS - 1) % TAIL_MAX_ITEMS];
    const size_t end = last->offset + last->size;
    char *grown;

    if (t->n == 0 || last->bytes == NULL || last->fd != fd || end + len > PIECE ||
        t->bytes + len > t->max_bytes)
        return false;
    grown = realloc(last->bytes, end + len);
    if (grown == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    memcpy(grown + end, bytes, len);
    last->bytes = grown;
    last->size += len;
    t->bytes += len;
    return true;
}

void
tail_add_bytes(struct tail *t, char fd, const char *bytes, size_t len)
{
    struct tail_item item = {.fd = fd};

    if (t->max_items == 0 || len > t->max_bytes) {
        bytes += len - (t->max_items ? t->max_bytes : 0);
        len = t->max_items ? t->max_bytes : 0;
        t->dropped = true;
    }
    if (len == 0)
        return;
    if (extend_last(t, fd, bytes, len))
        return;
    make_room(t, len);
    item.size = len;
    item.bytes = allocate(len);
    memcpy(item.bytes, bytes, len);
    add(t, item);
}

void
tail_add_message(struct tail *t, struct message *relay, size_t size)
{
    struct tail_item item = {.size = size};

    /* What is before one that is left out is no tail of anything. */
    make_room(t, size < t->max_bytes ? size : t->max_bytes);
    if (t->max_items == 0 || size > t->max_bytes) {
        t->dropped = true;
        message_clear(relay);
        return;
    }
    item.message = allocate(sizeof(*item.message));
    item.message->n = 0;
    message_append(item.message, relay, 0);
    message_detach(item.message);
    add(t, item);
}

static void
send_bytes(const struct tail_item *item, struct uplink *uplink)
{
    const struct frame frames[] = {{&item->fd, 1}, {item->bytes + item->offset, item->size}};

    uplink_send(uplink, TCI_OUTPUT, frames, 2);
}

void
tail_send(struct tail *t, struct uplink *uplink)
{
    for (; t->n > 0; forget_first(t)) {
        const struct tail_item *item = &t->items[t->first];

        if (item->message)
            uplink_relay(uplink, item->message);
        else
            send_bytes(item, uplink);
    }
}
