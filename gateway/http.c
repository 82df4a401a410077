/*
 * http.c - see http.h.
 *
 * evhttp stops reading a connection while its request is being handled, so it cannot see a client hang up.
 * Each request therefore watches its descriptor itself: for EV_CLOSED, the peer's FIN, and for EV_READ, as which libevent
 * reports a reset.  Edge-triggered, because bytes of a next request may lie there unread.  Not before it has taken a
 * while, because telling the kernel of a watch and of its end is a twentieth of what a short request costs.
 */
#include "http.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <utlist.h>

#include "clock.h"
#include "evhooks.h"
#include "http_answer.h"
#include "http_framing.h"
#include "http_intake.h"
#include "http_json.h"
#include "linger.h"
#include "listener.h"
#include "log.h"
#include "metrics.h"
#include "peers.h"
#include "requestid.h"
#include "tls.h"

enum {
    IO_TIMEOUT_S = 30,      /* an idle or stalled connection is closed */
    MAX_HEADERS = 16 << 10, /* bytes of a request's line and headers */
    WATCH_AFTER_MS = 20,    /* that a request has been in work */
    STREAM_PIECE = 1 << 20, /* bytes of a body in pieces that a client is given time for at once */
};

static const enum evhttp_cmd_type every_method =
    EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH;

struct http {
    struct event_base *base;
    size_t max_body;
    struct evhttp *server;
    struct listener *listener;
    struct peers *peers;
    struct tls *tls; /* NULL: plain HTTP */
    char *cors_origin;
    char *url;
    bool draining;
    unsigned n_pending;            /* requests unanswered, and answers not sent in full */
    struct http_request *requests; /* unanswered */
    struct http_answer *answers;   /* in pieces, of which more are to come */
    const struct http_handlers *handlers;
    void *owner;
};

struct http_request {
    struct http *http;
    struct evhttp_request *ev;
    struct event patience, closed; /* until the watch begins, and that */
    http_gone_fn *gone;
    void *gone_owner;
    bool is_cut;                /* its body was not read */
    struct http_intake *intake; /* of a body in pieces; NULL: it is here whole */
    bool begun, watched;        /* the handler has it; all of it is here */
    unsigned long long timed;   /* bytes of it that the client has been given time for */
    void (*more)(void *owner);  /* when there is more of it */
    void *more_owner;
    char id[REQUESTID_SIZE];
    char *session; /* NULL: none */
    struct http_request *prev, *next;
};

/* --- a request, and the client behind it -------------------------------------------------- */

static void
request_free(struct http_request *r)
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

/* The connection ended under an unanswered request, seen by us or by evhttp. */
static void
request_lost(struct http_request *r)
{
    http_gone_fn *gone = r->gone;
    void *owner = r->gone_owner;

    r->http->n_pending--;
    request_free(r);
    if (gone)
        gone(owner);
}

static void
on_connection_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    request_lost(arg);
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
    request_lost(r);
    evhttp_connection_free(connection); /* with its request */
}

/* ... and tells the client. */
static void
take_id(struct evhttp_request *ev, char id[REQUESTID_SIZE])
{
    requestid_take(evhttp_find_header(evhttp_request_get_input_headers(ev), "X-Request-Id"), id);
    evhttp_add_header(evhttp_request_get_output_headers(ev), "X-Request-Id", id);
}

static struct http_request *
request_new(struct http *http, struct evhttp_request *ev)
{
    struct http_request *r = xcalloc(1, sizeof(*r));

    r->http = http;
    r->ev = ev;
    take_id(ev, r->id);
    r->next = http->requests;
    if (r->next)
        r->next->prev = r;
    http->requests = r;
    http->n_pending++;
    return r;
}

static evutil_socket_t
fd_of(struct evhttp_connection *connection)
{
    return bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
}

static void
on_patience_over(evutil_socket_t fd, short what, void *arg)
{
    struct http_request *r = arg;

    (void)fd, (void)what;
    event_add(&r->closed, NULL); /* tells of what has happened before, too */
}

