/*
 * http.h - the HTTP/1.1 server: connections, limits, CORS, and one answer for each request.  With its parts and evhooks the
 * only module that knows libevent's evhttp.
 */
#ifndef GATEWAY_HTTP_H
#define GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"
#include "peers.h"

struct event_base;
struct http;
struct http_request;

struct http_options {               /* copied */
    const char *listen;             /* host:port or [v6]:port; port 0 = any free one */
    const char *cors_origin;        /* "" = no CORS, "*" or one origin */
    const char *tls_cert, *tls_key; /* PEM files; "" = plain HTTP */
    unsigned max_descriptors;       /* of the process: beyond it no connection is accepted */
    size_t max_body;                /* bytes; a longer body is answered 413 */
    struct peers_limits peers;
};

struct http_handlers {
    /*
     * Called with every request.  It answers with one of the http_reply verbs, at once or later; until then the request
     * is the handler's, who is told through http_on_gone when the client hangs up first.
     */
    void (*request)(void *owner, struct http_request *);
    /* Whether the headers, of which alone there is a request yet, are of one who may send a body of more than
     * HTTP_STRANGERS_BODY bytes, up to max_body, or one in chunks.  May be asked more than once; counts for nothing. */
    bool (*may_send)(void *owner, const struct http_request *);
    /* How long a body may be that is handed on piece by piece, of a request of which only the headers are there and that may_send;
     * 0: it is read whole.  request is called when the body has just begun, and http_read_body says how to go on. */
    size_t (*streams)(void *owner, const struct http_request *);
    /* In place of request, for one whose body was not read because of that.  Answers at once. */
    void (*refuse)(void *owner, struct http_request *);
};

enum { HTTP_STRANGERS_BODY = 4 << 10 };

typedef void http_gone_fn(void *owner);

/* The handlers are borrowed. */
struct http *http_new(struct event_base *, const struct http_options *,
                      const struct http_handlers *, void *owner, struct err *) must_check;
/* Accepts NULL.  Owners of requests that are not answered are told as if their clients had gone. */
void http_free(struct http *);

/* SIGHUP: takes over max_descriptors, max_body, peers and cors_origin, and reads the certificate and key files again, or
 * keeps the old ones if it cannot. */
int http_reconfigure(struct http *, const struct http_options *, struct err *) must_check;

/* http://127.0.0.1:3874, with the port that is really bound.  Borrowed. */
const char *http_url(const struct http *);

/* Answers from now on close their connection. */
void http_drain(struct http *);
/* Requests unanswered, and answers not sent in full, but those that last (http_stream.h). */
unsigned http_pending(const struct http *);

/* --- a request ---------------------------------------------------------------------------- */

const char *http_method(const struct http_request *); /* "GET"; HEAD counts as GET */
bool http_is_head(const struct http_request *);
struct event_base *http_base(const struct http_request *); /* of its server */
const char *http_path(const struct http_request *);        /* as sent, without the query */
const char *http_query(const struct http_request *); /* as sent, behind the `?`; NULL = none */
const char *http_header(const struct http_request *, const char *name); /* NULL = absent */
const char *http_bearer(const struct http_request *); /* of Authorization: Bearer; NULL = absent */
const char *http_body(struct http_request *, size_t *len); /* contiguous, borrowed; "" if none */

/*
 * Of a request whose body comes in pieces: more is called, the last thing in its turn, when there are bytes again, and when it
 * has ended.  Who answers before all has been taken ends the connection with that.
 */
bool http_is_streamed(const struct http_request *);
void http_read_body(struct http_request *, void (*more)(void *owner), void *owner);
size_t http_peek_body(const struct http_request *, const char **data); /* borrowed; 0: none now */
void http_take_body(struct http_request *, size_t len);
bool http_body_has_ended(const struct http_request *);
long long http_body_length(const struct http_request *); /* as announced; -1: in chunks */

/* The client's address, without port; borrowed.  Behind a proxy, the proxy's. */
const char *http_peer(const struct http_request *);

/* Its X-Request-Id (requestid.h), which the answer, log lines and the audit log have. */
const char *http_id(const struct http_request *);

/* The session that it is about (copied), which errors of /v1 tell; NULL: none. */
void http_set_session(struct http_request *, const char *id);
const char *http_session(const struct http_request *);

/* The body is not needed any more: frees it. */
void http_drop_body(struct http_request *);

/* Connections that the request's server has open.  Asks the kernel: for /metrics, not for every request. */
unsigned http_count_connections(const struct http_request *);

/* Calls gone once if the client hangs up before the answer; the request is no more then.  fn NULL: not any more. */
void http_on_gone(struct http_request *, http_gone_fn *, void *owner);

/* Goes with the answer. */
void http_add_header(struct http_request *, const char *name, const char *value);

/* The answer; the request is gone afterwards. */
void http_reply(struct http_request *, int status, const char *content_type, const void *body,
                size_t len);

#endif
