/* http_body.c - see http_body.h. */
#include "http_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <event2/event.h>
#include <event2/http.h>

#include "http_intake.h"
#include "http_json.h"
#include "http_request.h"
#include "http_state.h"
#include "log.h"
#include "peers.h"

enum {
    STREAM_PIECE = 1 << 20
}; /* bytes of a body in pieces that a client is given time for at once */

/* The client has as much time for each piece as for an answer of that size, and none runs while it is us that it waits for. */
static void
time_stream(struct http_request *r)
{
    const int fd = http_fd(evhttp_request_get_connection(r->ev));
    const unsigned long long taken = http_intake_taken(r->intake);

    if (http_intake_has_ended(r->intake) && !r->watched) {
        r->watched = true;
        http_request_watch(r);
    } else if (!http_intake_is_reading(r->intake)) {
        peers_handling(r->http->peers, fd);
    } else if (r->timed <= taken) {
        peers_receiving(r->http->peers, fd, STREAM_PIECE);
    }
    if (r->timed <= taken)
        r->timed = taken + STREAM_PIECE;
}

/* Whoever handles it learns that it is no more, as if its client had gone. */
static void
refuse_chunk(struct http_request *r)
{
    http_gone_fn *gone = r->gone;
    void *owner = r->gone_owner;
    char detail[120];

    snprintf(detail, sizeof(detail),
             "A chunk of the request body is too large: %zu bytes at most may be in one",
             r->http->max_body);
    r->gone = NULL;
    if (gone)
        gone(owner);
    http_reply_status(r, 413, detail);
}

static void
on_stream_turn(void *arg)
{
    struct http_request *r = arg;
    void (*handle)(struct http_request *);

    if (r->has_long_chunk) {
        refuse_chunk(r);
        return;
    }
    time_stream(r);
    if (r->begin) {
        handle = r->begin;
        r->begin = NULL;
        handle(r);
    } else if (r->more) {
        log_request(r->id);
        r->more(r->more_owner);
        log_request(NULL);
    }
}

void
http_body_begin(struct http *http, struct evhttp_request *ev, size_t most,
                void (*handle)(struct http_request *))
{
    struct http_request *r = http_request_new(http, ev);

    r->begin = handle;
    http_request_await(r);
    r->intake = http_intake_new(http->base, ev, http->tls == NULL, on_stream_turn, r);
    evhttp_connection_set_max_body_size(evhttp_request_get_connection(ev), (ssize_t)most);
}

bool
http_body_refuse_chunk(struct http_request *r)
{
    /* Without a function to call, its handler would not learn that it has been answered. */
    if (r->intake == NULL || !http_intake_is_reading(r->intake) || (!r->begin && !r->gone))
        return false;
    r->has_long_chunk = true;
    http_intake_wake(r->intake);
    return true;
}

bool
http_is_streamed(const struct http_request *r)
{
    return r->intake != NULL;
}

void
http_read_body(struct http_request *r, void (*more)(void *owner), void *owner)
{
    r->more = more;
    r->more_owner = owner;
}

size_t
http_peek_body(const struct http_request *r, const char **data)
{
    return http_intake_peek(r->intake, data);
}

void
http_take_body(struct http_request *r, size_t len)
{
    const bool was_reading = http_intake_is_reading(r->intake);

    http_intake_take(r->intake, len);
    if (http_intake_is_reading(r->intake) != was_reading)
        r->timed = 0;
    time_stream(r);
}

bool
http_body_has_ended(const struct http_request *r)
{
    return http_intake_has_ended(r->intake);
}

long long
http_body_length(const struct http_request *r)
{
    const char *length = http_header(r, "Content-Length");

    if (http_header(r, "Transfer-Encoding"))
        return -1;
    return length ? strtoll(length, NULL, 10) : 0;
}