static void
watch(struct http_request *r)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);
    evutil_socket_t fd = fd_of(connection);

    peers_handling(r->http->peers, fd);
    evhttp_connection_set_closecb(connection, on_connection_closed, r);
    evtimer_assign(&r->patience, r->http->base, on_patience_over, r);
    event_assign(&r->closed, r->http->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST,
                 on_client_gone, r);
    clock_arm(&r->patience, WATCH_AFTER_MS);
}

/* --- what comes in ------------------------------------------------------------------------ */

static bool
may_send(const struct http *http, struct evhttp_request *ev)
{
    const struct http_request r = {.ev = ev}; /* no more than its headers is there */

    return http->handlers->may_send(http->owner, &r);
}

/*
 * evhttp forgets the target of a request whose body it does not take, and the answer depends on whether that was below /v1.  A
 * client that sends this header itself changes the form of its errors.
 */
static const char door[] = "TCI-Door";

static void
note_door(struct evhttp_request *ev)
{
    if (strncmp(evhttp_request_get_uri(ev), "/v1", 3) == 0)
        evhttp_add_header(evhttp_request_get_input_headers(ev), door, "/v1");
}

static size_t
streams(const struct http *http, struct evhttp_request *ev)
{
    const struct http_request r = {.ev = ev};

    return http->handlers->streams ? http->handlers->streams(http->owner, &r) : 0;
}

static void begin_stream(struct http *, struct evhttp_request *, size_t most);

/* Most bodies are short, and are not worth asking whose they are: that is asked when they are there. */
static void
on_headers(struct evhttp_request *ev, void *arg)
{
    struct http *http = arg;
    const size_t most = streams(http, ev);
    bool trusted;

    note_door(ev);
    trusted = (most > 0 || !http_framing_is_within(ev, HTTP_STRANGERS_BODY)) && may_send(http, ev);
    if (trusted && most > 0) {
        begin_stream(http, ev, most);
        return;
    }
    if (!trusted)
        http_framing_refuse_chunks(ev, HTTP_STRANGERS_BODY + 1);
    evhttp_connection_set_max_body_size(evhttp_request_get_connection(ev),
                                        trusted ? (ssize_t)http->max_body : HTTP_STRANGERS_BODY);
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
    if (peers_is_surplus(http->peers, fd_of(evhttp_request_get_connection(r->ev))))
        refuse(r, 429, "There are too many connections from this address");
    else if (!http_framing_is_unambiguous(r->ev))
        refuse(r, 400, "The request is not valid HTTP");
    else if (http_framing_has_unread_body(r->ev))
        refuse_body(r);
    else
        http->handlers->request(http->owner, r);
    log_request(NULL);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
    struct http_request *r = http_intake_owner(ev);

    if (r) {
        http_intake_end(r->intake);
        return;
    }
    r = request_new(arg, ev);
    watch(r);
    handle(r);
}

/* --- a body in pieces --------------------------------------------------------------------- */

/* The client has as much time for each piece as for an answer of that size, and none runs while it is us that it waits for. */
static void
time_stream(struct http_request *r)
{
    const int fd = fd_of(evhttp_request_get_connection(r->ev));
    const unsigned long long taken = http_intake_taken(r->intake);

    if (http_intake_has_ended(r->intake) && !r->watched) {
        r->watched = true;
        watch(r);
    } else if (!http_intake_is_reading(r->intake)) {
        peers_handling(r->http->peers, fd);
    } else if (r->timed <= taken) {
        peers_receiving(r->http->peers, fd, STREAM_PIECE);
    }
    if (r->timed <= taken)
        r->timed = taken + STREAM_PIECE;
}

static void
on_stream_turn(void *arg)
{
    struct http_request *r = arg;

    time_stream(r);
    if (!r->begun) {
        r->begun = true;
        handle(r);
    } else if (r->more) {
        log_request(r->id);
        r->more(r->more_owner);
        log_request(NULL);
    }
}

