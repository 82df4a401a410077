#include "keystore.h"

#include <stdio.h>
#include <string.h>

#include "database.h"

/* Flushed to disk, unlike the other files: what was revoked must stay so. */
static const struct database_layout layout = {
    .version = 1,
    .settings = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL",
    .tables = "CREATE TABLE keys ("
              " id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL,"
              " created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL,"
              " rate INTEGER NOT NULL, max_sessions INTEGER NOT NULL) STRICT",
};

struct keystore {
    sqlite3 *db;
};

struct keystore *
keystore_open(const char *path, int wait_ms, struct err *err)
{
    sqlite3 *db = database_open(path, &layout, wait_ms, err);
    struct keystore *store;

    if (db == NULL)
        return NULL;
    store = xcalloc(1, sizeof(*store));
    store->db = db;
    return store;
}

void
keystore_close(struct keystore *store)
{
    if (store == NULL)
        return;
    database_close(store->db, NULL, 0);
    free(store);
}

/* Runs a statement that yields no rows, and is done with it. */
static int
finish(struct keystore *store, sqlite3_stmt *st, struct err *err)
{
    sqlite3_step(st);
    return sqlite3_finalize(st) == SQLITE_OK ? 0 : database_fail(store->db, "cannot write", err);
}

int
keystore_add(struct keystore *store, const struct key_row *row, struct err *err)
{
    sqlite3_stmt *st = database_prepare(store->db,
                                        "INSERT INTO keys (id, name, hash, created, expires,"
                                        " revoked, rate, max_sessions)"
                                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                        err);

    if (st == NULL)
        return -1;
    sqlite3_bind_text(st, 1, row->id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(st, 2, row->name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(st, 3, row->hash, sizeof(row->hash), SQLITE_TRANSIENT);
    sqlite3_bind_int64(st, 4, row->created);
    sqlite3_bind_int64(st, 5, row->expires);
    sqlite3_bind_int64(st, 6, row->revoked);
    sqlite3_bind_int64(st, 7, row->rate);
    sqlite3_bind_int64(st, 8, row->max_sessions);
    return finish(store, st, err);
}

int
keystore_revoke(struct keystore *store, const char *id, time_t now, struct err *err)
{
    sqlite3_stmt *st = database_prepare(
        store->db,
        "UPDATE keys SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END WHERE id = ?", err);

    if (st == NULL)
        return -1;
    sqlite3_bind_int64(st, 1, now);
    sqlite3_bind_text(st, 2, id, -1, SQLITE_TRANSIENT);
    if (finish(store, st, err) < 0)
        return -1;
    if (sqlite3_changes(store->db) == 0)
        return err_set(err, ERR_BAD_REQUEST, "there is no key %s", id);
    return 0;
}

/* A row with a hash of another size is nobody's key. */
static void
report_row(sqlite3_stmt *st, key_row_fn *fn, void *owner)
{
    struct key_row row = {
        .name = (const char *)sqlite3_column_text(st, 1),
        .created = sqlite3_column_int64(st, 3),
        .expires = sqlite3_column_int64(st, 4),
        .revoked = sqlite3_column_int64(st, 5),
        .rate = (unsigned)sqlite3_column_int64(st, 6),
        .max_sessions = (unsigned)sqlite3_column_int64(st, 7),
    };

    if (sqlite3_column_bytes(st, 2) != sizeof(row.hash))
        return;
    memcpy(row.hash, sqlite3_column_blob(st, 2), sizeof(row.hash));
    snprintf(row.id, sizeof(row.id), "%s", (const char *)sqlite3_column_text(st, 0));
    fn(owner, &row);
}

int
keystore_each(struct keystore *store, key_row_fn *fn, void *owner, struct err *err)
{
    sqlite3_stmt *st = database_prepare(store->db,
                                        "SELECT id, name, hash, created, expires, revoked, rate,"
                                        " max_sessions FROM keys ORDER BY created, rowid",
                                        err);

    if (st == NULL)
        return -1;
    while (sqlite3_step(st) == SQLITE_ROW)
        report_row(st, fn, owner);
    return sqlite3_finalize(st) == SQLITE_OK ? 0 : database_fail(store->db, "cannot read", err);
}
