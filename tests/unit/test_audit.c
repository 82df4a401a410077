/* test_audit.c - records of the audit log: what they say, and what becomes of them when nothing can be written. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <event2/event.h>
#include <sqlite3.h>

#include "gateway/audit.h"
#include "gateway/audit_db.h"
#include "gateway/audit_log.h"
#include "gateway/metrics.h"
#include "tests/unit/scratch_file.h"

enum { DB_QUEUE = 8192 };

/* How large a file may become from now on; 0 = any size. */
static void
limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The n-th execution of somebody. */
static struct audit_event
execution(unsigned n)
{
    struct audit_event e = {.action = "execute",
                            .who = "0123456789ab",
                            .address = "192.0.2.7",
                            .request = "r-1",
                            .has_code = true,
                            .code_len = 17,
                            .outcome = "ok",
                            .status = 200,
                            .duration_ms = 1.5};

    snprintf(e.user, sizeof(e.user), "user-%u", n);
    memset(e.code_hash, 0xab, sizeof(e.code_hash));
    audit_event_set_time(&e);
    return e;
}

static void
records_say_who_did_what(void **state)
{
    struct audit_event e = execution(3);
    struct audit_event denied = {.action = "request",
                                 .address = "::1",
                                 .outcome = "denied",
                                 .status = 401,
                                 .detail = "no \"token\"\n"};
    json_auto_t *object = audit_event_json(&e), *other = NULL;
    char hash[2 * AUDIT_HASH_BYTES + 1];

    (void)state;
    assert_int_equal(json_object_size(object), 12);
    assert_string_equal(json_string_value(json_object_get(object, "request_id")), "r-1");
    assert_int_equal(strlen(e.time), strlen("2026-11-21T07:25:00.123Z"));
    assert_int_equal(e.time[23], 'Z');
    assert_string_equal(json_string_value(json_object_get(object, "time")), e.time);
    assert_string_equal(json_string_value(json_object_get(object, "who")), "0123456789ab");
    assert_string_equal(json_string_value(json_object_get(object, "user_uuid")), "user-3");
    memset(hash, 0, sizeof(hash));
    for (int i = 0; i < AUDIT_HASH_BYTES; i++)
        strcat(hash, "ab");
    assert_string_equal(json_string_value(json_object_get(object, "code_sha256")), hash);
    assert_int_equal(json_integer_value(json_object_get(object, "code_bytes")), 17);
    assert_int_equal(json_integer_value(json_object_get(object, "status")), 200);
    assert_true(json_is_null(json_object_get(object, "detail")));
    audit_event_set_time(&denied);
    other = audit_event_json(&denied);
    assert_int_equal(json_object_size(other), 12);
    assert_true(json_is_null(json_object_get(other, "request_id")));
    assert_true(json_is_null(json_object_get(other, "who")));
    assert_true(json_is_null(json_object_get(other, "user_uuid")));
    assert_true(json_is_null(json_object_get(other, "code_sha256")));
    assert_true(json_is_null(json_object_get(other, "code_bytes")));
    assert_string_equal(json_string_value(json_object_get(other, "detail")), "no \"token\"\n");
}

/* --- the file ----------------------------------------------------------------------------- */

/* Every line must be whole, and the users must be those from first on. */
static unsigned
check_lines(const char *file, unsigned first)
{
    FILE *f = fopen(file, "re");
    char line[2048], user[64];
    unsigned n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        json_auto_t *object = json_loads(line, 0, NULL);

        assert_non_null(object);
        snprintf(user, sizeof(user), "user-%u", first + n);
        assert_string_equal(json_string_value(json_object_get(object, "user_uuid")), user);
        n++;
    }
    fclose(f);
    return n;
}

static struct audit_log *
open_log(void)
{
    struct err err = ERR_INIT;
    struct audit_log *log = audit_log_open(path, &err);

    assert_non_null(log);
    return log;
}

static void
log_executions(struct audit_log *log, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct audit_event e = execution(first + i);

        assert_true(audit_log_add(log, &e));
    }
}

static void
flush_log(struct audit_log *log)
{
    struct err err = ERR_INIT;
    bool more = true;

    while (more)
        assert_int_equal(audit_log_flush(log, &more, &err), 0);
}

