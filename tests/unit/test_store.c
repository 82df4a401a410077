/* test_store.c - what one gateway writes, the next one reads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sqlite3.h>

#include "gateway/store.h"
#include "tests/unit/scratch_file.h"

struct seen {
    unsigned n;
    char text[1024];
};

static void
note(void *owner, const struct store_row *row)
{
    struct seen *seen = owner;
    size_t used = strlen(seen->text);

    seen->n++;
    snprintf(seen->text + used, sizeof(seen->text) - used, "%s=%s;", row->user ? row->user : "-",
             row->identity ? row->identity->id : "-");
}

static struct worker_identity
identity(const char *id)
{
    struct worker_identity who = {.slot = 7, .pid = 42, .start_ticks = 1ULL << 60};

    snprintf(who.id, sizeof(who.id), "%s", id);
    snprintf(who.routing_id, sizeof(who.routing_id), "routing-%s", id);
    snprintf(who.key, sizeof(who.key), "key-%s", id);
    return who;
}

static struct store *
open_store(void)
{
    struct err err = ERR_INIT;
    bool unusable;
    struct store *store = store_open(path, &unusable, &err);

    assert_non_null(store);
    return store;
}

static void
check_rows(const char *expected)
{
    struct store *store = open_store();
    struct seen seen = {0, ""};
    struct err err = ERR_INIT;

    assert_int_equal(store_each(store, note, &seen, &err), 0);
    assert_string_equal(seen.text, expected);
    store_close(store);
}

static void
keeps_rows(void **state)
{
    struct worker_identity one = identity("one"), two = identity("two");
    struct store *store = open_store();

    (void)state;
    store_put_worker(store, &one, "python3");
    store_put_worker(store, &two, "python3");
    store_put_session(store, "alice", "one", 100, false, "{}");
    store_close(store);
    check_rows("-=two;alice=one;");

    store = open_store();
    store_put_session(store, "bob", "two", 200, false, "{}");
    store_remove_session(store, "bob"); /* killed before it could remove the worker */
    store_close(store);
    check_rows("-=two;alice=one;");

    store = open_store();
    store_remove_worker(store, "one"); /* its user is remembered without it */
    store_remove_session(store, "nobody");
    store_close(store);
    check_rows("-=two;alice=-;");

    store = open_store();
    store_remove_session(store, "alice");
    store_remove_worker(store, "two");
    store_close(store);
    check_rows("");
}

static void
check_identity(void *owner, const struct store_row *row)
{
    unsigned *n = owner;

    ++*n;
    assert_string_equal(row->identity->routing_id, "routing-one");
    assert_string_equal(row->identity->key, "key-one");
    assert_string_equal(row->kernel, "python3");
    assert_int_equal(row->identity->slot, 7);
    assert_int_equal(row->identity->pid, 42);
    assert_true(row->identity->start_ticks == 1ULL << 60);
    assert_int_equal(row->created, 100);
    assert_true(row->network);
    assert_string_equal(row->details, "{\"a\":1}");
}

static void
keeps_every_column(void **state)
{
    struct worker_identity one = identity("one");
    struct store *store = open_store();
    struct err err = ERR_INIT;
    unsigned n = 0;

    (void)state;
    store_put_worker(store, &one, "python3");
    store_put_session(store, "alice", "one", 100, true, "{\"a\":1}");
    assert_int_equal(store_each(store, check_identity, &n, &err), 0);
    assert_int_equal(n, 1);
    store_close(store);
}

static void
is_private(void **state)
{
    struct store *store = open_store();
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    store_close(store);
}

