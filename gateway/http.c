/* http.c - see http.h, and for what the parts have in common http_state.h. */
#include "http.h"

#include <string.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <utlist.h>

#include "evhooks.h"
#include "http_answer.h"
#include "http_body.h"
#include "http_framing.h"
#include "http_intake.h"
#include "http_json.h"
#include "http_request.h"
#include "http_state.h"
#include "linger.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "peers.h"
#include "requestid.h"
#include "tls.h"

enum {
    MAX_HEADERS = 16 << 10, /* bytes of a request's line and headers */
    MAX_WRITE = 256 << 10,  /* bytes of a connection in one turn */
};

static const enum evhttp_cmd_type every_method =
    EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH;

/* --- what comes in ------------------------------------------------------------------------ */

static bool
may_send(const struct http *http, struct evhttp_request *ev)
{
    const struct http_request r = {.ev = ev}; /* no more than its headers is there */

    return http->handlers->may_send(http->owner, &r);
}

static size_t
streams(const struct http *http, struct evhttp_request *ev)
{
    const struct http_request r = {.ev = ev};

    return http->handlers->streams ? http->handlers->streams(http->owner, &r) : 0;
}

/* An answer that is the last on its connection. */
static void
refuse(struct http_request *r, int status, const char *detail)
{
    http_add_header(r, "Connection", "close");
    if (status == 429)
        http_add_header(r, "Retry-After", "1");
    http_reply_status(r, status, detail);
}

/* Left there, it would be the connection's next request. */
static void
refuse_body(struct http_request *r)
{
    r->is_cut = true;
    http_reply_status(r, 400, "A request of this method has no body");
}

static void
add_cors(struct http_request *r)
{
    const char *origin = r->http->cors_origin;
    const char *asked = http_header(r, "Origin");

    if (origin[0] == '\0' || asked == NULL)
        return;
    http_add_header(r, "Vary", "Origin");
    if (strcmp(origin, "*") != 0 && strcmp(origin, asked) != 0)
        return;
    http_add_header(r, "Access-Control-Allow-Origin", origin);
    http_add_header(r, "Access-Control-Expose-Headers",
                    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, "
                    "Retry-After, X-Request-Id");
    if (http_header(r, "Access-Control-Request-Method") == NULL)
        return;
    http_add_header(r, "Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE");
    http_add_header(r, "Access-Control-Allow-Headers",
                    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
                    "Last-Event-ID, Range, X-Auth-Token, X-Request-Id");
    http_add_header(r, "Access-Control-Max-Age", "86400");
}

static void
handle(struct http_request *r)
{
    const struct http *http = r->http;

    metrics_add(METRIC_HTTP_REQUESTS, 1);
    log_request(r->id);
    add_cors(r);
    if (peers_is_surplus(http->peers, http_fd(evhttp_request_get_connection(r->ev))))
        refuse(r, 429, "There are too many connections from this address");
    else if (!http_framing_is_unambiguous(r->ev))
        refuse(r, 400, "The request is not valid HTTP");
    else if (http_framing_has_unread_body(r->ev))
        refuse_body(r);
    else
        http->handlers->request(http->owner, r);
    log_request(NULL);
}

/* Most bodies are short, and are not worth asking whose they are: that is asked when they are there. */
static void
on_headers(struct evhttp_request *ev, void *arg)
{
    struct http *http = arg;
    const size_t most = streams(http, ev);
    bool trusted;

    http_request_note_target(ev);
    trusted = (most > 0 || !http_framing_is_within(ev, HTTP_STRANGERS_BODY)) && may_send(http, ev);
    if (trusted && most > 0) {
        http_body_begin(http, ev, most, handle);
        return;
    }
    if (!trusted)
        http_framing_refuse_chunks(ev, HTTP_STRANGERS_BODY + 1);
    evhttp_connection_set_max_body_size(evhttp_request_get_connection(ev),
                                        trusted ? (ssize_t)http->max_body : HTTP_STRANGERS_BODY);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
    struct http_request *r = http_intake_owner(ev);

    if (r) {
        http_intake_end(r->intake);
        return;
    }
    r = http_request_new(arg, ev);
    http_request_watch(r);
    handle(r);
}

/* --- what evhttp would answer itself ------------------------------------------------------ */

static void
refuse_stranger(struct http *http, struct evhttp_request *ev)
{
    struct http_request *r = http_request_new(http, ev);

    metrics_add(METRIC_HTTP_REQUESTS, 1);
    r->is_cut = true;
    http_request_watch(r);
    add_cors(r);
    http->handlers->refuse(http->owner, r);
}

/* Every error is JSON. */
static void
refuse_plainly(struct evhttp_request *ev, int status)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(ev);
    struct evbuffer *body = evhttp_request_get_output_buffer(ev);
    const char *detail = status == HTTP_ENTITYTOOLARGE   ? "The request body is too large"
                         : status == HTTP_NOTIMPLEMENTED ? "The method is not known"
                                                         : "The request is not valid HTTP";
    cleanup_free char *text = http_error_text(http_request_noted_target(ev), status, detail);
    char id[REQUESTID_SIZE];

    metrics_add(METRIC_HTTP_REQUESTS, 1);
    metrics_add(status >= 500 ? METRIC_HTTP_ERRORS_5XX : METRIC_HTTP_ERRORS_4XX, 1);
    if (ev->major == 0) { /* not even the request line was understood */
        ev->major = 1;
        ev->minor = 1;
    }
    evhttp_clear_headers(headers);
    evhttp_add_header(headers, "Content-Type", "application/json");
    evhttp_add_header(headers, "Connection", "close");
    evbuffer_drain(body, evbuffer_get_length(body));
    http_request_take_id(ev, id);
    evbuffer_add(body, text, strlen(text));
    evhttp_request_set_on_complete_cb(ev, http_answer_refused, NULL);
    evhttp_send_reply(ev, status, NULL, NULL);
}

