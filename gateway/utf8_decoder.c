#include "utf8_decoder.h"

#include <string.h>

#include "utf8.h"

static void
sink_replacement(utf8_sink_fn *sink, void *owner)
{
    sink(owner, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
}

/* Completes the character that an earlier call began; the number of bytes that took. */
static size_t
finish_held(struct utf8_decoder *d, const uint8_t *p, size_t len, utf8_sink_fn *sink, void *owner)
{
    size_t done = 0, used;

    while (d->n_held > 0 && done < len) {
        d->held[d->n_held] = p[done];
        switch (utf8_next(d->held, d->n_held + 1, &used)) {
        case UTF8_PARTIAL:
            d->n_held++;
            done++;
            break;
        case UTF8_CHAR:
            sink(owner, (const char *)d->held, used);
            d->n_held = 0;
            done++;
            break;
        case UTF8_INVALID: /* the new byte is not one of it */
            sink_replacement(sink, owner);
            d->n_held = 0;
            break;
        }
    }
    return done;
}

void
utf8_decode(struct utf8_decoder *d, const void *data, size_t len, utf8_sink_fn *sink, void *owner)
{
    const uint8_t *p = data;
    size_t i = finish_held(d, p, len, sink, owner), n, used;

    while (i < len) {
        n = utf8_valid_prefix(p + i, len - i);
        sink(owner, (const char *)p + i, n);
        i += n;
        if (i == len)
            return;
        if (utf8_next(p + i, len - i, &used) == UTF8_PARTIAL) {
            memcpy(d->held, p + i, used);
            d->n_held = used;
        } else
            sink_replacement(sink, owner);
        i += used;
    }
}

void
utf8_decode_end(struct utf8_decoder *d, utf8_sink_fn *sink, void *owner)
{
    if (d->n_held > 0)
        sink_replacement(sink, owner);
    d->n_held = 0;
}
