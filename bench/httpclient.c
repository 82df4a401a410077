/*
 * httpclient.c - see httpclient.h.
 *
 * libevent reports a failure by up to two callbacks, the second of which it also uses for answers; `busy` is
 * true from the sending until the first of them.  A connection that has failed is not used again but replaced
 * before the next request, because libevent is still working on it when it reports.
 */
#include "httpclient.h"

#include <stdbool.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum { MAX_BODY = 256 << 20, MAX_HEADERS = 64 << 10 };

struct http_target {
    struct event_base *base;
    struct evhttp_uri *uri;
    const char *host; /* in uri */
    char *bare_host;  /* without the brackets of an IPv6 address */
    char *host_header;
    char *prefix; /* path before ours, no slash at its end */
    int port;
    char *token;
    SSL_CTX *tls; /* NULL = plain */
    bool verify;
    struct timeval timeout;
};

struct httpclient {
    struct http_target *target;
    http_answer_fn *on_answer;
    void *owner;
    struct evhttp_connection *connection;
    struct event *failed; /* reports what could not be begun, from the loop */
    bool busy, broken;
    enum http_result failure;
};

/* ---- the target ---- */

static int
set_up_tls(struct http_target *t, const struct http_target_options *o, struct err *err)
{
    t->tls = SSL_CTX_new(TLS_client_method());
    if (t->tls == NULL)
        return err_set(err, ERR_SYSTEM, "cannot set up TLS");
    t->verify = !o->insecure;
    SSL_CTX_set_options(t->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (!t->verify)
        return 0;
    SSL_CTX_set_verify(t->tls, SSL_VERIFY_PEER, NULL);
    if (o->ca_file == NULL)
        return SSL_CTX_set_default_verify_paths(t->tls) == 1
                   ? 0
                   : err_set(err, ERR_SYSTEM, "cannot load the system's certificates");
    if (SSL_CTX_load_verify_locations(t->tls, o->ca_file, NULL) == 1)
        return 0;
    return err_set(err, ERR_CONFIG, "cannot load certificates from %s", o->ca_file);
}

static char *
without_brackets(const char *host)
{
    const size_t len = strlen(host);

    if (len > 2 && host[0] == '[' && host[len - 1] == ']')
        return xasprintf("%.*s", (int)(len - 2), host + 1);
    return xstrdup(host);
}

static int
parse_url(struct http_target *t, const char *url, struct err *err)
{
    const char *scheme, *path;
    size_t len;

    t->uri = evhttp_uri_parse(url);
    scheme = t->uri == NULL ? NULL : evhttp_uri_get_scheme(t->uri);
    t->host = t->uri == NULL ? NULL : evhttp_uri_get_host(t->uri);
    if (scheme == NULL || t->host == NULL || t->host[0] == '\0' ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) ||
        evhttp_uri_get_query(t->uri) != NULL || evhttp_uri_get_fragment(t->uri) != NULL)
        return err_set(err, ERR_CONFIG,
                       "\"%.200s\" is not http://host[:port] or https://host[:port]", url);
    t->port = evhttp_uri_get_port(t->uri);
    if (t->port <= 0)
        t->port = strcmp(scheme, "https") == 0 ? 443 : 80;
    t->bare_host = without_brackets(t->host);
    t->host_header = xasprintf("%s:%d", t->host, t->port);
    path = evhttp_uri_get_path(t->uri);
    len = path == NULL ? 0 : strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    t->prefix = xasprintf("%.*s", (int)len, len == 0 ? "" : path);
    return strcmp(scheme, "https") == 0;
}

static struct timeval
to_timeval(double seconds)
{
    return (struct timeval){(time_t)seconds,
                            (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
}

struct http_target *
http_target_new(struct event_base *base, const struct http_target_options *o, struct err *err)
{
    struct http_target *t = xcalloc(1, sizeof(*t));
    int secure;

    t->base = base;
    t->timeout = to_timeval(o->timeout);
    t->token = o->token == NULL ? NULL : xstrdup(o->token);
    secure = parse_url(t, o->url, err);
    if (secure >= 0 && (!secure || set_up_tls(t, o, err) == 0))
        return t;
    http_target_free(t);
    return NULL;
}

void
http_target_free(struct http_target *t)
{
    if (t == NULL)
        return;
    if (t->uri != NULL)
        evhttp_uri_free(t->uri);
    SSL_CTX_free(t->tls);
    free(t->bare_host);
    free(t->host_header);
    free(t->prefix);
    free(t->token);
    free(t);
}

/* ---- the connection ---- */

static bool
is_address(const char *host)
{
    unsigned char out[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, out) == 1 || inet_pton(AF_INET6, host, out) == 1;
}

static SSL *
new_tls_session(struct http_target *t)
{
    SSL *ssl = xnotnull(SSL_new(t->tls));

    if (is_address(t->bare_host)) {
        if (t->verify)
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), t->bare_host);
        return ssl;
    }
    SSL_set_tlsext_host_name(ssl, t->bare_host);
    if (t->verify)
        SSL_set1_host(ssl, t->bare_host);
    return ssl;
}