/* Another connection, which has done that. */
static sqlite3 *
open_beside(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void
check_old_row(void *owner, const struct store_row *row)
{
    unsigned *n = owner;

    ++*n;
    assert_string_equal(row->user, "alice");
    assert_string_equal(row->identity->id, "one");
    assert_int_equal(row->created, 100);
    assert_false(row->network);
    assert_string_equal(row->details, "{}");
}

/* Of the version before there was a network. */
static void
upgrades_the_first_layout(void **state)
{
    static const char old[] =
        "PRAGMA journal_mode = WAL;"
        "CREATE TABLE workers ("
        " id TEXT PRIMARY KEY, routing_id TEXT NOT NULL, key TEXT NOT NULL, slot INTEGER NOT NULL,"
        " pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, kernel TEXT NOT NULL) STRICT;"
        "CREATE TABLE sessions ("
        " user TEXT PRIMARY KEY, worker TEXT UNIQUE REFERENCES workers (id) ON DELETE SET NULL,"
        " created INTEGER NOT NULL) STRICT;"
        "INSERT INTO workers VALUES ('one', 'r', 'k', 1, 2, 3, 'python3');"
        "INSERT INTO sessions VALUES ('alice', 'one', 100);"
        "PRAGMA user_version = 1";

    (void)state;
    sqlite3_close(open_beside(old));
    for (int i = 0; i < 2; i++) { /* the second time there is nothing to do */
        struct store *store = open_store();
        struct err err = ERR_INIT;
        unsigned n = 0;

        assert_int_equal(store_each(store, check_old_row, &n, &err), 0);
        assert_int_equal(n, 1);
        store_close(store);
    }
}

static void
refuses_another_layout(void **state)
{
    struct err err = ERR_INIT;
    bool unusable = false;
    sqlite3 *db = open_beside("PRAGMA user_version = 99");

    (void)state;
    sqlite3_close(db);
    assert_null(store_open(path, &unusable, &err));
    assert_non_null(strstr(err.msg, "99"));
    assert_true(unusable);
}

/* A file with rows in it, whose bytes from there on are others. */
static void
damage(long from)
{
    struct worker_identity one = identity("one");
    struct store *store = open_store();
    FILE *file;

    store_put_worker(store, &one, "python3");
    store_put_session(store, "alice", "one", 100, false, "{}");
    store_close(store);
    file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, from, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++)
        fputc(i * 7 + 3, file);
    assert_int_equal(fclose(file), 0);
}

static void
tells_damage(void **state)
{
    static const long places[] = {0, 4096, 8192};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct err err = ERR_INIT;
        bool unusable = false;

        damage(places[i]);
        assert_null(store_open(path, &unusable, &err));
        assert_true(unusable);
        assert_int_equal(unlink(path), 0);
    }
}

static void
waits_for_a_lock_and_is_not_damaged_by_it(void **state)
{
    struct err err = ERR_INIT;
    bool unusable = true;
    sqlite3 *db;

    (void)state;
    store_close(open_store());
    db = open_beside("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"); /* no reader either */
    assert_null(store_open(path, &unusable, &err));
    assert_non_null(strstr(err.msg, "locked"));
    assert_false(unusable);
    sqlite3_close(db);
    store_close(open_store());
}

static void
is_behind_until_all_is_written(void **state)
{
    struct worker_identity one = identity("one"), two = identity("two");
    struct store *store = open_store();
    sqlite3 *db;

    (void)state;
    store_put_worker(store, &one, "python3");
    assert_false(store_is_behind(store));
    db = open_beside("BEGIN EXCLUSIVE");
    store_put_session(store, "alice", "one", 100, false, "{}");
    assert_true(store_is_behind(store));
    assert_int_equal(store_begin(store), -1); /* still locked */
    sqlite3_close(db);
    while (store_begin(store) < 0) /* not the time for it yet */
        usleep(10000);
    store_put_worker(store, &two, "python3");
    store_put_session(store, "alice", "two", 100, false, "{}");
    store_commit(store);
    assert_false(store_is_behind(store));
    store_close(store);
    check_rows("alice=two;");
}

/* A put that fails on the way undoes what was written with it. */
static void
is_written_whole_or_not_at_all(void **state)
{
    struct worker_identity one = identity("one");
    struct store *store = open_store();

    (void)state;
    store_put_worker(store, &one, "python3");
    store_put_session(store, "alice", "one", 100, false, "{}");
    store_put_session(store, "bob", "no such worker", 100, false, "{}");
    assert_true(store_is_behind(store));
    assert_int_equal(store_begin(store), 0);
    store_put_session(store, "bob", "no such worker", 100, false, "{}");
    store_commit(store);
    assert_true(store_is_behind(store));
    store_close(store);
    check_rows("alice=one;");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_every_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(upgrades_the_first_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_another_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_a_lock_and_is_not_damaged_by_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_behind_until_all_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_written_whole_or_not_at_all, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
