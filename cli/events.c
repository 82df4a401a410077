/* events.c - see events.h. */
#include "events.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *bytes;
    size_t len, size;
};

struct events {
    size_t max;
    events_fn *on_event;
    void *owner;
    struct text line, data;
    char name[64], id[64], last_id[64];
    bool begun;    /* the first line has been seen */
    bool after_cr; /* a line feed that comes next belongs to the end of the line before */
    bool broken;
};

static int
append(const struct events *e, struct text *t, const char *bytes, size_t len)
{
    if (len > e->max - t->len)
        return -1;
    if (t->len + len + 1 > t->size) {
        t->size = 2 * (t->len + len + 1);
        t->bytes = xrealloc(t->bytes, t->size);
    }
    if (len > 0)
        memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
    t->bytes[t->len] = '\0';
    return 0;
}

/* An event without data is none. */
static void
dispatch(struct events *e)
{
    memcpy(e->last_id, e->id, sizeof(e->id));
    if (e->data.len > 0) {
        e->data.bytes[--e->data.len] = '\0'; /* the last line feed */
        e->on_event(e->owner, e->name[0] ? e->name : "message", e->data.bytes, e->data.len);
    }
    e->data.len = 0;
    e->name[0] = '\0';
}

static int
take_field(struct events *e, const char *field, size_t len, const char *value, size_t value_len)
{
    if (len == 5 && memcmp(field, "event", 5) == 0) {
        snprintf(e->name, sizeof(e->name), "%.*s", (int)(value_len < 63 ? value_len : 63), value);
        return 0;
    }
    if (len == 2 && memcmp(field, "id", 2) == 0) {
        if (value_len < sizeof(e->id) && memchr(value, '\0', value_len) == NULL)
            snprintf(e->id, sizeof(e->id), "%.*s", (int)value_len, value);
        return 0;
    }
    if (len != 4 || memcmp(field, "data", 4) != 0)
        return 0; /* retry, what is unknown, and comments, whose field is "" */
    return append(e, &e->data, value, value_len) < 0 ? -1 : append(e, &e->data, "\n", 1);
}

static int
take_line(struct events *e)
{
    const char *line = e->line.bytes ? e->line.bytes : "", *colon, *value;
    size_t len = e->line.len;

    if (!e->begun && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3, len -= 3;
    e->begun = true;
    e->line.len = 0;
    if (len == 0) {
        dispatch(e);
        return 0;
    }
    colon = memchr(line, ':', len);
    if (colon == NULL)
        return take_field(e, line, len, line + len, 0);
    value = colon + 1;
    if (value < line + len && *value == ' ')
        value++;
    return take_field(e, line, (size_t)(colon - line), value, (size_t)(line + len - value));
}

/* Up to the end of a line, or of what there is: how many bytes that were; -1 when it is too much. */
static ptrdiff_t
take_piece(struct events *e, const char *bytes, size_t len)
{
    size_t n = 0;

    if (e->after_cr && bytes[0] == '\n') {
        e->after_cr = false;
        return 1;
    }
    e->after_cr = false;
    while (n < len && bytes[n] != '\n' && bytes[n] != '\r')
        n++;
    if (append(e, &e->line, bytes, n) < 0)
        return -1;
    if (n == len)
        return (ptrdiff_t)n;
    e->after_cr = bytes[n] == '\r';
    return take_line(e) < 0 ? -1 : (ptrdiff_t)n + 1;
}

struct events *
events_new(size_t max, events_fn *on_event, void *owner)
{
    struct events *e = xcalloc(1, sizeof(*e));

    e->max = max;
    e->on_event = on_event;
    e->owner = owner;
    return e;
}

void
events_free(struct events *e)
{
    if (e == NULL)
        return;
    free(e->line.bytes);
    free(e->data.bytes);
    free(e);
}

const char *
events_last_id(const struct events *e)
{
    return e->last_id;
}

int
events_feed(struct events *e, const char *bytes, size_t len, struct err *err)
{
    while (len > 0 && !e->broken) {
        ptrdiff_t n = take_piece(e, bytes, len);

        if (n < 0) {
            e->broken = true;
            break;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return e->broken
               ? err_set(err, ERR_PEER, "The server sends an event of more than %zu bytes", e->max)
               : 0;
}
