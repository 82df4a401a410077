/* test_wire.c - messages as kernels send them, forged ones, and those that we send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <regex.h>
#include <sodium.h>
#include <string.h>

#include "gateway/wire.h"

enum { DELIMITER, SIGNATURE, HEADER, PARENT, METADATA, CONTENT };

static const struct wire_key key = {.bytes = "fuzz-key", .len = 8};
static struct wire_memo memo;

/* A message of ipykernel 6.17, signed by it. */
static const char *const kernel_message[WIRE_N_FRAMES] = {
    "<IDS|MSG>",
    "d2a5253aca7980ea4ce900eea5af0758a0e09b46aee813b2e4f6968ee81382a0",
    "{\"msg_id\": \"d71e39f8-5cd6498bf3e1111cbfc6f94b_24208_6\", \"msg_type\": \"stream\", "
    "\"username\": \"username\", \"session\": \"d71e39f8-5cd6498bf3e1111cbfc6f94b\", "
    "\"date\": \"2026-11-21T08:26:17.777809Z\", \"version\": \"5.3\"}",
    "{\"msg_id\": \"79fb911a-439433f958fd9b5493de83e2_24182_1\", \"msg_type\": "
    "\"execute_request\", "
    "\"username\": \"username\", \"session\": \"79fb911a-439433f958fd9b5493de83e2\", "
    "\"date\": \"2026-11-21T08:26:17.767612Z\", \"version\": \"5.3\"}",
    "{}",
    "{\"name\": \"stdout\", \"text\": \"hello\\n\"}",
};

static void
frames_of(const char *const texts[WIRE_N_FRAMES], struct wire_frame frames[WIRE_N_FRAMES])
{
    for (int i = 0; i < WIRE_N_FRAMES; i++)
        frames[i] = (struct wire_frame){texts[i], strlen(texts[i])};
}

static void
refuses(const struct wire_frame *frames, size_t n, const char *why)
{
    struct err err = ERR_INIT;
    struct wire_msg msg = {(json_t *)1, (json_t *)1, (json_t *)1};

    assert_int_equal(wire_decode(&key, &memo, frames, n, &msg, &err), -1);
    assert_int_equal(err.code, ERR_PEER);
    if (strstr(err.msg, why) == NULL)
        fail_msg("the error is: %s", err.msg);
    assert_null(msg.header);
    assert_null(msg.parent);
    assert_null(msg.content);
}

static const char *
string_at(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* Signs what is behind the signature, as a kernel does. */
static void
sign(struct wire_frame frames[WIRE_N_FRAMES], char hex[65])
{
    crypto_auth_hmacsha256_state st;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&st, key.bytes, key.len);
    for (int i = HEADER; i < WIRE_N_FRAMES; i++)
        crypto_auth_hmacsha256_update(&st, frames[i].data, frames[i].len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_bin2hex(hex, 65, mac, sizeof(mac));
    frames[SIGNATURE] = (struct wire_frame){hex, 64};
}

static void
kernel_message_is_decoded(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];
    struct wire_msg msg;
    struct err err = ERR_INIT;

    (void)state;
    frames_of(kernel_message, frames);
    assert_int_equal(wire_decode(&key, &memo, frames, WIRE_N_FRAMES, &msg, &err), 0);
    assert_string_equal(string_at(msg.header, "msg_type"), "stream");
    assert_string_equal(string_at(msg.parent, "msg_type"), "execute_request");
    assert_string_equal(string_at(msg.content, "text"), "hello\n");
    wire_msg_clear(&msg);
    assert_null(msg.content);
    wire_msg_clear(&msg);
}

static void
buffers_are_ignored(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES + 2];
    struct wire_msg msg;
    struct err err = ERR_INIT;

    (void)state;
    frames_of(kernel_message, frames);
    frames[WIRE_N_FRAMES] = (struct wire_frame){"buffer", 6};
    frames[WIRE_N_FRAMES + 1] = (struct wire_frame){"", 0};
    assert_int_equal(wire_decode(&key, &memo, frames, WIRE_N_FRAMES + 2, &msg, &err), 0);
    wire_msg_clear(&msg);
}

