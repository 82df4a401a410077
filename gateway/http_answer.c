/* http_answer.c - see http_answer.h. */
#include "http_answer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <utlist.h>

#include "http_intake.h"
#include "http_request.h"
#include "http_state.h"
#include "linger.h"
#include "log.h"
#include "metrics.h"
#include "peers.h"
#include "tls.h"

/* evhttp lets the clock of reading run on while it writes, and would cut a long answer off. */
static void
time_reading(struct evhttp_connection *connection, bool on)
{
    const struct timeval limit = {HTTP_IO_TIMEOUT_S, 0};

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

    setsockopt(http_fd(connection), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

void
http_answer_refused(struct evhttp_request *ev, void *arg)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);

    (void)arg;
    linger(evhttp_connection_get_base(connection), http_fd(connection));
}

static void
on_answer_sent(struct evhttp_request *ev, void *arg)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);
    struct http *http = arg;

    acknowledge_quickly(connection);
    peers_reading(http->peers, http_fd(connection));
    time_reading(connection, true);
    answer_ended(http, connection);
}

/* ... of a request that was not read to its end. */
static void
on_cut_answer_sent(struct evhttp_request *ev, void *arg)
{
    http_answer_refused(ev, arg);
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

static void
guard(const struct http *http, struct evhttp_connection *connection)
{
    if (http->tls)
        tls_guard(evhttp_connection_get_bufferevent(connection));
}

void
http_reply(struct http_request *r, int status, const char *content_type, const void *body,
           size_t len)
{
    struct evhttp_request *ev = r->ev;
    struct evhttp_connection *connection = evhttp_request_get_connection(ev);
    const struct http *http = r->http;

    if (r->intake && !http_intake_has_ended(r->intake)) {
        http_intake_stop(r->intake);
        r->is_cut = true;
    }
    add_head(r, status, content_type);
    if (status != 204 && status != 304)
        add_body(ev, body, len);
    peers_sending(r->http->peers, http_fd(connection), len);
    time_reading(connection, false);
    evhttp_connection_set_closecb(connection, on_answer_broken, r->http);
    evhttp_request_set_on_complete_cb(ev, r->is_cut ? on_cut_answer_sent : on_answer_sent, r->http);
    http_request_free(r);
    evhttp_send_reply(ev, status, NULL, NULL);
    guard(http, connection);
}

/* --- in pieces ---------------------------------------------------------------------------- */

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
    http_request_free(r);
}

void
http_answer_guard(const struct http_answer *a)
{
    guard(a->http, evhttp_request_get_connection(a->ev));
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
    struct evhttp_connection *connection = evhttp_request_get_connection(a->ev);

    leave_answer(a);
    evhttp_request_set_on_complete_cb(a->ev, on_answer_sent, a->http);
    evhttp_send_reply_end(a->ev);
    guard(a->http, connection);
}

void
http_answer_abort(struct http_answer *a)
{
    leave_answer(a);
    shutdown(http_fd(evhttp_request_get_connection(a->ev)), SHUT_RDWR); /* evhttp finds its end */
}

void
http_answer_hasten(const struct http_answer *a, size_t left)
{
    peers_sending(a->http->peers, http_fd(evhttp_request_get_connection(a->ev)), left);
}
