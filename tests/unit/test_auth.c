/* test_auth.c - the verdicts on tokens, and the file of keys that changes under them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sodium.h>

#include "gateway/auth.h"
#include "gateway/bucket.h"
#include "gateway/clock.h"
#include "gateway/keystore.h"
#include "tests/unit/scratch_file.h"

/* Adds a key with the limits of row; text gets it. */
static void
add(struct key_row row, char id[KEY_ID_SIZE], char text[KEY_TEXT_SIZE])
{
    struct err err = ERR_INIT;
    struct keystore *store = keystore_open(path, 0, &err);

    assert_non_null(store);
    key_make(row.id, text);
    key_hash(text, row.hash);
    row.name = "";
    row.created = time(NULL);
    assert_int_equal(keystore_add(store, &row, &err), 0);
    keystore_close(store);
    memcpy(id, row.id, KEY_ID_SIZE);
}

static void
revoke_key(const char *id)
{
    struct err err = ERR_INIT;
    struct keystore *store = keystore_open(path, 0, &err);

    assert_non_null(store);
    assert_int_equal(keystore_revoke(store, id, time(NULL), &err), 0);
    keystore_close(store);
}

static enum auth_verdict
check(struct auth *auth, const char *token)
{
    struct caller who;
    double wait;

    return auth_check(auth, token, &who, &wait);
}

static void
knows_the_master_token(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    struct caller who;
    double wait;

    (void)state;
    assert_int_equal(auth_check(auth, "the-master-token", &who, &wait), AUTH_OK);
    assert_true(caller_is_master(&who));
    assert_int_equal(check(auth, NULL), AUTH_MISSING);
    assert_int_equal(check(auth, ""), AUTH_WRONG);
    assert_int_equal(check(auth, "the-master-toke"), AUTH_WRONG);
    assert_int_equal(check(auth, "the-master-token "), AUTH_WRONG);
    auth_free(auth);
}

static void
knows_keys_at_once(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE], other[KEY_TEXT_SIZE];
    struct caller who;
    double wait;

    (void)state;
    for (int i = 0; i < 20; i++) {
        add((struct key_row){.max_sessions = 5}, id, text);
        assert_int_equal(auth_check(auth, text, &who, &wait), AUTH_OK);
        assert_string_equal(who.key, id);
        assert_int_equal(who.max_sessions, 5);
    }
    strcpy(other, text);
    other[KEY_TEXT_SIZE - 2] = other[KEY_TEXT_SIZE - 2] == '0' ? '1' : '0';
    assert_int_equal(auth_check(auth, other, &who, &wait), AUTH_WRONG);
    assert_true(caller_is_master(&who)); /* nobody, and not that key */
    auth_free(auth);
}

static void
keys_end(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE];
    double end;

    (void)state;
    add((struct key_row){.expires = time(NULL) - 1}, id, text);
    assert_int_equal(check(auth, text), AUTH_EXPIRED);
    add((struct key_row){.expires = time(NULL) + 3600}, id, text);
    assert_int_equal(check(auth, text), AUTH_OK);
    revoke_key(id);
    for (end = clock_now() + 30; clock_now() < end && check(auth, text) == AUTH_OK;)
        continue;
    assert_int_equal(check(auth, text), AUTH_REVOKED);
    auth_free(auth);
}

static void
keys_go_with_their_file(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE];
    double end;

    (void)state;
    add((struct key_row){.rate = 0}, id, text);
    assert_int_equal(check(auth, text), AUTH_OK);
    unlink(path);
    for (end = clock_now() + 30; clock_now() < end && check(auth, text) == AUTH_OK;)
        continue;
    assert_int_equal(check(auth, text), AUTH_WRONG);
    auth_free(auth);
}

/* What cannot be read ends nobody's key. */
static void
keys_stay_while_their_file_is_unreadable(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE], stranger[KEY_TEXT_SIZE];
    FILE *file;

    (void)state;
    add((struct key_row){.rate = 0}, id, text);
    assert_int_equal(check(auth, text), AUTH_OK);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs("this is no database, whatever its name says", file);
    fclose(file);
    key_make(id, stranger);
    assert_int_equal(check(auth, stranger), AUTH_WRONG); /* has it read */
    assert_int_equal(check(auth, text), AUTH_OK);
    auth_free(auth);
}

static void
keys_have_a_rate(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE];
    struct caller who;
    double wait;

    (void)state;
    add((struct key_row){.rate = 2}, id, text);
    assert_int_equal(check(auth, text), AUTH_OK);
    assert_int_equal(check(auth, text), AUTH_OK);
    assert_int_equal(auth_check(auth, text, &who, &wait), AUTH_TOO_FAST);
    assert_string_equal(who.key, id);
    assert_true(wait > 20 && wait <= 30);
    revoke_key(id);
    for (double end = clock_now() + 30; clock_now() < end && check(auth, text) == AUTH_TOO_FAST;)
        continue;
    assert_int_equal(check(auth, text), AUTH_REVOKED);
    auth_free(auth);
}

static void
knowing_a_key_counts_for_nothing(void **state)
{
    struct auth *auth = auth_new("the-master-token", path);
    char id[KEY_ID_SIZE], text[KEY_TEXT_SIZE], ended[KEY_TEXT_SIZE];

    (void)state;
    add((struct key_row){.expires = time(NULL) - 1}, id, ended);
    add((struct key_row){.rate = 1}, id, text);
    for (int i = 0; i < 5; i++)
        assert_true(auth_knows(auth, text));
    assert_int_equal(check(auth, text), AUTH_OK);
    assert_int_equal(check(auth, text), AUTH_TOO_FAST);
    assert_true(auth_knows(auth, text));
    assert_true(auth_knows(auth, "the-master-token"));
    assert_false(auth_knows(auth, "the-master-toke"));
    assert_false(auth_knows(auth, NULL));
    assert_false(auth_knows(auth, ended));
    revoke_key(id);
    for (double end = clock_now() + 30; clock_now() < end && auth_knows(auth, text);)
        continue;
    assert_false(auth_knows(auth, text));
    auth_free(auth);
}

static void
a_bucket_fills_with_time(void **state)
{
    struct bucket b = {0};
    double wait = -1, now = 1000;

    (void)state;
    for (int i = 0; i < 60; i++)
        assert_true(bucket_take(&b, 60, now, &wait));
    assert_true(wait == -1);
    for (int i = 0; i < 1000; i++) /* being refused costs nothing */
        assert_false(bucket_take(&b, 60, now + 0.5, &wait));
    assert_true(wait > 0.49 && wait < 0.51);
    assert_true(bucket_take(&b, 60, now + 1.001, &wait));
    assert_false(bucket_take(&b, 60, now + 1.002, &wait));
    now += 1e6; /* no more than full */
    for (int i = 0; i < 60; i++)
        assert_true(bucket_take(&b, 60, now, &wait));
    assert_false(bucket_take(&b, 60, now, &wait));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(knows_keys_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_stay_while_their_file_is_unreadable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keys_have_a_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knowing_a_key_counts_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_the_master_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_go_with_their_file, set_up, tear_down),
        cmocka_unit_test(a_bucket_fills_with_time),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
