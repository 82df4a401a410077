/* database.h - SQLite files of ours: private, and of a known layout. */
#ifndef GATEWAY_DATABASE_H
#define GATEWAY_DATABASE_H

#include <sqlite3.h>

#include "err.h"
#include "mem.h"

struct database_layout {
    int version;          /* kept as user_version; a file of another one is refused */
    const char *settings; /* PRAGMAs, for each connection */
    const char *tables;   /* CREATE statements, for a new file */
};

/*
 * Opens path, or makes it, 0600.  A lock that somebody else holds is waited for at most wait_ms; after that this, as
 * any later call, fails.
 */
sqlite3 *database_open(const char *path, const struct database_layout *, int wait_ms,
                       struct err *) must_check;

/* Closes it and, before, the statements; accepts NULL for all of them. */
void database_close(sqlite3 *, sqlite3_stmt *const *, size_t n);

/* For every use until it is closed; NULL on failure. */
sqlite3_stmt *database_prepare(sqlite3 *, const char *sql, struct err *) must_check;

/*
 * -1 with the file, what could not be done, and what SQLite says about it.  ERR_BUSY if that is the fault of something
 * else than the file, so that another try may work: somebody's lock, a full disk, no memory, no descriptors.
 */
int database_fail(sqlite3 *, const char *what, struct err *);

/* Renames a file that nobody has open, with its journal, to path.unusable. */
int database_set_aside(const char *path, struct err *) must_check;

#endif
