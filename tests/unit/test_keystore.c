/* test_keystore.c - API keys: their text, and what of them is kept. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sodium.h>
#include <sqlite3.h>

#include "gateway/keystore.h"
#include "tests/unit/scratch_file.h"

static void
texts_are_taken_apart(void **state)
{
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE], found[KEY_ID_SIZE] = "";

    (void)state;
    key_make(id, text);
    assert_int_equal(strlen(text), KEY_TEXT_SIZE - 1);
    assert_true(key_is_id(id));
    assert_true(key_parse(text, found));
    assert_string_equal(found, id);
}

static void
other_texts_are_refused(void **state)
{
    static const size_t places[] = {0, 3, 4, 15, 16, 17, 80};
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE], wrong[KEY_TEXT_SIZE + 1];

    (void)state;
    key_make(id, text);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        strcpy(wrong, text);
        wrong[places[i]] = 'X';
        assert_false(key_parse(wrong, id));
    }
    snprintf(wrong, sizeof(wrong), "%sa", text);
    assert_false(key_parse(wrong, id));
    for (size_t len = 0; len < KEY_TEXT_SIZE - 1; len++) {
        strcpy(wrong, text);
        wrong[len] = '\0';
        assert_false(key_parse(wrong, id));
    }
    assert_false(key_is_id("0123456789a"));
    assert_false(key_is_id("0123456789abc"));
    assert_false(key_is_id("0123456789aB"));
}

static void
keys_differ(void **state)
{
    char id[2][KEY_ID_SIZE], text[2][KEY_TEXT_SIZE];
    uint8_t hash[2][KEY_HASH_BYTES];

    (void)state;
    for (int i = 0; i < 2; i++) {
        key_make(id[i], text[i]);
        key_hash(text[i], hash[i]);
    }
    assert_string_not_equal(id[0], id[1]);
    assert_string_not_equal(text[0] + 17, text[1] + 17);
    assert_memory_not_equal(hash[0], hash[1], KEY_HASH_BYTES);
    key_hash(text[0], hash[1]);
    assert_memory_equal(hash[0], hash[1], KEY_HASH_BYTES);
}

static struct keystore *
open_store(void)
{
    struct err err = ERR_INIT;
    struct keystore *store = keystore_open(path, 0, &err);

    assert_non_null(store);
    return store;
}

struct seen {
    struct key_row rows[4];
    char names[4][16];
    unsigned n;
};

static void
note(void *owner, const struct key_row *row)
{
    struct seen *seen = owner;

    assert_true(seen->n < 4);
    seen->rows[seen->n] = *row;
    snprintf(seen->names[seen->n], sizeof(seen->names[0]), "%s", row->name);
    seen->n++;
}

static struct seen
read_all(void)
{
    struct keystore *store = open_store();
    struct seen seen = {.n = 0};
    struct err err = ERR_INIT;

    assert_int_equal(keystore_each(store, note, &seen, &err), 0);
    keystore_close(store);
    return seen;
}

static void
keeps_every_column(void **state)
{
    struct key_row row = {
        .name = "ci", .created = 100, .expires = 200, .rate = 60, .max_sessions = 3};
    struct keystore *store = open_store();
    struct err err = ERR_INIT;
    char text[KEY_TEXT_SIZE];
    struct seen seen;

    (void)state;
    key_make(row.id, text);
    key_hash(text, row.hash);
    assert_int_equal(keystore_add(store, &row, &err), 0);
    keystore_close(store);
    seen = read_all();
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.rows[0].id, row.id);
    assert_string_equal(seen.names[0], "ci");
    assert_memory_equal(seen.rows[0].hash, row.hash, KEY_HASH_BYTES);
    assert_int_equal(seen.rows[0].created, 100);
    assert_int_equal(seen.rows[0].expires, 200);
    assert_int_equal(seen.rows[0].revoked, 0);
    assert_int_equal(seen.rows[0].rate, 60);
    assert_int_equal(seen.rows[0].max_sessions, 3);
}

static void
revokes_once(void **state)
{
    struct key_row one = {.id = "000000000001", .name = ""},
                   two = {.id = "000000000002", .name = ""};
    struct keystore *store = open_store();
    struct err err = ERR_INIT;
    struct seen seen;

    (void)state;
    assert_int_equal(keystore_add(store, &one, &err), 0);
    assert_int_equal(keystore_add(store, &two, &err), 0);
    assert_int_equal(keystore_add(store, &two, &err), -1); /* an id is one key's */
    assert_int_equal(keystore_revoke(store, one.id, 300, &err), 0);
    assert_int_equal(keystore_revoke(store, one.id, 400, &err), 0);
    assert_int_equal(keystore_revoke(store, "000000000003", 300, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    keystore_close(store);
    seen = read_all();
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rows[0].revoked, 300);
    assert_int_equal(seen.rows[1].revoked, 0);
}

/* Neither the file nor anything of it in another form may hold the secret. */
static void
keeps_no_secret(void **state)
{
    struct key_row row = {.name = ""};
    struct keystore *store = open_store();
    struct err err = ERR_INIT;
    char text[KEY_TEXT_SIZE];
    uint8_t secret[KEY_SECRET_CHARS / 2];
    static uint8_t file[1 << 20];
    struct stat st;
    FILE *f;
    size_t len;

    (void)state;
    key_make(row.id, text);
    key_hash(text, row.hash);
    assert_int_equal(keystore_add(store, &row, &err), 0);
    keystore_close(store);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    f = fopen(path, "re");
    assert_non_null(f);
    len = fread(file, 1, sizeof(file), f);
    fclose(f);
    sodium_hex2bin(secret, sizeof(secret), text + 17, KEY_SECRET_CHARS, NULL, NULL, NULL);
    assert_non_null(memmem(file, len, row.hash, sizeof(row.hash)));
    assert_null(memmem(file, len, text + 17, 16));
    assert_null(memmem(file, len, secret, 8));
}

/* As long as somebody else writes, and no longer than was said. */
static void
a_lock_is_an_error(void **state)
{
    struct keystore *store = open_store();
    struct key_row row = {.id = "000000000001", .name = ""};
    struct err err = ERR_INIT;
    sqlite3 *other;

    (void)state;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(keystore_add(store, &row, &err), -1);
    assert_non_null(strstr(err.msg, "locked"));
    assert_null(keystore_open(path, 0, &err));
    sqlite3_close(other);
    assert_int_equal(keystore_add(store, &row, &err), 0);
    keystore_close(store);
}

static void
refuses_another_layout(void **state)
{
    struct err err = ERR_INIT;
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_null(keystore_open(path, 0, &err));
    assert_non_null(strstr(err.msg, "99"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_taken_apart),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(keys_differ),
        cmocka_unit_test_setup_teardown(keeps_every_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(revokes_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_no_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lock_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_another_layout, set_up, tear_down),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