static struct evhttp_connection *
new_connection(struct http_target *t)
{
    struct bufferevent *bev = NULL;
    struct evhttp_connection *c;

    if (t->tls != NULL)
        bev = xnotnull(bufferevent_openssl_socket_new(
            t->base, -1, new_tls_session(t), BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE));
    c = xnotnull(evhttp_connection_base_bufferevent_new(t->base, NULL, bev, t->bare_host,
                                                        (ev_uint16_t)t->port));
    evhttp_connection_set_timeout_tv(c, &t->timeout);
    evhttp_connection_set_retries(c, 0);
    evhttp_connection_set_max_body_size(c, MAX_BODY);
    evhttp_connection_set_max_headers_size(c, MAX_HEADERS);
    return c;
}

static void
finish(struct httpclient *c, const struct http_answer *answer)
{
    if (!c->busy)
        return;
    c->busy = false;
    c->broken = answer->result != HTTP_ANSWERED;
    c->on_answer(c->owner, answer);
}

static void
on_error(enum evhttp_request_error error, void *arg)
{
    struct httpclient *c = arg;

    c->failure = error == EVREQ_HTTP_TIMEOUT ? HTTP_TIMED_OUT : HTTP_BROKEN;
}

static void
on_done(struct evhttp_request *request, void *arg)
{
    struct httpclient *c = arg;
    struct http_answer answer = {.result = c->failure};
    struct evbuffer *body;

    if (request != NULL && evhttp_request_get_response_code(request) != 0) {
        body = evhttp_request_get_input_buffer(request);
        answer.result = HTTP_ANSWERED;
        answer.status = evhttp_request_get_response_code(request);
        answer.len = evbuffer_get_length(body);
        answer.body = answer.len == 0 ? "" : (const char *)evbuffer_pullup(body, -1);
    }
    finish(c, &answer);
}

static void
on_failed(evutil_socket_t fd, short what, void *arg)
{
    const struct http_answer broken = {.result = HTTP_BROKEN};

    (void)fd, (void)what;
    finish(arg, &broken);
}

struct httpclient *
httpclient_new(struct http_target *target, http_answer_fn *on_answer, void *owner)
{
    struct httpclient *c = xcalloc(1, sizeof(*c));

    c->target = target;
    c->on_answer = on_answer;
    c->owner = owner;
    c->failed = xnotnull(evtimer_new(target->base, on_failed, c));
    return c;
}

void
httpclient_free(struct httpclient *c)
{
    if (c == NULL)
        return;
    c->busy = false;
    if (c->connection != NULL)
        evhttp_connection_free(c->connection);
    event_free(c->failed);
    free(c);
}

static struct evhttp_request *
new_request(struct httpclient *c, const char *body)
{
    struct evhttp_request *request = xnotnull(evhttp_request_new(on_done, c));
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_request_set_error_cb(request, on_error);
    evhttp_add_header(headers, "Host", c->target->host_header);
    if (c->target->token != NULL)
        evhttp_add_header(headers, "X-Auth-Token", c->target->token);
    if (body == NULL)
        return request;
    evhttp_add_header(headers, "Content-Type", "application/json");
    evbuffer_add(evhttp_request_get_output_buffer(request), body, strlen(body));
    return request;
}

void
httpclient_send(struct httpclient *c, const char *path, const char *body)
{
    cleanup_free char *full = xasprintf("%s%s", c->target->prefix, path);

    if (c->broken && c->connection != NULL) {
        evhttp_connection_free(c->connection);
        c->connection = NULL;
    }
    if (c->connection == NULL)
        c->connection = new_connection(c->target);
    c->busy = true;
    c->broken = false;
    c->failure = HTTP_BROKEN;
    if (evhttp_make_request(c->connection, new_request(c, body),
                            body == NULL ? EVHTTP_REQ_GET : EVHTTP_REQ_POST, full) < 0)
        event_active(c->failed, EV_TIMEOUT, 1);
}
