/* database.h - SQLite files of ours: private, and of a known layout. */
#ifndef GATEWAY_DATABASE_H
#define GATEWAY_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "err.h"
#include "mem.h"

struct database_layout {
    int version; /* kept as user_version; a file of a later one is refused */
    /* From version 1 on, what leads from each to the next; NULL: a file of an earlier one is refused as well. */
    const char *const *upgrades;
    const char *settings; /* PRAGMAs, for each connection */
    const char *tables;   /* CREATE statements, for a new file */
};

/*
 * Opens path, or makes it, 0600.  A lock that somebody else holds is waited for at most wait_ms; after that this, as
 * any later call, fails.  If unusable is not NULL the file is looked through for damage, and *unusable says of a failure
 * that another try would fail as well: the file is damaged, no database, or of another layout.
 */
sqlite3 *database_open(const char *path, const struct database_layout *, int wait_ms,
                       bool *unusable, struct err *) must_check;

/* Closes it and, before, the statements; accepts NULL for all of them. */
void database_close(sqlite3 *, sqlite3_stmt *const *, size_t n);

/* For every use until it is closed; NULL on failure. */
sqlite3_stmt *database_prepare(sqlite3 *, const char *sql, struct err *) must_check;

/* -1 with ERR_BUSY if it is locked, else ERR_SYSTEM: the file, what could not be done, and what SQLite says about it. */
int database_fail(sqlite3 *, const char *what, struct err *);

/* After a failure: whether the file itself is at fault, and not who uses it, the disk or the memory. */
bool database_is_unusable(sqlite3 *);

/*
 * Renames a file that nobody has open, with its journal, to path.unusable, or if there is one, to path.unusable.2 and so on; says so
 * in the log.
 */
int database_set_aside(const char *path, struct err *) must_check;

#endif