/* evhttp would answer this itself.  Of the request there is nothing more than its headers. */
static void
on_evhttp_error(struct evhttp_request *ev, int status, void *arg)
{
    struct http *http = arg;

    if (http_intake_owner(ev)) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(ev), NULL, NULL);
        http_request_lost(http_intake_owner(ev));
        refuse_plainly(ev, status);
    } else if (status == HTTP_ENTITYTOOLARGE && !may_send(http, ev))
        refuse_stranger(http, ev);
    else
        refuse_plainly(ev, status);
}

/* evhttp keeps a chunk until all of it is there. */
static bool
on_excess(struct bufferevent *bev, void *arg)
{
    struct http *http = arg;
    struct http_request *r = http->requests;

    while (r && evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->ev)) != bev)
        r = r->next;
    return r && http_body_refuse_chunk(r);
}

/* --- the server --------------------------------------------------------------------------- */

/* evhttp's hook for each connection. */
static struct bufferevent *
new_bufferevent(struct event_base *base, void *arg)
{
    struct http *http = arg;
    struct bufferevent *bev;

    listener_accepted(http->listener);
    bev = http->tls ? tls_accept(http->tls, base) : xnotnull(bufferevent_socket_new(base, -1, 0));
    /* libevent writes 16 KiB a turn of its own accord, which costs a large file more turns than copies. */
    bufferevent_set_max_single_write(bev, MAX_WRITE);
    peers_add(http->peers, bev);
    return bev;
}

static void
set_up_server(struct http *http)
{
    static const struct evhooks hooks = {
        .on_headers = on_headers, .on_error = on_evhttp_error, .on_excess = on_excess};

    evhooks_set(http->server, &hooks, http);
    evhttp_set_allowed_methods(http->server, every_method);
    evhttp_set_max_headers_size(http->server, MAX_HEADERS);
    evhttp_set_timeout(http->server, HTTP_IO_TIMEOUT_S);
    evhttp_set_default_content_type(http->server, NULL);
    evhttp_set_gencb(http->server, on_request, http);
    evhttp_set_bevcb(http->server, new_bufferevent, http);
}

static void
set_max_body(struct http *http, size_t size)
{
    http->max_body = size;
    evhttp_set_max_body_size(http->server, (ssize_t)size);
    evhooks_bound(size + 4 * MAX_HEADERS); /* and what follows it */
}

struct http *
http_new(struct event_base *base, const struct http_options *o,
         const struct http_handlers *handlers, void *owner, struct err *err)
{
    struct http *http = xcalloc(1, sizeof(*http));

    http->base = base;
    http->cors_origin = xstrdup(o->cors_origin);
    http->handlers = handlers;
    http->owner = owner;
    http->server = xnotnull(evhttp_new(base));
    http->peers = peers_new(base, &o->peers);
    if (o->tls_cert[0] && (http->tls = tls_new(o->tls_cert, o->tls_key, err)) == NULL) {
        http_free(http);
        return NULL;
    }
    set_up_server(http);
    set_max_body(http, o->max_body);
    http->listener = listener_new(base, o->listen, o->max_descriptors, err);
    if (http->listener == NULL) {
        http_free(http);
        return NULL;
    }
    xnotnull(evhttp_bind_listener(http->server, listener_take(http->listener)));
    http->url = listener_url(http->listener, http->tls ? "https" : "http");
    return http;
}

int
http_reconfigure(struct http *http, const struct http_options *o, struct err *err)
{
    struct tls *tls;

    listener_set_max_descriptors(http->listener, o->max_descriptors);
    peers_set_limits(http->peers, &o->peers);
    set_max_body(http, o->max_body);
    free(http->cors_origin);
    http->cors_origin = xstrdup(o->cors_origin);
    if (http->tls == NULL)
        return 0;
    tls = tls_new(o->tls_cert, o->tls_key, err);
    if (tls == NULL)
        return -1;
    tls_free(http->tls);
    http->tls = tls;
    return 0;
}

void
http_free(struct http *http)
{
    const struct http_answer *a;

    if (http == NULL)
        return;
    while (http->requests) { /* whoever was to answer in a later turn: there is none */
        evhttp_connection_set_closecb(evhttp_request_get_connection(http->requests->ev), NULL,
                                      NULL);
        http_request_lost(http->requests);
    }
    DL_FOREACH (http->answers, a)
        evhttp_connection_set_closecb(evhttp_request_get_connection(a->ev), NULL, NULL);
    linger_end();
    evhttp_free(http->server); /* with connections and listener */
    evhooks_set(http->server, NULL, NULL);
    peers_free(http->peers);
    listener_free(http->listener);
    tls_free(http->tls);
    free(http->cors_origin);
    free(http->url);
    free(http);
}

const char *
http_url(const struct http *http)
{
    return http->url;
}

void
http_drain(struct http *http)
{
    http->draining = true;
}

unsigned
http_pending(const struct http *http)
{
    unsigned n = http->n_pending;
    const struct http_answer *a;

    DL_FOREACH (http->answers, a)
        n -= a->lasting;
    return n;
}
