/* httpclient.h - one kept-alive HTTP/1.1 connection, plain or TLS, one request at a time. */
#ifndef BENCH_HTTPCLIENT_H
#define BENCH_HTTPCLIENT_H

#include <stddef.h>
#include <event2/event.h>

#include "err.h"
#include "mem.h"

struct http_target; /* where requests go, shared by all connections to it */
struct httpclient;

struct http_target_options { /* borrowed for the call */
    const char *url;   /* http://host[:port] or https://host[:port]; a path in it is put in front */
    const char *token; /* X-Auth-Token, NULL = none */
    const char *ca_file; /* trusted certificates, NULL = the system's */
    int insecure;        /* do not check the certificate */
    double timeout;      /* seconds until an answer is given up */
};

struct http_target *http_target_new(struct event_base *, const struct http_target_options *,
                                    struct err *) must_check;
void http_target_free(struct http_target *); /* accepts NULL; after its clients */

enum http_result { HTTP_ANSWERED, HTTP_BROKEN, HTTP_TIMED_OUT };

struct http_answer { /* borrowed for the callback; status, body and len only when HTTP_ANSWERED */
    enum http_result result;
    int status;
    const char *body;
    size_t len;
};

/*
 * Called once for each request, from the event loop; it may not send or free, which is for a later turn of
 * the loop.
 */
typedef void http_answer_fn(void *owner, const struct http_answer *);

struct httpclient *httpclient_new(struct http_target *, http_answer_fn *, void *owner);
void
httpclient_free(struct httpclient *); /* accepts NULL; a request under way is dropped silently */

/*
 * Sends body (JSON, copied) by POST, or GETs when it is NULL.  Connects where there is no connection; after
 * one that broke there is a new one.  A request that cannot even be begun is answered as HTTP_BROKEN.
 */
void httpclient_send(struct httpclient *, const char *path, const char *body);

#endif
