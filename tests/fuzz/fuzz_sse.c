/*
 * fuzz_sse.c - the bytes of a server, to tci's reader of server-sent events: in pieces, of which the first byte says the
 * size, and all at once, which must come to the same.
 */
#include <string.h>

#include "cli/events.h"
#include "cli/terminal.h"
#include "fuzz.h"

enum { MAX = 4096 };

struct seen {
    uint64_t sum;
    size_t events, bytes;
};

static void
on_event(void *owner, const char *name, const char *data, size_t len)
{
    struct seen *seen = owner;
    cleanup_free char *copy = xstrdup(data);

    must(data[len] == '\0' && len < MAX && strlen(name) < 64);
    for (size_t i = 0; i <= len; i++)
        seen->sum = seen->sum * 31 + (unsigned char)data[i];
    for (; *name; name++)
        seen->sum = seen->sum * 31 + (unsigned char)*name;
    seen->events++;
    seen->bytes += len;
    terminal_strip(copy);
    must(strlen(copy) <= len && strchr(copy, '\033') == NULL);
}

static int
feed(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    struct events *e = events_new(MAX, on_event, seen);
    int rc = 0;

    memset(seen, 0, sizeof(*seen));
    for (size_t i = 0; i < size && rc == 0; i += piece) {
        const size_t len = piece < size - i ? piece : size - i;
        char *copy = xcalloc(len, 1);

        memcpy(copy, data + i, len);
        rc = events_feed(e, copy, len, NULL);
        free(copy);
    }
    events_free(e);
    must(seen->bytes <= size);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, pieces;
    int rc;

    if (size < 2)
        return 0;
    rc = feed(data + 1, size - 1, size, &whole);
    must(feed(data + 1, size - 1, data[0] % 64 + 1, &pieces) == rc);
    must(whole.sum == pieces.sum && whole.events == pieces.events);
    return 0;
}
