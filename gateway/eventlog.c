/*
 * eventlog.c - a ring that grows.  Each entry knows how many bytes came before it, so that the bytes between two of them are a
 * subtraction.
 */
#include "eventlog.h"

#include <stdbool.h>

struct entry {
    const char *name;
    char *data;
    size_t len;
    uint64_t before; /* bytes of all that came earlier, ever */
};

struct eventlog {
    size_t max_bytes;
    struct entry *ring;
    size_t size, start, n;
    uint64_t last;  /* id of the newest */
    uint64_t total; /* bytes of all, ever */
};

struct eventlog *
eventlog_new(size_t max_bytes)
{
    struct eventlog *log = xcalloc(1, sizeof(*log));

    log->max_bytes = max_bytes;
    return log;
}

void
eventlog_free(struct eventlog *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->n; i++)
        free(log->ring[(log->start + i) % log->size].data);
    free(log->ring);
    free(log);
}

static void
grow(struct eventlog *log)
{
    const size_t size = log->size ? log->size * 2 : 8;
    struct entry *ring = xcalloc(size, sizeof(*ring));

    for (size_t i = 0; i < log->n; i++)
        ring[i] = log->ring[(log->start + i) % log->size];
    free(log->ring);
    log->ring = ring;
    log->size = size;
    log->start = 0;
}

uint64_t
eventlog_add(struct eventlog *log, const char *name, char *data, size_t len)
{
    if (log->n == log->size)
        grow(log);
    log->ring[(log->start + log->n++) % log->size] = (struct entry){name, data, len, log->total};
    log->total += len + EVENTLOG_ENTRY_COST;
    return ++log->last;
}

uint64_t
eventlog_last(const struct eventlog *log)
{
    return log->last;
}

uint64_t
eventlog_first(const struct eventlog *log)
{
    return log->last + 1 - log->n;
}

size_t
eventlog_bytes(const struct eventlog *log)
{
    return log->n == 0 ? 0 : (size_t)(log->total - log->ring[log->start].before);
}

static bool
is_kept(const struct eventlog *log, uint64_t id)
{
    return id >= eventlog_first(log) && id <= log->last;
}

static const struct entry *
find(const struct eventlog *log, uint64_t id)
{
    return &log->ring[(log->start + (size_t)(id - eventlog_first(log))) % log->size];
}

size_t
eventlog_bytes_after(const struct eventlog *log, uint64_t id)
{
    if (id >= log->last)
        return 0;
    return is_kept(log, id + 1) ? (size_t)(log->total - find(log, id + 1)->before)
                                : eventlog_bytes(log);
}

int
eventlog_get(const struct eventlog *log, uint64_t id, struct eventlog_entry *out)
{
    const struct entry *e;

    if (!is_kept(log, id))
        return -1;
    e = find(log, id);
    *out = (struct eventlog_entry){id, e->name, e->data, e->len};
    return 0;
}

void
eventlog_trim(struct eventlog *log, uint64_t keep_after)
{
    while (log->n > 1 && eventlog_bytes(log) > log->max_bytes &&
           eventlog_first(log) <= keep_after) {
        free(log->ring[log->start].data);
        log->start = (log->start + 1) % log->size;
        log->n--;
    }
}