static void
begin_stream(struct http *http, struct evhttp_request *ev, size_t most)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);
    struct http_request *r = request_new(http, ev);

    evtimer_assign(&r->patience, http->base, on_patience_over, r);
    event_assign(&r->closed, http->base, -1, 0, on_client_gone, r);
    r->intake = http_intake_new(http->base, ev, http->tls == NULL, on_stream_turn, r);
    evhttp_connection_set_max_body_size(connection, (ssize_t)most);
    evhttp_connection_set_closecb(connection, on_connection_closed, r);
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
    const char *path = uri ? evhttp_uri_get_path(uri) : http_header(r, door);

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

/* --- its answer --------------------------------------------------------------------------- */

/* evhttp lets the clock of reading run on while it writes, and would cut a long answer off. */
static void
time_reading(struct evhttp_connection *connection, bool on)
{
    const struct timeval limit = {IO_TIMEOUT_S, 0};

    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), on ? &limit : NULL,
                             &limit);
}

/* The answer's last byte went out, or its connection broke before. */
static void
answer_ended(struct http *http, struct evhttp_connection *connection)
{
    evhttp_connection_set_closecb(connection, NULL, NULL);
    http->n_pending--;
}

/*
 * Many clients send headers and body apart and, without TCP_NODELAY, hold the body back until the headers have been
 * acknowledged, which the host delays by 40 ms on a connection that it takes for a dialogue.
 */
static void
acknowledge_quickly(struct evhttp_connection *connection)
{
    const int one = 1;

    setsockopt(fd_of(connection), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

static void
on_refusal_sent(struct evhttp_request *ev, void *arg)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);

    (void)arg;
    linger(evhttp_connection_get_base(connection), fd_of(connection));
}

static void
on_answer_sent(struct evhttp_request *ev, void *arg)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);
    struct http *http = arg;

    acknowledge_quickly(connection);
    peers_reading(http->peers, fd_of(connection));
    time_reading(connection, true);
    answer_ended(http, connection);
}

/* ... of a request that was not read to its end. */
static void
on_cut_answer_sent(struct evhttp_request *ev, void *arg)
{
    on_refusal_sent(ev, arg);
    on_answer_sent(ev, arg);
}

static void
on_answer_broken(struct evhttp_connection *connection, void *arg)
{
    answer_ended(arg, connection);
}

/* evhttp itself would send a body after HEAD, and no length to a client of HTTP/1.0. */
static void
add_body(struct evhttp_request *ev, const void *body, size_t len)
{
    char length[32];

    snprintf(length, sizeof(length), "%zu", len);
    evhttp_add_header(evhttp_request_get_output_headers(ev), "Content-Length", length);
    if (evhttp_request_get_command(ev) != EVHTTP_REQ_HEAD)
        evbuffer_add(evhttp_request_get_output_buffer(ev), body, len);
}

static void
log_answer(const struct http_request *r, int status)
{
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    log_request(r->id);
    log_debug("http: %s %s: %d", http_method(r), http_path(r), status);
    log_request(NULL);
}

static void
add_head(struct http_request *r, int status, const char *content_type)
{
    log_answer(r, status);
    if (status >= 500)
        metrics_add(METRIC_HTTP_ERRORS_5XX, 1);
    else if (status >= 400)
        metrics_add(METRIC_HTTP_ERRORS_4XX, 1);
    if (content_type)
        http_add_header(r, "Content-Type", content_type);
    http_add_header(r, "X-Content-Type-Options", "nosniff");
    if (r->http->draining || r->is_cut)
        http_add_header(r, "Connection", "close");
}

