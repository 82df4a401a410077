/* audit_db.h - audit events as rows of an SQLite table, written in transactions. */
#ifndef GATEWAY_AUDIT_DB_H
#define GATEWAY_AUDIT_DB_H

#include <stdbool.h>

#include "audit_event.h"
#include "err.h"
#include "mem.h"

struct audit_db;

/*
 * Opens path, or makes it, 0600.  What is damaged, or no database of ours, is set aside (database.h); where the disk is full, or
 * something else is at fault, it stays, and this fails.  If it is locked it is opened later.
 */
struct audit_db *audit_db_open(const char *path, struct err *) must_check;
void audit_db_close(struct audit_db *); /* accepts NULL; what waits is lost */

/* False: too many wait already. */
bool audit_db_add(struct audit_db *, const struct audit_event *) must_check;

/* Writes some of what waits; *more tells whether something still does.  On failure nothing is lost. */
int audit_db_flush(struct audit_db *, bool *more, struct err *) must_check;

/* Removes some of the rows that are older; *more tells whether there may be others. */
int audit_db_purge(struct audit_db *, unsigned days, bool *more, struct err *) must_check;

#endif
