/*
 * history.h - answers of executions that are over, in files, for the gateway that comes after this one.
 *
 * Each session (by its name in full, which has no line feed) has files of its own in DIR, HASH.NUMBER with 0600, each begun when
 * the one before has HISTORY_FILE_BYTES:
 *
 *   tci-history 1 NAME\n
 *   + LENGTH-OF-KEY LENGTH-OF-ANSWER ENDED HASH SERIAL\n KEY ANSWER \n       a record, as often as there are some; "-": it was erased
 *
 * A file goes when no record of it is wanted any more.  What is written is with the host's kernel when a verb returns, and is not
 * flushed: it outlives this process, and not a power failure.  A record that cannot be written is not kept, which is logged.
 */
#ifndef GATEWAY_HISTORY_H
#define GATEWAY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct history;
struct history_file;

enum { HISTORY_FILE_BYTES = 256 << 10, HISTORY_KEY_MAX = 128, HISTORY_HASH_BYTES = 32 };

struct history_record { /* borrowed */
    const char *key;    /* without a NUL, at most HISTORY_KEY_MAX bytes */
    uint8_t hash[HISTORY_HASH_BYTES];
    const char *answer;
    size_t len;
    int64_t ended;             /* milliseconds since 1970 */
    unsigned long long serial; /* the owner's; where none was written: as ended */
};

/* Where a record is; {NULL}: nowhere. */
struct history_place {
    struct history_file *file;
    off_t at, body, end; /* of its line, of what is behind that, and behind all of it */
};

/* Makes the directory if need be. */
struct history *history_new(const char *dir, struct err *) must_check;
void history_free(struct history *); /* accepts NULL; the files stay */

/* One record; the place is to be kept until history_drop. */
typedef void history_found_fn(void *owner, const char *session, const struct history_record *,
                              const struct history_place *);

/* All that an earlier gateway has left, each session's the oldest first; once, before history_add.  Blocks: for start-up. */
void history_read(struct history *, history_found_fn *, void *owner);

/* All files of the directory, where there is one, go: there are no sessions any more. */
void history_remove(const char *dir);

struct history_place history_add(struct history *, const char *session,
                                 const struct history_record *);

/* The record is not wanted any more; *place is nowhere then.  erase: nor is it to be left in a file that stays. */
void history_drop(struct history *, struct history_place *, bool erase);

#endif