void
http_reply(struct http_request *r, int status, const char *content_type, const void *body,
           size_t len)
{
    struct evhttp_request *ev = r->ev;

    if (r->intake && !http_intake_has_ended(r->intake)) {
        http_intake_stop(r->intake);
        r->is_cut = true;
    }
    add_head(r, status, content_type);
    if (status != 204 && status != 304)
        add_body(ev, body, len);
    peers_sending(r->http->peers, fd_of(evhttp_request_get_connection(ev)), len);
    time_reading(evhttp_request_get_connection(ev), false);
    evhttp_connection_set_closecb(evhttp_request_get_connection(ev), on_answer_broken, r->http);
    evhttp_request_set_on_complete_cb(ev, r->is_cut ? on_cut_answer_sent : on_answer_sent, r->http);
    request_free(r);
    evhttp_send_reply(ev, status, NULL, NULL);
}

/* --- its answer, in pieces ---------------------------------------------------------------- */

static void
on_piecemeal_broken(struct evhttp_connection *connection, void *arg)
{
    struct http_answer *a = arg;

    DL_DELETE(a->http->answers, a);
    answer_ended(a->http, connection);
    a->on_lost(a);
}

void
http_answer_begin(struct http_answer *a, struct http_request *r, int status,
                  const char *content_type)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);

    add_head(r, status, content_type);
    a->http = r->http;
    a->ev = r->ev;
    DL_APPEND(a->http->answers, a);
    a->ev->userdone = 1; /* so that evhttp frees it with its connection */
    time_reading(connection, false);
    evhttp_connection_set_closecb(connection, on_piecemeal_broken, a);
    request_free(r);
}

static void
leave_answer(struct http_answer *a)
{
    DL_DELETE(a->http->answers, a);
    evhttp_connection_set_closecb(evhttp_request_get_connection(a->ev), on_answer_broken, a->http);
}

void
http_answer_end(struct http_answer *a)
{
    leave_answer(a);
    evhttp_request_set_on_complete_cb(a->ev, on_answer_sent, a->http);
    evhttp_send_reply_end(a->ev);
}

void
http_answer_abort(struct http_answer *a)
{
    leave_answer(a);
    shutdown(fd_of(evhttp_request_get_connection(a->ev)), SHUT_RDWR); /* evhttp finds its end */
}

void
http_answer_hasten(const struct http_answer *a, size_t left)
{
    peers_sending(a->http->peers, fd_of(evhttp_request_get_connection(a->ev)), left);
}

/* --- what evhttp would answer itself ------------------------------------------------------ */

static void
refuse_stranger(struct http *http, struct evhttp_request *ev)
{
    struct http_request *r = request_new(http, ev);

    metrics_add(METRIC_HTTP_REQUESTS, 1);
    r->is_cut = true;
    watch(r);
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
    cleanup_free char *text = http_error_text(
        evhttp_find_header(evhttp_request_get_input_headers(ev), door), status, detail);
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
    take_id(ev, id);
    evbuffer_add(body, text, strlen(text));
    evhttp_request_set_on_complete_cb(ev, on_refusal_sent, NULL);
    evhttp_send_reply(ev, status, NULL, NULL);
}

/* evhttp would answer this itself.  Of the request there is nothing more than its headers. */
static void
on_evhttp_error(struct evhttp_request *ev, int status, void *arg)
{
    struct http *http = arg;

    if (http_intake_owner(ev)) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(ev), NULL, NULL);
        request_lost(http_intake_owner(ev));
        refuse_plainly(ev, status);
    } else if (status == HTTP_ENTITYTOOLARGE && !may_send(http, ev))
        refuse_stranger(http, ev);
    else
        refuse_plainly(ev, status);
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
    peers_add(http->peers, bev);
    return bev;
}

static void
set_up_server(struct http *http)
{
    static const struct evhooks hooks = {.on_headers = on_headers, .on_error = on_evhttp_error};

    evhooks_set(http->server, &hooks, http);
    evhttp_set_allowed_methods(http->server, every_method);
    evhttp_set_max_headers_size(http->server, MAX_HEADERS);
    evhttp_set_timeout(http->server, IO_TIMEOUT_S);
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
    for (struct http_request *r = http->requests, *next; r; r = next) {
        next = r->next;
        evhttp_connection_set_closecb(evhttp_request_get_connection(r->ev), NULL, NULL);
        request_free(r);
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
    return http->n_pending;
}
