/*
 * evhooks.h - what libevent's HTTP server lacks: a hook between a request's headers and its body, one for the requests
 * that it answers itself, with a page of HTML (malformed ones, bodies that are too long, methods it does not know), and a
 * bound for what it keeps of a body, as it knows none for the line with a chunk's length.
 *
 * libevent 2.1 lets a server ask for neither hook.  Its library calls evhttp_request_new and evhttp_send_error
 * through the symbol table, though, so the functions of these names in this program take the place of its own.  That holds
 * for the shared library only; tests/blackbox/test_http11.py would tell if it ever changed.
 */
#ifndef GATEWAY_EVHOOKS_H
#define GATEWAY_EVHOOKS_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct evhttp;
struct evhttp_request;

struct evhooks {
    /* The headers of a request are there and its body is not.  Must neither answer nor end it. */
    void (*on_headers)(struct evhttp_request *, void *owner);
    /* Has to answer the request with the status.  The client may be sending still. */
    void (*on_error)(struct evhttp_request *, int status, void *owner);
    /* A connection has more unread than evhooks_bound permits.  False: it is to be shut down. */
    bool (*on_excess)(struct bufferevent *, void *owner);
};

/* For the connections of one server at a time, from its next request on; the hooks are borrowed.  NULL: no hooks any more. */
void evhooks_set(struct evhttp *, const struct evhooks *, void *owner);

/* What a connection may have unread behind a request's headers: on_excess.  Must hold the largest body. */
void evhooks_bound(size_t bytes);

#endif
