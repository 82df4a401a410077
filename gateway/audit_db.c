/*
 * audit_db.c - see audit_db.h.
 *
 * A transaction is not flushed to disk, and a lock is not waited for: both could take the event loop's time.  What is
 * written survives the end of this process; of a power cut, only what the host has written by then.
 */
#include "audit_db.h"

#include <time.h>
#include <utlist.h>

#include "database.h"
#include "log.h"
#include "metrics.h"

enum {
    MAX_WAITING = 8192,
    BATCH = 256,       /* rows of a transaction: half a millisecond */
    PURGE_BATCH = 500, /* rows removed at a time */
};

enum statement { BEGIN, COMMIT, ROLLBACK, INSERT, PURGE, N_STATEMENTS };

static const char *const statement_sql[N_STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [INSERT] = ("INSERT INTO audit (time, action, who, address, user_uuid, code_sha256, code_bytes,"
                " outcome, status, duration_ms, detail, request_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    [PURGE] = ("DELETE FROM audit WHERE id IN"
               " (SELECT id FROM audit WHERE time < ? ORDER BY time LIMIT ?)"),
};

static const char *const upgrades[] = {"ALTER TABLE audit ADD COLUMN request_id TEXT"};

static const struct database_layout layout = {
    .version = 2,
    .upgrades = upgrades,
    .settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;"
                "PRAGMA wal_autocheckpoint = 200", /* often, so that none takes long */
    .tables = "CREATE TABLE audit ("
              " id INTEGER PRIMARY KEY, time TEXT NOT NULL, action TEXT NOT NULL, who TEXT,"
              " address TEXT NOT NULL, user_uuid TEXT, code_sha256 TEXT, code_bytes INTEGER,"
              " outcome TEXT NOT NULL, status INTEGER, duration_ms REAL NOT NULL, detail TEXT,"
              " request_id TEXT)"
              " STRICT;"
              "CREATE INDEX audit_by_time ON audit (time);",
};

struct waiting {
    struct audit_event event;
    struct waiting *prev, *next;
};

struct audit_db {
    char *path;
    sqlite3 *db; /* NULL: not yet */
    sqlite3_stmt *statements[N_STATEMENTS];
    struct waiting *waiting;
    unsigned n_waiting;
};

static void
disconnect(struct audit_db *a)
{
    database_close(a->db, a->statements, N_STATEMENTS);
    a->db = NULL;
    memset(a->statements, 0, sizeof(a->statements));
}

static int
reconnect(struct audit_db *a, bool *unusable, struct err *err)
{
    a->db = database_open(a->path, &layout, 0, unusable, err);
    if (a->db == NULL)
        return -1;
    for (int i = 0; i < N_STATEMENTS; i++) {
        a->statements[i] = database_prepare(a->db, statement_sql[i], err);
        if (a->statements[i] == NULL) {
            if (unusable)
                *unusable = database_is_unusable(a->db);
            disconnect(a);
            return -1;
        }
    }
    return 0;
}

static int
connect_to(struct audit_db *a, struct err *err)
{
    return a->db ? 0 : reconnect(a, NULL, err);
}

struct audit_db *
audit_db_open(const char *path, struct err *err)
{
    struct audit_db *a = xcalloc(1, sizeof(*a));
    bool unusable = false;

    a->path = xstrdup(path);
    if (connect_to(a, err) == 0 || err->code == ERR_BUSY)
        return a;
    /* Why is looked into only now: to read all of it takes long. */
    if (reconnect(a, &unusable, err) == 0 || err->code == ERR_BUSY)
        return a;
    if (unusable) {
        log_error("%s", err->msg);
        if (database_set_aside(path, err) == 0 && connect_to(a, err) == 0)
            return a;
    }
    audit_db_close(a);
    return NULL;
}

static void
drop_first(struct audit_db *a)
{
    struct waiting *w = a->waiting;

    DL_DELETE(a->waiting, w);
    a->n_waiting--;
    free(w);
}

