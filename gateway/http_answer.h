/*
 * http_answer.h - answers: whole (http_reply of http.h) or in pieces, as http_stream.c sends them.  Part of http.h.
 */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

struct evhttp_request;
struct http;
struct http_request;

/* One that is sent in pieces. */
struct http_answer {
    struct http *http;
    struct evhttp_request *ev;
    /* Its connection has ended; it is not of the server any more.  NULL: the server is being freed, and nobody is told. */
    void (*on_lost)(struct http_answer *);
    bool lasting; /* it ends with the client, and a server that drains does not wait for it */
    struct http_answer *prev, *next;
};

/* Makes the request an answer and sends its head.  The answer is the caller's memory; the request is gone. */
void http_answer_begin(struct http_answer *, struct http_request *, int status,
                       const char *content_type);

/* To be called after each piece that evhttp has been given, the head among them. */
void http_answer_guard(const struct http_answer *);

/* All pieces have been given to evhttp: the memory is the caller's again. */
void http_answer_end(struct http_answer *);

/* Cuts the connection under it: the memory is the caller's again. */
void http_answer_abort(struct http_answer *);

/* From now on the client has as long for what is left as for any other answer of so many bytes. */
void http_answer_hasten(const struct http_answer *, size_t left);

/* evhttp's callback where a request was not read to its end: the client may go on sending for a while. */
void http_answer_refused(struct evhttp_request *, void *);

#endif
