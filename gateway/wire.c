/* wire.c - see wire.h. */
#include "wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include "reader.h"

#define DELIMITER "<IDS|MSG>"

enum { DELIMITER_AT, SIGNATURE, HEADER, PARENT, METADATA, CONTENT };
enum {
    MAC_LEN = 32,
    HEX_LEN = 2 * MAC_LEN,
    MEMO_MAX = 1024, /* bytes of a parent header that is remembered */
};

/*
 * HMAC-SHA256 by OpenSSL, which uses the processor's instructions for it where libsodium's is plain C: a third of the time,
 * five times an execution.  One for all, because to make one takes longer than to use it.
 */
static EVP_MAC_CTX *
hmac(void)
{
    static EVP_MAC_CTX *ctx;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac;

    if (ctx)
        return ctx;
    mac = xnotnull(EVP_MAC_fetch(NULL, "HMAC", NULL));
    ctx = xnotnull(EVP_MAC_CTX_new(mac));
    EVP_MAC_free(mac);
    if (!EVP_MAC_CTX_set_params(ctx, params))
        abort();
    return ctx;
}

/* One execution's messages have one key, which need not be set anew each time. */
static bool
begin_mac(const struct wire_key *key)
{
    static struct wire_key last;
    static bool set;

    if (set && last.len == key->len && sodium_memcmp(last.bytes, key->bytes, key->len) == 0)
        return EVP_MAC_init(hmac(), NULL, 0, NULL);
    last = *key;
    set = EVP_MAC_init(hmac(), key->bytes, key->len, NULL);
    return set;
}

/* The signature of the four JSON frames, as hex. */
static void
sign(const struct wire_key *key, const struct wire_frame *frames, char hex[HEX_LEN + 1])
{
    uint8_t mac[MAC_LEN];
    size_t len = sizeof(mac);
    bool ok = begin_mac(key);

    for (int i = HEADER; i <= CONTENT; i++)
        ok = ok && EVP_MAC_update(hmac(), frames[i].data, frames[i].len);
    if (!ok || !EVP_MAC_final(hmac(), mac, &len, sizeof(mac)))
        abort(); /* out of memory: nothing else can go wrong */
    sodium_bin2hex(hex, HEX_LEN + 1, mac, sizeof(mac));
}

static bool
is_signed(const struct wire_key *key, const struct wire_frame *frames)
{
    char hex[HEX_LEN + 1];

    if (frames[SIGNATURE].len != HEX_LEN)
        return false;
    sign(key, frames, hex);
    return sodium_memcmp(frames[SIGNATURE].data, hex, HEX_LEN) == 0;
}

static json_t *
read_part(const struct wire_frame *frame, const char *what, struct err *err)
{
    return reader_object(frame->data, frame->len, what, err);
}

static json_t *
read_parent(struct wire_memo *memo, const struct wire_frame *frame, struct err *err)
{
    json_t *object;

    if (memo->object && memo->len == frame->len && memcmp(memo->text, frame->data, frame->len) == 0)
        return json_incref(memo->object);
    object = read_part(frame, "a message's parent header", err);
    if (object == NULL || frame->len > MEMO_MAX)
        return object;
    wire_memo_clear(memo);
    memo->text = xnotnull(malloc(frame->len));
    memcpy(memo->text, frame->data, frame->len);
    memo->len = frame->len;
    memo->object = json_incref(object);
    return object;
}

void
wire_memo_clear(struct wire_memo *memo)
{
    free(memo->text);
    json_decref(memo->object);
    *memo = (struct wire_memo){0};
}

int
wire_decode(const struct wire_key *key, struct wire_memo *memo, const struct wire_frame *frames,
            size_t n, struct wire_msg *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    if (n < WIRE_N_FRAMES || frames[DELIMITER_AT].len != strlen(DELIMITER) ||
        memcmp(frames[DELIMITER_AT].data, DELIMITER, strlen(DELIMITER)) != 0)
        return err_set(err, ERR_PEER, "%zu frames that are not a Jupyter message", n);
    if (!is_signed(key, frames))
        return err_set(err, ERR_PEER, "a Jupyter message with a wrong signature");
    if ((out->header = read_part(&frames[HEADER], "a message's header", err)) &&
        (out->parent = read_parent(memo, &frames[PARENT], err)) &&
        (out->content = read_part(&frames[CONTENT], "a message's content", err)))
        return 0;
    wire_msg_clear(out);
    return -1;
}

void
wire_msg_clear(struct wire_msg *msg)
{
    json_decref(msg->header);
    json_decref(msg->parent);
    json_decref(msg->content);
    memset(msg, 0, sizeof(*msg));
}

/* Now, as the protocol wants it: 2026-01-31T12:34:56.789012Z. */
static void
format_now(char *out, size_t size)
{
    struct timespec now;
    struct tm tm;
    size_t len;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, size - len, ".%06ldZ", now.tv_nsec / 1000);
}

/* The strings are our own, of characters that JSON takes as they are. */
static char *
make_header(const char *session, const char *msg_id, const char *msg_type)
{
    char date[64];

    format_now(date, sizeof(date));
    return xasprintf("{\"msg_id\":\"%s\",\"session\":\"%s\",\"username\":\"tci\",\"date\":\"%s\","
                     "\"msg_type\":\"%s\",\"version\":\"5.3\"}",
                     msg_id, session, date, msg_type);
}

static void
own(struct wire_encoded *e, int at, char *text)
{
    e->owned[at] = text;
    e->frames[at] = (struct wire_frame){text, strlen(text)};
}

void
wire_encode(const struct wire_key *key, const char *session, const char *msg_id,
            const char *msg_type, const json_t *parent, const json_t *content,
            struct wire_encoded *out)
{
    char *signature = xnotnull(malloc(HEX_LEN + 1));

    memset(out, 0, sizeof(*out));
    out->frames[DELIMITER_AT] = (struct wire_frame){DELIMITER, strlen(DELIMITER)};
    out->frames[METADATA] = out->frames[PARENT] = (struct wire_frame){"{}", 2};
    own(out, HEADER, make_header(session, msg_id, msg_type));
    if (parent)
        own(out, PARENT, xnotnull(json_dumps(parent, JSON_COMPACT)));
    own(out, CONTENT, xnotnull(json_dumps(content, JSON_COMPACT)));
    sign(key, out->frames, signature);
    own(out, SIGNATURE, signature);
}

void
wire_encoded_clear(struct wire_encoded *e)
{
    for (int i = 0; i < WIRE_N_FRAMES; i++)
        free(e->owned[i]);
    memset(e, 0, sizeof(*e));
}
