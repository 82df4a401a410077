/* request.c - see request.h. */
#include "request.h"

#include <string.h>

#include "bigendian.h"
#include "jupyter.h"

static int
fail(const char **why, const char *sentence)
{
    *why = sentence;
    return -1;
}

static int
check_message(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    r->first = 2;
    if (n < 2 || jupyter_begin(frames + 2, n - 2) != 0)
        return fail(why, "a message for the kernel that is no Jupyter message");
    return 0;
}

static int
parse_execute(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    const uint8_t *limits;

    if (check_message(frames, n, r, why) < 0)
        return -1;
    if (frames[1].len != TCI_LIMITS_SIZE)
        return fail(why, "EXECUTE without limits");
    limits = frames[1].data;
    r->max_bytes = bigendian_get64(limits);
    r->max_messages = bigendian_get32(limits + 8);
    r->max_message = bigendian_get64(limits + 12);
    r->watch = limits[20] == 1;
    if (!r->watch && limits[20] != 0)
        return fail(why, "EXECUTE that asks for something unknown");
    r->channel = TCI_SHELL;
    return 0;
}

static int
parse_relay(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    if (check_message(frames, n, r, why) < 0)
        return -1;
    if (frames[1].len != 1)
        return fail(why, "RELAY without a channel");
    r->channel = *(const unsigned char *)frames[1].data;
    if (r->channel != TCI_SHELL && r->channel != TCI_CONTROL && r->channel != TCI_STDIN)
        return fail(why, "RELAY to a channel that takes nothing");
    return 0;
}

static int
parse_network(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    r->first = 1;
    if (n != 2 || frames[1].len < 1 || frames[1].len > TCI_MAX_SESSION)
        return fail(why, "NETWORK without a session");
    for (size_t i = 0; i < frames[1].len; i++)
        if (memchr(alphabet, ((const char *)frames[1].data)[i], sizeof(alphabet) - 1) == NULL)
            return fail(why, "NETWORK with a bad session");
    return 0;
}

static int
parse_renew(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    r->first = 2;
    if (n != 3 || frames[1].len != 1)
        return fail(why, "RENEW of a wrong number of frames");
    r->wipe = *(const char *)frames[1].data == TCI_RENEW_WIPE;
    if (!r->wipe && *(const char *)frames[1].data != TCI_RENEW_KERNEL)
        return fail(why, "RENEW of something unknown");
    return 0;
}

static int
parse_files(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    r->first = 2;
    if (n != (r->verb == TCI_ABORT ? 2 : 3) || frames[1].len != TCI_FILES_ID_SIZE)
        return fail(why, "a message about files without an id, or of a wrong number of frames");
    r->id = bigendian_get32(frames[1].data);
    if (r->verb == TCI_FILES && frames[2].len > TCI_FILES_MAX_REQUEST)
        return fail(why, "FILES with too long a request");
    if (r->verb == TCI_GRANT && frames[2].len != sizeof(r->granted))
        return fail(why, "GRANT without a number");
    if (r->verb == TCI_GRANT)
        r->granted = bigendian_get32(frames[2].data);
    return 0;
}

int
request_parse(const struct frame *frames, size_t n, struct request *r, const char **why)
{
    memset(r, 0, sizeof(*r));
    if (n < 1 || frames[0].len != 1)
        return fail(why, "a message without a verb");
    r->verb = *(const unsigned char *)frames[0].data;
    switch (r->verb) {
    case TCI_CONFIG:
        r->first = 1;
        return n == 2 ? 0 : fail(why, "CONFIG of a wrong number of frames");
    case TCI_RENEW:
        return parse_renew(frames, n, r, why);
    case TCI_EXECUTE:
        return parse_execute(frames, n, r, why);
    case TCI_RELAY:
        return parse_relay(frames, n, r, why);
    case TCI_NETWORK:
        return parse_network(frames, n, r, why);
    case TCI_FILES:
    case TCI_DATA:
    case TCI_GRANT:
    case TCI_ABORT:
        return parse_files(frames, n, r, why);
    case TCI_INTERRUPT:
    case TCI_QUIT:
        return n == 1 ? 0 : fail(why, "INTERRUPT or QUIT with something behind it");
    default:
        return fail(why, "an unknown verb");
    }
}
