/* sse.c - see sse.h. */
#include "sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "http.h"
#include "mem.h"

enum {
    KEEP_ALIVE_MS = 15000,
    IN_FLIGHT =
        128 << 10, /* bytes in the host's kernel: what a connection that breaks can take with it */
};

struct sse {
    struct http_stream *stream;
    struct event *keep_alive;
    const struct http_stream_ops *ops;
    void *owner;
};

/* --- what the client says ----------------------------------------------------------------- */

/* One element of Accept, up to a comma or the end. */
static bool
takes_events(const char *s, size_t len)
{
    const char *q = memchr(s, ';', len);
    const size_t type = q ? (size_t)(q - s) : len;

    if (type < strlen(SSE_TYPE) || strncasecmp(s, SSE_TYPE, strlen(SSE_TYPE)) != 0 ||
        strspn(s + strlen(SSE_TYPE), " \t") != type - strlen(SSE_TYPE))
        return false;
    if (q == NULL)
        return true;
    q += 1 + strspn(q + 1, " \t");
    return strncasecmp(q, "q=0", 3) != 0 || strtod(q + 2, NULL) > 0;
}

bool
sse_is_accepted(const char *accept)
{
    while (accept && *accept) {
        const size_t len = strcspn(accept, ",");
        const size_t space = strspn(accept, " \t");

        if (space < len && takes_events(accept + space, len - space))
            return true;
        accept += len + (accept[len] == ',');
    }
    return false;
}

bool
sse_last_id(const char *header, uint64_t *id)
{
    const size_t digits = header ? strspn(header, "0123456789") : 0;

    if (digits == 0 || digits > 18 || header[digits] != '\0')
        return false;
    *id = strtoull(header, NULL, 10);
    return true;
}

/* --- what it gets ------------------------------------------------------------------------- */

static void
sse_free(struct sse *sse)
{
    event_free(sse->keep_alive);
    free(sse);
}

static void
on_drained(void *owner)
{
    const struct sse *sse = owner;

    sse->ops->on_drained(sse->owner);
}

static void
on_gone(void *owner)
{
    struct sse *sse = owner;
    const struct http_stream_ops *ops = sse->ops;
    void *up = sse->owner;

    sse_free(sse);
    ops->on_gone(up);
}

static void
on_keep_alive(evutil_socket_t fd, short what, void *arg)
{
    struct sse *sse = arg;

    (void)fd, (void)what;
    if (sse_unsent(sse) == 0)
        http_stream_write(sse->stream, ":\n\n", 3);
    clock_arm(sse->keep_alive, KEEP_ALIVE_MS);
}

struct sse *
sse_start(struct event_base *base, struct http_request *r, const struct http_stream_ops *ops,
          void *owner)
{
    static const struct http_stream_ops own = {on_drained, on_gone};
    struct sse *sse = xcalloc(1, sizeof(*sse));

    sse->ops = ops;
    sse->owner = owner;
    sse->keep_alive = xnotnull(evtimer_new(base, on_keep_alive, sse));
    http_add_header(r, "Cache-Control", "no-store");
    http_add_header(r, "X-Accel-Buffering", "no"); /* nginx would gather them */
    sse->stream = http_stream_start(r, 200, SSE_TYPE, &own, sse);
    http_stream_bound(sse->stream, IN_FLIGHT);
    clock_arm(sse->keep_alive, KEEP_ALIVE_MS);
    return sse;
}

void
sse_send(struct sse *sse, uint64_t id, const char *event, const char *data, size_t len)
{
    char head[128];
    const int n = snprintf(head, sizeof(head),
                           "id: %llu\nevent: %.60s\ndata: ", (unsigned long long)id, event);
    const struct iovec pieces[] = {{head, (size_t)n}, {(char *)data, len}, {(char *)"\n\n", 2}};

    http_stream_writev(sse->stream, pieces, sizeof(pieces) / sizeof(pieces[0]));
    clock_arm(sse->keep_alive, KEEP_ALIVE_MS);
}

bool
sse_has_body(const struct sse *sse)
{
    return http_stream_has_body(sse->stream);
}

size_t
sse_unsent(const struct sse *sse)
{
    return http_stream_unsent(sse->stream);
}

void
sse_let_last(struct sse *sse)
{
    http_stream_let_last(sse->stream);
}

void
sse_hasten(struct sse *sse, size_t left)
{
    http_stream_hasten(sse->stream, left);
}

void
sse_end(struct sse *sse)
{
    struct http_stream *stream = sse->stream;

    sse_free(sse);
    http_stream_end(stream);
}

void
sse_abort(struct sse *sse)
{
    struct http_stream *stream = sse->stream;

    sse_free(sse);
    http_stream_abort(stream);
}
