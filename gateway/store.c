#include "store.h"

#include <stdio.h>
#include <sodium.h>

#include "clock.h"
#include "database.h"
#include "log.h"

enum {
    LOCK_WAIT_MS = 5000, /* at start-up, for whoever looks into the file */
    RETRY_S = 1,         /* between two tries to put everything into a store that is behind */
};

enum statement { PUT_WORKER, REMOVE_WORKER, PUT_SESSION, REMOVE_SESSION, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
    [PUT_WORKER] = "INSERT OR REPLACE INTO workers"
                   " (id, routing_id, key, slot, pid, start_ticks, kernel)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?)",
    [REMOVE_WORKER] = "DELETE FROM workers WHERE id = ?",
    [PUT_SESSION] = ("INSERT OR REPLACE INTO sessions (user, worker, created, network, details)"
                     " VALUES (?, ?, ?, ?, ?)"),
    [REMOVE_SESSION] = "DELETE FROM sessions WHERE user = ?",
};

/* Removing a worker clears its session's reference: a session without one is a user to be told. */
static const char layout_sql[] =
    "CREATE TABLE workers ("
    " id TEXT PRIMARY KEY, routing_id TEXT NOT NULL, key TEXT NOT NULL, slot INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, kernel TEXT NOT NULL) STRICT;"
    "CREATE TABLE sessions ("
    " user TEXT PRIMARY KEY, worker TEXT UNIQUE REFERENCES workers (id) ON DELETE SET NULL,"
    " created INTEGER NOT NULL, network INTEGER NOT NULL DEFAULT 0,"
    " details TEXT NOT NULL DEFAULT '{}') STRICT;";

static const char *const upgrades[] = {
    "ALTER TABLE sessions ADD COLUMN network INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN details TEXT NOT NULL DEFAULT '{}'",
};

static const char each_sql[] =
    "SELECT s.user, s.created, w.id, w.routing_id, w.key, w.slot, w.pid, w.start_ticks, w.kernel,"
    " s.network, s.details"
    " FROM workers w FULL JOIN sessions s ON s.worker = w.id"
    " ORDER BY s.created, json_extract(s.details, '$.serial')";

static const struct database_layout layout = {
    .version = 3,
    .upgrades = upgrades,
    .settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;"
                "PRAGMA wal_autocheckpoint = 200",
    .tables = layout_sql,
};

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    bool behind;       /* a write has failed, and not everything has been written since */
    bool failed;       /* one of this transaction */
    double next_retry; /* clock_now */
};

static int
prepare(struct store *store, struct err *err)
{
    for (int i = 0; i < N_STATEMENTS; i++) {
        store->statements[i] = database_prepare(store->db, statement_sql[i], err);
        if (store->statements[i] == NULL)
            return -1;
    }
    return 0;
}

struct store *
store_open(const char *path, bool *unusable, struct err *err)
{
    struct store *store = xcalloc(1, sizeof(*store));

    store->db = database_open(path, &layout, LOCK_WAIT_MS, unusable, err);
    if (store->db && prepare(store, err) == 0) {
        sqlite3_busy_timeout(store->db, 0); /* from now on nobody waits */
        return store;
    }
    store_close(store);
    return NULL;
}

void
store_close(struct store *store)
{
    if (store == NULL)
        return;
    database_close(store->db, store->statements, N_STATEMENTS);
    free(store);
}

static sqlite3_stmt *
bind_text(struct store *store, enum statement which, int column, const char *text)
{
    sqlite3_stmt *st = store->statements[which];

    sqlite3_bind_text(st, column, text, -1, SQLITE_TRANSIENT);
    return st;
}

static void
fall_behind(struct store *store)
{
    if (!store->behind)
        log_error("store: %s; what is not written would be lost by a restart, so it is tried again",
                  sqlite3_errmsg(store->db));
    store->behind = store->failed = true;
}

static void
run(struct store *store, enum statement which)
{
    sqlite3_stmt *st = store->statements[which];

    if (sqlite3_step(st) != SQLITE_DONE)
        fall_behind(store);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

void
store_put_worker(struct store *store, const struct worker_identity *who, const char *kernel)
{
    sqlite3_stmt *st = bind_text(store, PUT_WORKER, 1, who->id);

    bind_text(store, PUT_WORKER, 2, who->routing_id);
    bind_text(store, PUT_WORKER, 3, who->key);
    sqlite3_bind_int64(st, 4, who->slot);
    sqlite3_bind_int64(st, 5, who->pid);
    sqlite3_bind_int64(st, 6, (sqlite3_int64)who->start_ticks);
    bind_text(store, PUT_WORKER, 7, kernel);
    run(store, PUT_WORKER);
}

void
store_remove_worker(struct store *store, const char *worker_id)
{
    bind_text(store, REMOVE_WORKER, 1, worker_id);
    run(store, REMOVE_WORKER);
}

void
store_put_session(struct store *store, const char *user, const char *worker_id, time_t created,
                  bool network, const char *details)
{
    sqlite3_stmt *st = bind_text(store, PUT_SESSION, 1, user);

    bind_text(store, PUT_SESSION, 2, worker_id);
    sqlite3_bind_int64(st, 3, created);
    sqlite3_bind_int(st, 4, network);
    bind_text(store, PUT_SESSION, 5, details);
    run(store, PUT_SESSION);
}

void
store_remove_session(struct store *store, const char *user)
{
    bind_text(store, REMOVE_SESSION, 1, user);
    run(store, REMOVE_SESSION);
}

bool
store_is_behind(const struct store *store)
{
    return store->behind;
}

int
store_begin(struct store *store)
{
    static const char sql[] = "BEGIN IMMEDIATE; DELETE FROM sessions; DELETE FROM workers";

    if (clock_now() < store->next_retry)
        return -1;
    store->next_retry = clock_now() + RETRY_S;
    store->failed = false;
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

/* All or nothing. */
void
store_commit(struct store *store)
{
    if (store->failed || sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return;
    }
    store->behind = false;
    log_info("store: everything has been written");
}

static const char *
text_at(sqlite3_stmt *st, int column)
{
    return (const char *)sqlite3_column_text(st, column);
}

static void
report_row(sqlite3_stmt *st, store_row_fn *fn, void *owner)
{
    struct worker_identity who = {.slot = (unsigned)sqlite3_column_int64(st, 5),
                                  .pid = (pid_t)sqlite3_column_int64(st, 6),
                                  .start_ticks = (unsigned long long)sqlite3_column_int64(st, 7)};
    struct store_row row = {.user = text_at(st, 0),
                            .created = sqlite3_column_int64(st, 1),
                            .network = sqlite3_column_int(st, 9) != 0,
                            .details = text_at(st, 10)};

    if (text_at(st, 2)) {
        snprintf(who.id, sizeof(who.id), "%s", text_at(st, 2));
        snprintf(who.routing_id, sizeof(who.routing_id), "%s", text_at(st, 3));
        snprintf(who.key, sizeof(who.key), "%s", text_at(st, 4));
        row.identity = &who;
        row.kernel = text_at(st, 8);
    }
    fn(owner, &row);
    sodium_memzero(&who, sizeof(who));
}

int
store_each(struct store *store, store_row_fn *fn, void *owner, struct err *err)
{
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(store->db, each_sql, -1, &st, NULL) != SQLITE_OK)
        return database_fail(store->db, "cannot read", err);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        report_row(st, fn, owner);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? 0 : database_fail(store->db, "cannot read", err);
}
