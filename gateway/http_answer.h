/*
 * http_answer.h - an answer that is sent in pieces, as http.c has it among its requests and connections.  Part of http.h;
 * for http_stream.c alone.
 */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include <stddef.h>

struct evhttp_request;
struct http;
struct http_request;

struct http_answer {
    struct http *http;
    struct evhttp_request *ev;
    /* Its connection has ended; it is http.c's no more.  NULL: the server is being freed, and nobody is told. */
    void (*on_lost)(struct http_answer *);
    struct http_answer *prev, *next;
};

/* Makes the request an answer and sends its head.  The answer is the caller's memory; the request is gone. */
void http_answer_begin(struct http_answer *, struct http_request *, int status,
                       const char *content_type);

/* All pieces have been given to evhttp: what is left to do is http.c's. */
void http_answer_end(struct http_answer *);

/* Cuts the connection under it: what is left to do is http.c's. */
void http_answer_abort(struct http_answer *);

/* From now on the client has as long for what is left as for any other answer of so many bytes. */
void http_answer_hasten(const struct http_answer *, size_t left);

#endif
