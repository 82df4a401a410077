/* http_request.h - a request, and the client behind it.  What handlers see of it is in http.h.  Part of http.h. */
#ifndef GATEWAY_HTTP_REQUEST_H
#define GATEWAY_HTTP_REQUEST_H

#include "requestid.h"

struct evhttp_connection;
struct evhttp_request;
struct http;
struct http_request;

/* One that is not answered yet; evhttp owns what it is of. */
struct http_request *http_request_new(struct http *, struct evhttp_request *);

/* It has been answered. */
void http_request_free(struct http_request *);

/* The connection ended under an unanswered one, seen by us or by evhttp: frees it, and tells its handler. */
void http_request_lost(struct http_request *);

/* Its body is still to come, which evhttp watches the client for. */
void http_request_await(struct http_request *);

/* All of it is here: from now on it is seen when the client hangs up. */
void http_request_watch(struct http_request *);

/* Takes the request's id, or makes one, and tells the client. */
void http_request_take_id(struct evhttp_request *, char id[REQUESTID_SIZE]);

/*
 * evhttp forgets the target of a request whose body it does not take, and the answer depends on whether that was below /v1.  So it
 * is noted when the headers are there; NULL: it was not.
 */
void http_request_note_target(struct evhttp_request *);
const char *http_request_noted_target(struct evhttp_request *);

/* The descriptor of a connection. */
int http_fd(struct evhttp_connection *);

#endif