static void
lines_are_appended(void **state)
{
    struct audit_log *log = open_log();
    struct stat st;

    (void)state;
    log_executions(log, 0, 1000); /* more than one write */
    flush_log(log);
    audit_log_close(log);
    assert_int_equal(check_lines(path, 0), 1000);
    log = open_log();
    log_executions(log, 1000, 1);
    flush_log(log);
    audit_log_close(log);
    assert_int_equal(check_lines(path, 0), 1001);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_full_disk_leaves_whole_lines(void **state)
{
    struct audit_log *log = open_log();
    struct err err = ERR_INIT;
    unsigned before;
    bool more;

    (void)state;
    log_executions(log, 0, 20);
    limit_files(1000);
    assert_int_equal(audit_log_flush(log, &more, &err), -1);
    assert_int_equal(audit_log_flush(log, &more, &err), -1);
    limit_files(0);
    before = check_lines(path, 0);
    assert_true(before > 0 && before < 20);
    log_executions(log, 20, 5);
    flush_log(log);
    assert_int_equal(check_lines(path, 0), 25);
    audit_log_close(log);
}

static void
lines_that_wait_are_bounded(void **state)
{
    struct audit_log *log = open_log();
    struct audit_event e = execution(0);
    unsigned n = 0;

    (void)state;
    while (audit_log_add(log, &e))
        n++;
    assert_true(n > 4000 && n < 30000);
    assert_false(audit_log_add(log, &e));
    audit_log_close(log);
}

static void
a_log_is_rotated(void **state)
{
    struct audit_log *log = open_log();
    struct err err = ERR_INIT;
    char moved[160];

    (void)state;
    snprintf(moved, sizeof(moved), "%s.1", path);
    log_executions(log, 0, 3);
    flush_log(log);
    assert_int_equal(rename(path, moved), 0);
    log_executions(log, 3, 2);
    flush_log(log); /* into what it has open */
    assert_int_equal(audit_log_reopen(log, path, &err), 0);
    log_executions(log, 5, 4);
    flush_log(log);
    assert_int_equal(audit_log_reopen(log, "/nonexistent/audit", &err), -1);
    log_executions(log, 9, 1);
    flush_log(log);
    audit_log_close(log);
    assert_int_equal(check_lines(moved, 0), 5);
    assert_int_equal(check_lines(path, 5), 5);
}

/* --- the database ------------------------------------------------------------------------- */

static struct audit_db *
open_db(void)
{
    struct err err = ERR_INIT;
    struct audit_db *db = audit_db_open(path, &err);

    assert_non_null(db);
    return db;
}

static void
add_rows(struct audit_db *db, unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct audit_event e = execution(first + i);

        assert_true(audit_db_add(db, &e));
    }
}

static void
flush_db(struct audit_db *db)
{
    struct err err = ERR_INIT;
    bool more = true;

    while (more)
        assert_int_equal(audit_db_flush(db, &more, &err), 0);
}

