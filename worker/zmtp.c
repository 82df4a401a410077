/* zmtp.c - see zmtp.h. */
#include "zmtp.h"

#include <assert.h>
#include <string.h>

#include "bigendian.h"

enum { MORE = 1, LONG = 2, COMMAND = 4 };
enum { AT_VERSION = 10, AT_MECHANISM = 12, MECHANISM_SIZE = 20 };

static const char ready[] = "\005READY";
static const char null_mechanism[MECHANISM_SIZE] = "NULL";

void
zmtp_greeting(uint8_t out[ZMTP_GREETING_SIZE])
{
    memset(out, 0, ZMTP_GREETING_SIZE);
    out[0] = 0xFF;
    out[9] = 0x7F;
    out[AT_VERSION] = 3;
    memcpy(out + AT_MECHANISM, null_mechanism, MECHANISM_SIZE);
}

/* The peers of before version 3 have another greeting from the version on, and nobody runs kernels on them. */
int
zmtp_check_greeting(const uint8_t *data, size_t len)
{
    if ((len > 0 && data[0] != 0xFF) || (len > 9 && data[9] != 0x7F) ||
        (len > AT_VERSION && data[AT_VERSION] < 3))
        return -1;
    if (len < ZMTP_GREETING_SIZE)
        return 0;
    return memcmp(data + AT_MECHANISM, null_mechanism, MECHANISM_SIZE) == 0 ? 1 : -1;
}

static uint8_t *
put(uint8_t *p, const void *data, size_t len)
{
    memcpy(p, data, len);
    return p + len;
}

/* A property's name and value, each behind its length. */
static uint8_t *
put_property(uint8_t *p, const char *name, const char *value)
{
    const size_t len = strlen(value);

    assert(len <= ZMTP_NAME_MAX); /* our own constants */
    *p++ = (uint8_t)strlen(name);
    p = put(p, name, strlen(name));
    p = put(p, "\0\0", 3);
    *p++ = (uint8_t)len;
    return put(p, value, len);
}

size_t
zmtp_ready(uint8_t out[ZMTP_READY_MAX], const char *socket_type, const char *identity)
{
    uint8_t *p = put(out + 2, ready, strlen(ready));

    p = put_property(p, "Socket-Type", socket_type);
    if (identity)
        p = put_property(p, "Identity", identity);
    out[0] = COMMAND;
    out[1] = (uint8_t)(p - out - 2);
    return (size_t)(p - out);
}

bool
zmtp_is_ready(const uint8_t *body, size_t len)
{
    return len >= strlen(ready) && memcmp(body, ready, strlen(ready)) == 0;
}

int
zmtp_read_head(const uint8_t *data, size_t len, struct zmtp_head *head)
{
    if (len == 0)
        return 0;
    if ((data[0] & ~(MORE | LONG | COMMAND)) != 0 ||
        (data[0] & (MORE | COMMAND)) == (MORE | COMMAND))
        return -1;
    head->more = data[0] & MORE;
    head->command = data[0] & COMMAND;
    head->size = data[0] & LONG ? ZMTP_HEAD_MAX : 2;
    if (len < head->size)
        return 0;
    head->body = data[0] & LONG ? bigendian_get64(data + 1) : data[1];
    return 1;
}

size_t
zmtp_put_head(uint8_t out[ZMTP_HEAD_MAX], bool more, size_t len)
{
    const bool is_long = len > UINT8_MAX;

    out[0] = (uint8_t)((more ? MORE : 0) | (is_long ? LONG : 0));
    if (!is_long) {
        out[1] = (uint8_t)len;
        return 2;
    }
    bigendian_put64(out + 1, len);
    return ZMTP_HEAD_MAX;
}
