/*
 * http_request.c - see http_request.h.
 *
 * evhttp stops reading a connection while its request is being handled, so it cannot see a client hang up.
 * Each request therefore watches its descriptor itself: for EV_CLOSED, the peer's FIN, and for EV_READ, as which libevent
 * reports a reset.  Edge-triggered, because bytes of a next request may lie there unread.  Not before it has taken a
 * while, because telling the kernel of a watch and of its end is a twentieth of what a short request costs.
 */
#include "http_request.h"

#include <poll.h>
#include <string.h>
#include <strings.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "clock.h"
#include "http_intake.h"
#include "http_state.h"
#include "listener.h"
#include "peers.h"

enum { WATCH_AFTER_MS = 20 }; /* that a request has been in work */

/* The header that a request's target is noted in.  A client that sends it itself changes the form of its errors. */
static const char door[] = "TCI-Door";

int
http_fd(struct evhttp_connection *connection)
{
    return bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
}

void
http_request_take_id(struct evhttp_request *ev, char id[REQUESTID_SIZE])
{
    requestid_take(evhttp_find_header(evhttp_request_get_input_headers(ev), "X-Request-Id"), id);
    evhttp_add_header(evhttp_request_get_output_headers(ev), "X-Request-Id", id);
}

void
http_request_note_target(struct evhttp_request *ev)
{
    if (strncmp(evhttp_request_get_uri(ev), "/v1", 3) == 0)
        evhttp_add_header(evhttp_request_get_input_headers(ev), door, "/v1");
}

const char *
http_request_noted_target(struct evhttp_request *ev)
{
    return evhttp_find_header(evhttp_request_get_input_headers(ev), door);
}

struct http_request *
http_request_new(struct http *http, struct evhttp_request *ev)
{
    struct http_request *r = xcalloc(1, sizeof(*r));

    r->http = http;
    r->ev = ev;
    http_request_take_id(ev, r->id);
    r->next = http->requests;
    if (r->next)
        r->next->prev = r;
    http->requests = r;
    http->n_pending++;
    return r;
}

void
http_request_free(struct http_request *r)
{
    struct http *http = r->http;

    if (r->prev)
        r->prev->next = r->next;
    else
        http->requests = r->next;
    if (r->next)
        r->next->prev = r->prev;
    event_del(&r->patience);
    event_del(&r->closed);
    http_intake_free(r->intake);
    free(r->session);
    free(r);
}

void
http_request_lost(struct http_request *r)
{
    http_gone_fn *gone = r->gone;
    void *owner = r->gone_owner;

    r->http->n_pending--;
    http_request_free(r);
    if (gone)
        gone(owner);
}

/* --- the client behind it ----------------------------------------------------------------- */

static void
on_connection_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    http_request_lost(arg);
}

static bool
has_peer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) == 0;
}

static void
on_client_gone(evutil_socket_t fd, short what, void *arg)
{
    struct http_request *r = arg;
    struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);

    (void)what;
    if (has_peer(fd))
        return;
    evhttp_connection_set_closecb(connection, NULL, NULL);
    http_request_lost(r);
    evhttp_connection_free(connection); /* with its request */
}

static void
on_patience_over(evutil_socket_t fd, short what, void *arg)
{
    struct http_request *r = arg;

    (void)fd, (void)what;
    event_add(&r->closed, NULL); /* tells of what has happened before, too */
}

void
http_request_watch(struct http_request *r)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);
    evutil_socket_t fd = http_fd(connection);

    peers_handling(r->http->peers, fd);
    evhttp_connection_set_closecb(connection, on_connection_closed, r);
    evtimer_assign(&r->patience, r->http->base, on_patience_over, r);
    event_assign(&r->closed, r->http->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
                 on_client_gone, r);
    clock_arm(&r->patience, WATCH_AFTER_MS);
}

void
http_request_await(struct http_request *r)
{
    struct event_base *base = r->http->base;

    evtimer_assign(&r->patience, base, on_patience_over, r);
    event_assign(&r->closed, base, -1, 0, on_client_gone, r);
    evhttp_connection_set_closecb(evhttp_request_get_connection(r->ev), on_connection_closed, r);
}

/* --- what a handler sees of it ------------------------------------------------------------ */

const char *
http_method(const struct http_request *r)
{
    switch (evhttp_request_get_command(r->ev)) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_HEAD:
        return "GET";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    default:
        return "";
    }
}

struct event_base *
http_base(const struct http_request *r)
{
    return r->http->base;
}

bool
http_is_head(const struct http_request *r)
{
    return evhttp_request_get_command(r->ev) == EVHTTP_REQ_HEAD;
}

const char *
http_path(const struct http_request *r)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->ev);
    const char *path = uri ? evhttp_uri_get_path(uri) : http_request_noted_target(r->ev);

    return path ? path : "";
}

const char *
http_query(const struct http_request *r)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->ev);

    return uri ? evhttp_uri_get_query(uri) : NULL;
}

const char *
http_id(const struct http_request *r)
{
    return r->id;
}

void
http_set_session(struct http_request *r, const char *id)
{
    free(r->session);
    r->session = id ? xstrdup(id) : NULL;
}

const char *
http_session(const struct http_request *r)
{
    return r->session;
}

const char *
http_header(const struct http_request *r, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(r->ev), name);
}

const char *
http_bearer(const struct http_request *r)
{
    const char *value = http_header(r, "Authorization");

    if (value == NULL || strncasecmp(value, "Bearer ", 7) != 0)
        return NULL;
    return value + 7 + strspn(value + 7, " ");
}

const char *
http_body(struct http_request *r, size_t *len)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(r->ev);

    *len = evbuffer_get_length(body);
    return *len ? xnotnull(evbuffer_pullup(body, -1)) : "";
}

const char *
http_peer(const struct http_request *r)
{
    char *address = NULL;
    uint16_t port;

    evhttp_connection_get_peer(evhttp_request_get_connection(r->ev), &address, &port);
    return address ? address : "";
}

void
http_drop_body(struct http_request *r)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(r->ev);

    evbuffer_drain(body, evbuffer_get_length(body));
}

unsigned
http_count_connections(const struct http_request *r)
{
    return listener_count_connections(r->http->listener);
}

void
http_on_gone(struct http_request *r, http_gone_fn *fn, void *owner)
{
    r->gone = fn;
    r->gone_owner = owner;
}

void
http_add_header(struct http_request *r, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(r->ev), name, value);
}
