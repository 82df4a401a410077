/*
 * http_state.h - what the parts of the server have in common: itself, and its requests.  Part of http.h, and for its parts alone.
 *
 * http takes requests from evhttp and hands them to their handler, http_request is one of them and the client behind it, http_body
 * a body that comes in pieces, http_answer what the handler answers.
 */
#ifndef GATEWAY_HTTP_STATE_H
#define GATEWAY_HTTP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <event2/event_struct.h>

#include "http.h"
#include "requestid.h"

struct evhttp;
struct evhttp_request;
struct http_answer;
struct http_intake;
struct listener;
struct tls;

enum { HTTP_IO_TIMEOUT_S = 30 }; /* an idle or stalled connection is closed */

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
    bool is_cut;                          /* its body was not read */
    struct http_intake *intake;           /* of a body in pieces; NULL: it is here whole */
    void (*begin)(struct http_request *); /* such a one: it is to be handled; NULL: it has been */
    bool watched;                         /* all of it is here */
    bool has_long_chunk;                  /* which is to be refused */
    unsigned long long timed;             /* bytes of it that the client has been given time for */
    void (*more)(void *owner);            /* when there is more of it */
    void *more_owner;
    char id[REQUESTID_SIZE];
    char *session; /* NULL: none */
    struct http_request *prev, *next;
};

#endif
