/*
 * http_intake.h - a request's body that is handed on as it comes, and not read faster than it is taken.  Part of http.h; for
 * its other parts alone.
 */
#ifndef GATEWAY_HTTP_INTAKE_H
#define GATEWAY_HTTP_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct evhttp_request;
struct http_intake;

/*
 * Of a request whose headers are there and whose body is not.  wake is called in a turn of its own: at first, when there are
 * bytes, and at their end.  direct: bytes may be taken from the connection's descriptor, past libevent.
 */
struct http_intake *http_intake_new(struct event_base *, struct evhttp_request *, bool direct,
                                    void (*wake)(void *owner), void *owner);
void http_intake_free(struct http_intake *); /* accepts NULL */

/* The owner of the request's intake; NULL: it has none, or has been answered. */
void *http_intake_owner(const struct evhttp_request *);

/* evhttp has seen the body's end. */
void http_intake_end(struct http_intake *);
bool http_intake_has_ended(const struct http_intake *); /* and all of it has been taken */

/* The first bytes that are there, borrowed; 0 if there are none now. */
size_t http_intake_peek(const struct http_intake *, const char **data);
void http_intake_take(struct http_intake *, size_t len);

/* wake is called once more. */
void http_intake_wake(struct http_intake *);

/* Nothing is read any more: there is an answer already. */
void http_intake_stop(struct http_intake *);

/* Bytes ever taken, and whether more are read at present. */
unsigned long long http_intake_taken(const struct http_intake *);
bool http_intake_is_reading(const struct http_intake *);

#endif
