#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

int
database_fail(sqlite3 *db, const char *what, struct err *err)
{
    int rc = sqlite3_errcode(db);

    return err_set(err, rc == SQLITE_BUSY ? ERR_BUSY : ERR_SYSTEM, "%s: %s: %s",
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

static int
upgrade(sqlite3 *db, const struct database_layout *layout, int version)
{
    int rc = SQLITE_OK;

    for (; rc == SQLITE_OK && version < layout->version; version++)
        rc = sqlite3_exec(db, layout->upgrades[version - 1], NULL, NULL, NULL);
    return rc;
}

/*
 * Tables for a new file, or what an old one lacks.  In a transaction: whoever opens the file meanwhile finds nothing or all
 * of it.
 */
static int
make_tables(sqlite3 *db, const struct database_layout *layout, struct err *err)
{
    char pragma[64];
    int version = -1, rc;

    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", layout->version);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return database_fail(db, "cannot set up", err);
    if (read_version(db, &version, err) < 0)
        return -1;
    rc = version == 0 ? sqlite3_exec(db, layout->tables, NULL, NULL, NULL)
                      : upgrade(db, layout, version);
    if (rc != SQLITE_OK || sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK)
        return database_fail(db, "cannot set up", err);
    return sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : database_fail(db, "cannot set up", err);
}

bool
database_is_unusable(sqlite3 *db)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
        return false;
    default:
        return true;
    }
}

/* Damage shows now, and not when something is looked for: our files are small. */
static int
look_through(sqlite3 *db, struct err *err)
{
    sqlite3_stmt *st;
    int rc = 0;

    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK)
        return database_fail(db, "cannot read", err);
    if (sqlite3_step(st) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
        rc = err_set(err, ERR_SYSTEM, "%s: damaged: %s", sqlite3_db_filename(db, "main"),
                     sqlite3_column_text(st, 0));
    if (sqlite3_finalize(st) != SQLITE_OK)
        return database_fail(db, "cannot read", err);
    return rc;
}

static int
set_up(sqlite3 *db, const struct database_layout *layout, struct err *err)
{
    int version = -1;

    if (read_version(db, &version, err) < 0)
        return -1;
    if (version < 0 || version > layout->version ||
        (version != 0 && version < layout->version && layout->upgrades == NULL))
        return err_set(err, ERR_SYSTEM, "%s: layout version %d, this program knows %d",
                       sqlite3_db_filename(db, "main"), version, layout->version);
    if (sqlite3_exec(db, layout->settings, NULL, NULL, NULL) != SQLITE_OK)
        return database_fail(db, "cannot set up", err);
    return version < layout->version ? make_tables(db, layout, err) : 0;
}

sqlite3 *
database_open(const char *path, const struct database_layout *layout, int wait_ms, bool *unusable,
              struct err *err)
{
    mode_t mask = umask(0077); /* the files hold secrets, and so do their journals */
    sqlite3 *db;
    int rc = sqlite3_open(path, &db);

    xnotnull(db);
    sqlite3_busy_timeout(db, wait_ms);
    if (rc != SQLITE_OK)
        err_set(err, ERR_SYSTEM, "%s: cannot open: %s", path, sqlite3_errmsg(db));
    else
        rc = unusable && look_through(db, err) < 0 ? -1 : set_up(db, layout, err);
    if (unusable) /* to another layout, and to damage that was looked for, SQLite says OK */
        *unusable = rc != 0 && database_is_unusable(db);
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

/* One that was set aside before stays: what is in it may be all there is. */
static char *
name_aside(const char *path)
{
    char *aside = xasprintf("%s.unusable", path);

    for (unsigned n = 2; access(aside, F_OK) == 0; n++) {
        free(aside);
        aside = xasprintf("%s.unusable.%u", path, n);
    }
    return aside;
}

int
database_set_aside(const char *path, struct err *err)
{
    cleanup_free char *aside = name_aside(path);
    cleanup_free char *journal = xasprintf("%s-wal", path);
    cleanup_free char *journal_aside = xasprintf("%s-wal", aside);
    cleanup_free char *index = xasprintf("%s-shm", path);

    if (rename(path, aside) < 0)
        return err_sys(err, "cannot rename %s", path);
    log_error("%s is kept as %s", path, aside);
    unlink(journal_aside); /* of an earlier one */
    if (rename(journal, journal_aside) < 0 && errno != ENOENT)
        return err_sys(err, "cannot rename %s", journal);
    unlink(index);
    return 0;
}
