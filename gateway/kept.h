/*
 * kept.h - files of sessions that have ended, each an archive in a directory, until a session of that name gets them back or they are
 * too old.
 *
 * Bounded by settings: how old one may be, how many a caller may have, how many bytes all of them together.  What is there is never
 * removed for something new: who comes when it is full is refused.
 */
#ifndef GATEWAY_KEPT_H
#define GATEWAY_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "key.h"
#include "mem.h"

/* The owner's id, '-', 64 hexadecimal digits of the session's name. */
enum { KEPT_NAME_SIZE = KEY_ID_CHARS + 1 + 64 + 1 };

struct caller;
struct config;
struct event_base;
struct kept;
struct kept_file;

/* Makes the directory if need be, and removes what was left half-written.  Reads it: for start-up.  config is borrowed. */
struct kept *kept_new(struct event_base *, const struct config *, const char *dir,
                      struct err *) must_check;
void kept_free(struct kept *); /* accepts NULL; after all its files */

/* The name under which the files of the owner's session are kept. */
void kept_name(const struct caller *owner, const char *session, char out[KEPT_NAME_SIZE]);

bool kept_has(struct kept *, const char *name);

/* A descriptor, the caller's to close, of which *size bytes are to be read; -1: there is none. */
int kept_open(struct kept *, const char *name, off_t *size, struct err *) must_check;
void kept_remove(struct kept *, const char *name); /* no error where there is none */

/*
 * A new one, which takes the place of an older one of that name with kept_commit.  ERR_FORBIDDEN: nothing is kept here.  ERR_QUOTA:
 * the owner has as many as he may.
 */
struct kept_file *kept_create(struct kept *, const char *name, struct err *) must_check;

/* ERR_NO_SPACE: there is no room for more. */
int kept_write(struct kept_file *, const void *, size_t, struct err *) must_check;

/* Takes the file, whatever comes of it. */
int kept_commit(struct kept_file *, struct err *) must_check;
void kept_abort(struct kept_file *); /* accepts NULL */

#endif
