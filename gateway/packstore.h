/*
 * packstore.h - installed packages as archives, kept in a directory for the next who wants the same: found by what was installed,
 * and used only if they are, to the last byte, what was put there.
 *
 * A file is KEY-SUM.tar: the sha256 of what it is, and of its content.  It gets that name when all of it is there.  Of all of them
 * together there are no more bytes than is allowed; those that were used longest ago go first (after a restart: that are oldest).
 */
#ifndef GATEWAY_PACKSTORE_H
#define GATEWAY_PACKSTORE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

#define PACKSTORE_KEY_SIZE 65 /* 64 hexadecimal digits, and the end */

struct event_base;
struct packstore;
struct packstore_check;
struct packstore_file;

/* Makes the directory if need be, and removes what an earlier gateway left half-written.  Reads it: for start-up. */
struct packstore *packstore_new(struct event_base *, const char *dir, struct err *) must_check;
void packstore_free(struct packstore *); /* accepts NULL; after all checks and files */

/* The key of what is said in full by a JSON object. */
void packstore_key(const json_t *what, char out[PACKSTORE_KEY_SIZE]);

/* A descriptor, the callee's to close, of which so many bytes are to be read from its beginning; -1: there is nothing usable. */
typedef void packstore_found_fn(void *owner, int fd, off_t size);

/* Looks for it, and at its content, in turns of its own.  Then it is no more. */
struct packstore_check *packstore_look(struct packstore *, const char *key, packstore_found_fn *,
                                       void *owner);
void packstore_cancel(struct packstore_check *); /* accepts NULL */

/* A new one, of at most so many bytes; it is no part of the store before packstore_commit. */
struct packstore_file *packstore_create(struct packstore *, const char *key, off_t most,
                                        struct err *) must_check;
int packstore_write(struct packstore_file *, const void *, size_t, struct err *) must_check;

/* Takes the file, whatever comes of it.  most: bytes of all of them together. */
int packstore_commit(struct packstore_file *, off_t most, struct err *) must_check;
void packstore_abort(struct packstore_file *); /* accepts NULL */

#endif