static sqlite3 *
other_connection(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static int
ask(const char *sql)
{
    sqlite3 *db = other_connection("");
    sqlite3_stmt *st;
    int n;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void
check_rows(unsigned n)
{
    assert_int_equal(ask("SELECT count(*) FROM audit"), n);
    assert_int_equal(ask("SELECT count(DISTINCT user_uuid) FROM audit"), n);
}

/* Of the version before requests had names. */
static void
the_first_layout_is_upgraded(void **state)
{
    static const char old[] =
        "PRAGMA journal_mode = WAL;"
        "CREATE TABLE audit ("
        " id INTEGER PRIMARY KEY, time TEXT NOT NULL, action TEXT NOT NULL, who TEXT,"
        " address TEXT NOT NULL, user_uuid TEXT, code_sha256 TEXT, code_bytes INTEGER,"
        " outcome TEXT NOT NULL, status INTEGER, duration_ms REAL NOT NULL, detail TEXT) STRICT;"
        "CREATE INDEX audit_by_time ON audit (time);"
        "INSERT INTO audit (time, action, address, user_uuid, outcome, duration_ms)"
        " VALUES ('2026-01-01T00:00:00.000Z', 'execute', '::1', 'old', 'ok', 2.5);"
        "PRAGMA user_version = 1";

    (void)state;
    sqlite3_close(other_connection(old));
    for (unsigned i = 0; i < 2; i++) { /* the second time there is nothing to do */
        struct audit_db *db = open_db();

        add_rows(db, i, 1);
        flush_db(db);
        audit_db_close(db);
        check_rows(2 + i);
    }
    assert_int_equal(ask("PRAGMA user_version"), 2);
    assert_int_equal(ask("SELECT count(*) FROM audit WHERE user_uuid = 'old' AND duration_ms = 2.5"
                         " AND request_id IS NULL"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM audit WHERE request_id = 'r-1'"), 2);
}

static void
rows_are_kept(void **state)
{
    struct audit_db *db = open_db();
    struct audit_event denied = {.action = "request", .outcome = "denied", .detail = "why"};

    (void)state;
    add_rows(db, 0, 1000); /* more than one transaction */
    flush_db(db);
    check_rows(1000);
    audit_event_set_time(&denied);
    assert_true(audit_db_add(db, &denied));
    flush_db(db);
    audit_db_close(db);
    assert_int_equal(ask("SELECT count(*) FROM audit WHERE user_uuid IS NULL AND who IS NULL"
                         " AND code_sha256 IS NULL AND code_bytes IS NULL AND status IS NULL"
                         " AND address = '' AND detail = 'why'"),
                     1);
    assert_int_equal(ask("SELECT count(*) FROM audit WHERE length(code_sha256) = 64"
                         " AND code_bytes = 17 AND status = 200 AND duration_ms = 1.5"),
                     1000);
}

static void
a_locked_database_is_not_waited_for(void **state)
{
    struct audit_db *db = open_db();
    struct err err = ERR_INIT;
    sqlite3 *other = other_connection("BEGIN EXCLUSIVE");
    bool more;

    (void)state;
    add_rows(db, 0, 10);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(audit_db_flush(db, &more, &err), -1);
        assert_int_equal(err.code, ERR_BUSY);
        assert_int_equal(audit_db_purge(db, 1, &more, &err), -1);
    }
    sqlite3_close(other);
    add_rows(db, 10, 10);
    flush_db(db);
    audit_db_close(db);
    check_rows(20);
}

static void
a_database_that_is_locked_at_first_is_opened_later(void **state)
{
    sqlite3 *other = other_connection("BEGIN EXCLUSIVE");
    struct audit_db *db = open_db();
    struct err err = ERR_INIT;
    bool more;

    (void)state;
    add_rows(db, 0, 10);
    assert_int_equal(audit_db_flush(db, &more, &err), -1);
    sqlite3_close(other);
    flush_db(db);
    audit_db_close(db);
    check_rows(10);
}

static void
a_full_disk_loses_no_row(void **state)
{
    struct audit_db *db = open_db();
    struct err err = ERR_INIT;
    bool more;

    (void)state;
    add_rows(db, 0, 10);
    flush_db(db);
    add_rows(db, 10, 1000);
    limit_files(40000);
    while (audit_db_flush(db, &more, &err) == 0)
        assert_true(more);
    assert_int_equal(audit_db_flush(db, &more, &err), -1);
    limit_files(0);
    flush_db(db);
    audit_db_close(db);
    check_rows(1010);
}

static void
rows_that_wait_are_bounded(void **state)
{
    struct audit_db *db = open_db();
    struct audit_event e = execution(DB_QUEUE);

    (void)state;
    add_rows(db, 0, DB_QUEUE);
    assert_false(audit_db_add(db, &e));
    flush_db(db);
    assert_true(audit_db_add(db, &e));
    flush_db(db);
    audit_db_close(db);
    check_rows(DB_QUEUE + 1);
}

static void
old_rows_go(void **state)
{
    struct audit_db *db = open_db();
    struct err err = ERR_INIT;
    bool more = true;

    (void)state;
    add_rows(db, 0, 3);
    flush_db(db);
    sqlite3_close(other_connection(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1200)"
        " INSERT INTO audit (time, action, address, outcome, duration_ms)"
        " SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-8 days'), 'release', '', 'ok', 0 FROM n;"
        "UPDATE audit SET time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-6 days') WHERE id = 2"));
    assert_int_equal(ask("SELECT count(*) FROM audit"), 1203);
    for (int i = 0; more; i++) {
        assert_true(i < 3);
        assert_int_equal(audit_db_purge(db, 7, &more, &err), 0);
    }
    check_rows(3);
    assert_int_equal(audit_db_purge(db, 5, &more, &err), 0);
    check_rows(2);
    audit_db_close(db);
}

static void
what_is_no_database_is_set_aside(void **state)
{
    struct audit_db *db;
    struct stat st;
    char aside[160];
    FILE *f = fopen(path, "we");

    (void)state;
    assert_non_null(f);
    fputs("this is no database, whatever its name says", f);
    fclose(f);
    db = open_db();
    add_rows(db, 0, 1);
    flush_db(db);
    audit_db_close(db);
    check_rows(1);
    snprintf(aside, sizeof(aside), "%s.unusable", path);
    assert_int_equal(stat(aside, &st), 0);
}

/* A full disk: what is there stays, and is not replaced when something is set aside after all. */
static void
what_is_well_is_not_set_aside(void **state)
{
    struct err err = ERR_INIT;
    struct audit_db *db = open_db();
    char aside[160];
    struct stat st;
    ino_t inode;

    (void)state;
    add_rows(db, 0, 1);
    flush_db(db);
    audit_db_close(db);
    assert_int_equal(stat(path, &st), 0);
    inode = st.st_ino;
    limit_files(1);
    for (int i = 0; i < 2; i++)
        assert_null(audit_db_open(path, &err));
    limit_files(0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_ino, inode);
    check_rows(1);
    audit_db_close(open_db());

    for (int i = 1; i <= 3; i++) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fprintf(f, "this is no database, for the time number %d", i);
        fclose(f);
        audit_db_close(open_db());
        snprintf(aside, sizeof(aside), i == 1 ? "%s.unusable" : "%s.unusable.%d", path, i);
        assert_int_equal(stat(aside, &st), 0);
    }
}

/* --- both --------------------------------------------------------------------------------- */

static void
a_flood_of_denied_requests_is_thinned_out(void **state)
{
    struct event_base *base = event_base_new();
    const struct audit_options options = {.log_path = path, .db_path = "", .days = 1};
    struct err err = ERR_INIT;
    struct audit *audit = audit_new(base, &options, &err);
    struct audit_event denied = {.action = "request", .outcome = "denied", .status = 401};
    struct audit_event e = execution(0);
    FILE *f;
    char line[2048];
    unsigned n = 0;

    (void)state;
    assert_non_null(audit);
    for (int i = 0; i < 2000; i++)
        audit_add(audit, &denied);
    audit_add(audit, &e);
    audit_free(audit);
    event_base_free(base);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        n++;
    fclose(f);
    assert_true(n > 600 && n < 700);
    assert_non_null(strstr(line, "\"execute\""));
    assert_int_equal(metrics_get(METRIC_AUDIT_FLOOD_DROPPED), 2001 - n);
}

int
main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_say_who_did_what),
        IN_DIRECTORY(lines_are_appended),
        IN_DIRECTORY(a_full_disk_leaves_whole_lines),
        IN_DIRECTORY(lines_that_wait_are_bounded),
        IN_DIRECTORY(a_log_is_rotated),
        IN_DIRECTORY(the_first_layout_is_upgraded),
        IN_DIRECTORY(rows_are_kept),
        IN_DIRECTORY(a_locked_database_is_not_waited_for),
        IN_DIRECTORY(a_database_that_is_locked_at_first_is_opened_later),
        IN_DIRECTORY(a_full_disk_loses_no_row),
        IN_DIRECTORY(rows_that_wait_are_bounded),
        IN_DIRECTORY(old_rows_go),
        IN_DIRECTORY(what_is_no_database_is_set_aside),
        IN_DIRECTORY(what_is_well_is_not_set_aside),
        IN_DIRECTORY(a_flood_of_denied_requests_is_thinned_out),
    };

    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