static void
other_shapes_are_refused(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];

    (void)state;
    frames_of(kernel_message, frames);
    for (size_t n = 0; n < WIRE_N_FRAMES; n++)
        refuses(frames, n, "not a Jupyter message");
    frames[DELIMITER].len--;
    refuses(frames, WIRE_N_FRAMES, "not a Jupyter message");
    frames[DELIMITER] = (struct wire_frame){"<IDS|MSg>", 9};
    refuses(frames, WIRE_N_FRAMES, "not a Jupyter message");
    frames[DELIMITER] = (struct wire_frame){"<IDS|MSG>\0", 10};
    refuses(frames, WIRE_N_FRAMES, "not a Jupyter message");
}

static void
any_changed_frame_breaks_the_signature(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];

    (void)state;
    for (int i = HEADER; i < WIRE_N_FRAMES; i++) {
        frames_of(kernel_message, frames);
        frames[i] = (struct wire_frame){"{ }", 3};
        refuses(frames, WIRE_N_FRAMES, "wrong signature");
    }
}

static void
any_changed_digit_of_the_signature_is_seen(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];
    char hex[65];

    (void)state;
    frames_of(kernel_message, frames);
    for (int i = 0; i < 64; i++) {
        snprintf(hex, sizeof(hex), "%s", kernel_message[SIGNATURE]);
        hex[i] = hex[i] == '0' ? '1' : '0';
        frames[SIGNATURE] = (struct wire_frame){hex, 64};
        refuses(frames, WIRE_N_FRAMES, "wrong signature");
    }
    frames[SIGNATURE] = (struct wire_frame){"", 0};
    refuses(frames, WIRE_N_FRAMES, "wrong signature");
    frames[SIGNATURE] = (struct wire_frame){kernel_message[SIGNATURE], 63};
    refuses(frames, WIRE_N_FRAMES, "wrong signature");
}

static void
other_keys_do_not_fit(void **state)
{
    const struct wire_key keys[] = {
        {.bytes = "fuzz-keY", .len = 8}, {.bytes = "fuzz-key", .len = 7}, {.bytes = "", .len = 0}};
    struct wire_frame frames[WIRE_N_FRAMES];
    struct wire_msg msg;
    struct err err = ERR_INIT;

    (void)state;
    frames_of(kernel_message, frames);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(wire_decode(&keys[i], &memo, frames, WIRE_N_FRAMES, &msg, &err), -1);
}

/* What is not signed is not parsed: the signature is what the error tells of. */
static void
signature_is_checked_before_json(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];
    char hex[65];

    (void)state;
    for (int i = HEADER; i < WIRE_N_FRAMES; i++) {
        frames_of(kernel_message, frames);
        frames[i] = (struct wire_frame){"no", 2};
        refuses(frames, WIRE_N_FRAMES, "wrong signature");
        if (i == METADATA) /* of no use to us, and so not parsed at all */
            continue;
        sign(frames, hex);
        refuses(frames, WIRE_N_FRAMES, "is not JSON");
        frames[i] = (struct wire_frame){"[]", 2};
        sign(frames, hex);
        refuses(frames, WIRE_N_FRAMES, "not an object");
        frames[i] = (struct wire_frame){"", 0};
        sign(frames, hex);
        refuses(frames, WIRE_N_FRAMES, "not an object");
    }
}

static void
user_text_is_mended(void **state)
{
    struct wire_frame frames[WIRE_N_FRAMES];
    struct wire_msg msg;
    struct err err = ERR_INIT;
    char hex[65];

    (void)state;
    frames_of(kernel_message, frames);
    frames[CONTENT] = (struct wire_frame){"{\"text\": \"\xff\\udc00\", \"n\": NaN}", 29};
    sign(frames, hex);
    assert_int_equal(wire_decode(&key, &memo, frames, WIRE_N_FRAMES, &msg, &err), 0);
    assert_string_equal(string_at(msg.content, "text"), "\ufffd\ufffd");
    assert_true(json_is_null(json_object_get(msg.content, "n")));
    wire_msg_clear(&msg);
}

static void
matches(const char *text, const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, text, 0, NULL, 0) != 0)
        fail_msg("%s does not match %s", text, pattern);
    regfree(&re);
}