void
audit_db_close(struct audit_db *a)
{
    if (a == NULL)
        return;
    while (a->waiting)
        drop_first(a);
    disconnect(a);
    free(a->path);
    free(a);
}

bool
audit_db_add(struct audit_db *a, const struct audit_event *event)
{
    struct waiting *w;

    if (a->n_waiting >= MAX_WAITING)
        return false;
    w = xcalloc(1, sizeof(*w));
    w->event = *event;
    DL_APPEND(a->waiting, w);
    a->n_waiting++;
    return true;
}

static int
run(struct audit_db *a, enum statement which, struct err *err)
{
    sqlite3_step(a->statements[which]);
    return sqlite3_reset(a->statements[which]) == SQLITE_OK
               ? 0
               : database_fail(a->db, "cannot write", err);
}

/* The text must outlive the statement's run. */
static void
bind_text(sqlite3_stmt *st, int column, const char *text)
{
    if (text[0])
        sqlite3_bind_text(st, column, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, column);
}

static int
insert(struct audit_db *a, const struct audit_event *e, struct err *err)
{
    sqlite3_stmt *st = a->statements[INSERT];
    char hash[2 * AUDIT_HASH_BYTES + 1];
    int rc;

    audit_event_hash_text(e, hash);
    sqlite3_clear_bindings(st); /* what is not bound below is NULL */
    bind_text(st, 1, e->time);
    bind_text(st, 2, e->action);
    bind_text(st, 3, e->who);
    sqlite3_bind_text(st, 4, e->address, -1, SQLITE_STATIC);
    bind_text(st, 5, e->user);
    bind_text(st, 6, hash);
    if (e->has_code)
        sqlite3_bind_int64(st, 7, (sqlite3_int64)e->code_len);
    bind_text(st, 8, e->outcome);
    if (e->status)
        sqlite3_bind_int(st, 9, e->status);
    sqlite3_bind_double(st, 10, e->duration_ms);
    bind_text(st, 11, e->detail);
    bind_text(st, 12, e->request);
    rc = run(a, INSERT, err);
    sqlite3_clear_bindings(st);
    return rc;
}

/* Some errors have ended the transaction already. */
static int
roll_back(struct audit_db *a)
{
    struct err ignored = ERR_INIT;

    if (!sqlite3_get_autocommit(a->db))
        (void)!run(a, ROLLBACK, &ignored);
    return -1;
}

static int
write_batch(struct audit_db *a, unsigned *n, struct err *err)
{
    const struct waiting *w;

    *n = 0;
    if (run(a, BEGIN, err) < 0)
        return -1;
    DL_FOREACH (a->waiting, w) {
        if (*n == BATCH)
            break;
        if (insert(a, &w->event, err) < 0)
            return roll_back(a);
        ++*n;
    }
    return run(a, COMMIT, err) < 0 ? roll_back(a) : 0;
}

int
audit_db_flush(struct audit_db *a, bool *more, struct err *err)
{
    unsigned n;

    *more = false;
    if (a->waiting == NULL)
        return 0;
    if (connect_to(a, err) < 0 || write_batch(a, &n, err) < 0)
        return -1;
    metrics_add(METRIC_AUDIT_DB, n);
    while (n-- > 0)
        drop_first(a);
    *more = a->waiting != NULL;
    return 0;
}

int
audit_db_purge(struct audit_db *a, unsigned days, bool *more, struct err *err)
{
    time_t oldest = time(NULL) - (time_t)days * 86400;
    char text[TIMESTAMP_SIZE];
    struct tm tm;

    *more = false;
    if (connect_to(a, err) < 0)
        return -1;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&oldest, &tm));
    sqlite3_bind_text(a->statements[PURGE], 1, text, -1, SQLITE_STATIC);
    sqlite3_bind_int(a->statements[PURGE], 2, PURGE_BATCH);
    if (run(a, PURGE, err) < 0)
        return -1;
    sqlite3_clear_bindings(a->statements[PURGE]);
    *more = sqlite3_changes(a->db) == PURGE_BATCH;
    return 0;
}
