/*
 * eventlog.h - what happened, numbered from 1, of which the newest is kept: a bound of bytes, over which the oldest goes.  Who
 * follows it says which number he has got to, and is told when what he asks for is not there any more.  Pure.
 */
#ifndef GATEWAY_EVENTLOG_H
#define GATEWAY_EVENTLOG_H

#include <stddef.h>
#include <stdint.h>

#include "mem.h"

enum { EVENTLOG_ENTRY_COST = 64 }; /* bytes that an event counts for beside its data */

struct eventlog;

struct eventlog_entry { /* borrowed until the next eventlog_add or _trim */
    uint64_t id;
    const char *name; /* static */
    const char *data; /* one line of JSON */
    size_t len;
};

struct eventlog *eventlog_new(size_t max_bytes);
void eventlog_free(struct eventlog *); /* accepts NULL */

/* Takes data (malloc).  name is static.  Drops nothing: eventlog_trim does. */
uint64_t eventlog_add(struct eventlog *, const char *name, char *data, size_t len);

/* Drops the oldest while there are more bytes than may be, but none with an id above `keep_after`, nor the newest. */
void eventlog_trim(struct eventlog *, uint64_t keep_after);

uint64_t eventlog_last(const struct eventlog *);  /* the newest id; 0: there was none */
uint64_t eventlog_first(const struct eventlog *); /* the oldest that is kept; last + 1: none is */
size_t eventlog_bytes(const struct eventlog *);   /* kept */

/* Bytes of those above `id`. */
size_t eventlog_bytes_after(const struct eventlog *, uint64_t id);

/* The one with that id.  0: there it is.  -1: it is not kept any more, or there was none yet. */
int eventlog_get(const struct eventlog *, uint64_t id, struct eventlog_entry *out) must_check;

#endif