static void
encoded_message_has_the_protocol_s_form(void **state)
{
    json_auto_t *content = json_pack("{s:s%}", "code", "a\0é", (size_t)4);
    struct wire_encoded e;
    struct wire_msg msg;
    struct err err = ERR_INIT;

    (void)state;
    wire_encode(&key, "the-session", "the-session-7", "execute_request", NULL, content, &e);
    assert_int_equal(e.frames[DELIMITER].len, 9);
    assert_memory_equal(e.frames[DELIMITER].data, "<IDS|MSG>", 9);
    assert_int_equal(e.frames[SIGNATURE].len, 64);
    assert_memory_equal(e.frames[PARENT].data, "{}", 2);
    assert_memory_equal(e.frames[METADATA].data, "{}", 2);
    assert_int_equal(wire_decode(&key, &memo, e.frames, WIRE_N_FRAMES, &msg, &err), 0);
    assert_string_equal(string_at(msg.header, "msg_id"), "the-session-7");
    assert_string_equal(string_at(msg.header, "session"), "the-session");
    assert_string_equal(string_at(msg.header, "msg_type"), "execute_request");
    assert_string_equal(string_at(msg.header, "username"), "tci");
    assert_string_equal(string_at(msg.header, "version"), "5.3");
    matches(string_at(msg.header, "date"),
            "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][.][0-9]{6}Z$");
    assert_int_equal(json_object_size(msg.header), 6);
    assert_true(json_equal(msg.content, content));
    wire_msg_clear(&msg);
    wire_encoded_clear(&e);
    assert_null(e.frames[HEADER].data);
    wire_encoded_clear(&e);
}

static void
parent_is_passed_on(void **state)
{
    json_auto_t *parent = json_pack("{s:s}", "msg_id", "p");
    json_auto_t *content = json_object();
    struct wire_encoded e;
    struct wire_msg msg;
    struct err err = ERR_INIT;

    (void)state;
    wire_encode(&key, "s", "i", "input_reply", parent, content, &e);
    assert_int_equal(wire_decode(&key, &memo, e.frames, WIRE_N_FRAMES, &msg, &err), 0);
    assert_true(json_equal(msg.parent, parent));
    wire_msg_clear(&msg);
    wire_encoded_clear(&e);
}

/* One after the other, remembered or not. */
static void
each_message_has_its_own_parent(void **state)
{
    static const char *const parents[] = {"{\"msg_id\": \"a\"}", "{\"msg_id\": \"a\"}",
                                          "{\"msg_id\": \"b\"}", "{\"msg_id\": \"bc\"}",
                                          "{\"msg_id\": \"a\"}"};
    static const char *const ids[] = {"a", "a", "b", "bc", "a"};
    struct wire_frame frames[WIRE_N_FRAMES];
    struct wire_msg msg;
    struct err err = ERR_INIT;
    char hex[65];

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        frames_of(kernel_message, frames);
        frames[PARENT] = (struct wire_frame){parents[i], strlen(parents[i])};
        sign(frames, hex);
        assert_int_equal(wire_decode(&key, &memo, frames, WIRE_N_FRAMES, &msg, &err), 0);
        assert_string_equal(string_at(msg.parent, "msg_id"), ids[i]);
        wire_msg_clear(&msg);
        frames[PARENT] = (struct wire_frame){"[]", 2};
        sign(frames, hex);
        refuses(frames, WIRE_N_FRAMES, "not an object");
    }
}

static int
forget(void **state)
{
    (void)state;
    wire_memo_clear(&memo);
    wire_memo_clear(&memo);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_message_is_decoded),
        cmocka_unit_test(buffers_are_ignored),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(any_changed_frame_breaks_the_signature),
        cmocka_unit_test(any_changed_digit_of_the_signature_is_seen),
        cmocka_unit_test(other_keys_do_not_fit),
        cmocka_unit_test(signature_is_checked_before_json),
        cmocka_unit_test(user_text_is_mended),
        cmocka_unit_test(encoded_message_has_the_protocol_s_form),
        cmocka_unit_test(parent_is_passed_on),
        cmocka_unit_test(each_message_has_its_own_parent),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
