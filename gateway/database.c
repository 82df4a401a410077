#include "database.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

static bool
may_pass(sqlite3 *db)
{
    switch (sqlite3_errcode(db) & 0xff) { /* without what is said more exactly */
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
        return true;
    default:
        return false;
    }
}

int
database_fail(sqlite3 *db, const char *what, struct err *err)
{
    return err_set(err, may_pass(db) ? ERR_BUSY : ERR_SYSTEM, "%s: %s: %s",
                   sqlite3_db_filename(db, "main"), what, sqlite3_errmsg(db));
}

static int
read_version(sqlite3 *db, int *version, struct err *err)
{
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return database_fail(db, "cannot read", err);
    *version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    return sqlite3_finalize(st) == SQLITE_OK ? 0 : database_fail(db, "cannot read", err);
}

/* In a transaction: whoever opens the file meanwhile finds nothing or all of it. */
static int
make_tables(sqlite3 *db, const struct database_layout *layout, struct err *err)
{
    char pragma[64];
    int version = -1;

    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", layout->version);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return database_fail(db, "cannot set up", err);
    if (read_version(db, &version, err) < 0)
        return -1;
    if (version == 0 && (sqlite3_exec(db, layout->tables, NULL, NULL, NULL) != SQLITE_OK ||
                         sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK))
        return database_fail(db, "cannot set up", err);
    return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : database_fail(db, "cannot set up", err);
}

static int
set_up(sqlite3 *db, const struct database_layout *layout, struct err *err)
{
    int version = -1;

    if (read_version(db, &version, err) < 0)
        return -1;
    if (version != 0 && version != layout->version)
        return err_set(err, ERR_SYSTEM, "%s: layout version %d, this program knows %d",
                       sqlite3_db_filename(db, "main"), version, layout->version);
    if (sqlite3_exec(db, layout->settings, NULL, NULL, NULL) != SQLITE_OK)
        return database_fail(db, "cannot set up", err);
    return version == 0 ? make_tables(db, layout, err) : 0;
}

sqlite3 *
database_open(const char *path, const struct database_layout *layout, int wait_ms, struct err *err)
{
    mode_t mask = umask(0077); /* the files hold secrets, and so do their journals */
    sqlite3 *db;
    int rc = sqlite3_open(path, &db);

    xnotnull(db);
    sqlite3_busy_timeout(db, wait_ms);
    if (rc == SQLITE_OK)
        rc = set_up(db, layout, err);
    else
        err_set(err, may_pass(db) ? ERR_BUSY : ERR_SYSTEM, "%s: cannot open: %s", path,
                sqlite3_errmsg(db));
    umask(mask);
    if (rc == 0)
        return db;
    sqlite3_close(db);
    return NULL;
}

void
database_close(sqlite3 *db, sqlite3_stmt *const *statements, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sqlite3_finalize(statements[i]);
    sqlite3_close(db);
}

sqlite3_stmt *
database_prepare(sqlite3 *db, const char *sql, struct err *err)
{
    sqlite3_stmt *st;

    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK) {
        database_fail(db, "cannot prepare", err);
        return NULL;
    }
    return st;
}

int
database_set_aside(const char *path, struct err *err)
{
    cleanup_free char *aside = xasprintf("%s.unusable", path);
    cleanup_free char *journal = xasprintf("%s-wal", path);
    cleanup_free char *journal_aside = xasprintf("%s-wal", aside);
    cleanup_free char *index = xasprintf("%s-shm", path);

    if (rename(path, aside) < 0)
        return err_sys(err, "cannot rename %s", path);
    unlink(journal_aside); /* of an earlier one */
    if (rename(journal, journal_aside) < 0 && errno != ENOENT)
        return err_sys(err, "cannot rename %s", journal);
    unlink(index);
    return 0;
}
