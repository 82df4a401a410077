/*
 * changes.h - what a worker says of its session's files (worker/protocol.h, CHANGES and DISK): foreign bytes, checked.  Pure.
 */
#ifndef GATEWAY_CHANGES_H
#define GATEWAY_CHANGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem.h"
#include "wire.h"

/* How much of the workspace's disk is used, in bytes. */
struct disk {
    uint64_t used, size;
    int64_t told_ms; /* when that was: milliseconds since 1970; 0: never */
};

/*
 * A new object: {"created", "changed", "deleted", "truncated"}, as an execution of /v1 shows it.  Names are bytes and JSON is
 * UTF-8: of a path that is none, what is no ASCII is '?', as in listings.  JSON's null where it cannot be told; NULL: these are no
 * frames of CHANGES.
 */
json_t *changes_parse(const struct wire_frame *, size_t n) must_check;

/* One that says that nothing has changed; everybody's, and not to be written to. */
json_t *changes_none(void) must_check;

/* False: no frames of DISK, and nothing has changed. */
bool changes_parse_disk(const struct wire_frame *, size_t n, int64_t now_ms,
                        struct disk *) must_check;

#endif
