/*
 * fuzz_wire.c - the frames of a Jupyter message, one on each line: a signature, then what it signs.  The message is
 * decoded as it is, which its signature hardly ever survives, and with the right signature.
 */
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include <sodium.h>

#include "fuzz.h"
#include "gateway/reader.h"
#include "gateway/wire.h"

enum { DELIMITER, SIGNATURE, HEADER, MAX_FRAMES = 8 };

static const struct wire_key key = {.bytes = "fuzz-key", .len = 8};
static struct wire_memo memo; /* of the inputs before, too */

static void
sign(const struct wire_frame *frames, char hex[65])
{
    crypto_auth_hmacsha256_state st;
    uint8_t mac[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&st, key.bytes, key.len);
    for (int i = HEADER; i < WIRE_N_FRAMES; i++)
        crypto_auth_hmacsha256_update(&st, frames[i].data, frames[i].len);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_bin2hex(hex, 65, mac, sizeof(mac));
}

/* Whatever was mended, the result is JSON that can be written and read by a stricter reader. */
static void
check_object(const json_t *object)
{
    char *text;
    json_t *again;

    must(json_is_object(object));
    text = json_dumps(object, JSON_COMPACT);
    must(text != NULL);
    again = json_loads(text, JSON_ALLOW_NUL, NULL);
    must(json_equal(object, again));
    json_decref(again);
    free(text);
}

/*
 * What jansson takes is taken, too, and means the same; but for what is too deep, and for a NUL behind a number, which it
 * swallows.
 */
static void
compare_with_jansson(const struct wire_frame *frame)
{
    struct err err = ERR_INIT;
    json_t *strict = json_loadb(frame->data, frame->len, JSON_ALLOW_NUL, NULL);
    json_t *ours = reader_object(frame->data, frame->len, "it", &err);

    if (ours)
        check_object(ours);
    if (json_is_object(strict) && ours)
        must(json_equal(strict, ours));
    else if (json_is_object(strict) && memchr(frame->data, '\0', frame->len) == NULL)
        must(strstr(err.msg, "too many levels"));
    json_decref(strict);
    json_decref(ours);
}

static void
decode(const struct wire_frame *frames, size_t n, bool genuine)
{
    struct wire_msg msg;
    struct err err = ERR_INIT;

    if (wire_decode(&key, &memo, frames, n, &msg, &err) == 0) {
        check_object(msg.header);
        check_object(msg.parent);
        check_object(msg.content);
    } else {
        must(err.code == ERR_PEER && err.msg[0] != '\0');
        must(!msg.header && !msg.parent && !msg.content);
        must(!genuine || strstr(err.msg, "signature") == NULL);
    }
    wire_msg_clear(&msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct wire_frame frames[MAX_FRAMES] = {{"<IDS|MSG>", 9}};
    char *owned[MAX_FRAMES] = {0}, hex[65];
    size_t n = SIGNATURE;

    while (n < MAX_FRAMES && (owned[n] = fuzz_next(&in, '\n', &frames[n].len))) {
        frames[n].data = owned[n];
        n++;
    }
    decode(frames, n, false);
    for (size_t i = SIGNATURE; i < n; i++)
        compare_with_jansson(&frames[i]);
    if (n >= WIRE_N_FRAMES) {
        sign(frames, hex);
        frames[SIGNATURE] = (struct wire_frame){hex, 64};
        decode(frames, n, true);
    }
    for (size_t i = 0; i < MAX_FRAMES; i++)
        free(owned[i]);
    return 0;
}
