/* wire.c - see wire.h. */
#include "wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sodium.h>

#include "reader.h"

#define DELIMITER "<IDS|MSG>"
#define HEX_LEN (2 * crypto_auth_hmacsha256_BYTES)

enum { DELIMITER_AT, SIGNATURE, HEADER, PARENT, METADATA, CONTENT };

/* The signature of the four JSON frames, as hex. */
static void
sign(const struct wire_key *key, const struct wire_frame *frames, char hex[HEX_LEN + 1])
{
    crypto_auth_hmacsha256_state st;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&st, key->bytes, key->len);
    for (int i = HEADER; i <= CONTENT; i++)
        crypto_auth_hmacsha256_update(&st, frames[i].data, frames[i].len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_bin2hex(hex, HEX_LEN + 1, mac, sizeof(mac));
    sodium_memzero(&st, sizeof(st));
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

int
wire_decode(const struct wire_key *key, const struct wire_frame *frames, size_t n,
            struct wire_msg *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    if (n < WIRE_N_FRAMES || frames[DELIMITER_AT].len != strlen(DELIMITER) ||
        memcmp(frames[DELIMITER_AT].data, DELIMITER, strlen(DELIMITER)) != 0)
        return err_set(err, ERR_PEER, "%zu frames that are not a Jupyter message", n);
    if (!is_signed(key, frames))
        return err_set(err, ERR_PEER, "a Jupyter message with a wrong signature");
    if ((out->header = read_part(&frames[HEADER], "a message's header", err)) &&
        (out->parent = read_part(&frames[PARENT], "a message's parent header", err)) &&
        (out->metadata = read_part(&frames[METADATA], "a message's metadata", err)) &&
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
    json_decref(msg->metadata);
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

static char *
make_header(const char *session, const char *msg_id, const char *msg_type)
{
    char date[64];
    json_auto_t *header = NULL;

    format_now(date, sizeof(date));
    header = xnotnull(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "msg_id", msg_id, "session",
                                session, "username", "tci", "date", date, "msg_type", msg_type,
                                "version", "5.3"));
    return xnotnull(json_dumps(header, JSON_COMPACT));
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
