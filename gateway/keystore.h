/*
 * keystore.h - the API keys there are, as hashes.  SQLite, in a file of its own: the program tci writes it, also while a
 * gateway runs, which only reads it.
 */
#ifndef GATEWAY_KEYSTORE_H
#define GATEWAY_KEYSTORE_H

#include <time.h>

#include "err.h"
#include "key.h"
#include "mem.h"

#define KEYSTORE_FILE "keys.db" /* in the state directory */

struct keystore;

struct key_row {
    char id[KEY_ID_SIZE];
    const char *name; /* for people; may be "" */
    uint8_t hash[KEY_HASH_BYTES];
    time_t created;
    time_t expires;        /* 0 = never */
    time_t revoked;        /* 0 = it is not */
    unsigned rate;         /* requests a minute; 0 = any number */
    unsigned max_sessions; /* at a time; 0 = any number */
};
typedef void key_row_fn(void *owner, const struct key_row *); /* borrowed for the call */

/* Opens path, or makes it, 0600.  A lock of another process is waited for at most wait_ms. */
struct keystore *keystore_open(const char *path, int wait_ms, struct err *) must_check;
void keystore_close(struct keystore *); /* accepts NULL */

int keystore_add(struct keystore *, const struct key_row *, struct err *) must_check;

/* Stays in the file, so that its id is never another's.  The time of the first revocation counts. */
int keystore_revoke(struct keystore *, const char *id, time_t now, struct err *) must_check;

/* All, in the order they were made.  fn must not call the store. */
int keystore_each(struct keystore *, key_row_fn *, void *owner, struct err *) must_check;

#endif
