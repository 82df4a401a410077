/*
 * http_framing.h - how long a request's body is said to be, looked at before and beside evhttp.  Part of http.h.
 */
#ifndef GATEWAY_HTTP_FRAMING_H
#define GATEWAY_HTTP_FRAMING_H

#include <stdbool.h>

struct evhttp_request;

/*
 * Whether its headers can be read in one way only.  evhttp takes the first of several lengths, one with a sign or on a folded
 * line, and a name with a blank behind it for another name.  A proxy in front may read such a request otherwise, and its client
 * say what the next one is.
 */
bool http_framing_is_unambiguous(struct evhttp_request *);

/* Whether the body, which need not be there yet, is of a known length, and of no more than so many bytes. */
bool http_framing_is_within(struct evhttp_request *, long long bytes);

/* Whether it has a body that evhttp takes for the next request: it reads none of GET, DELETE and others. */
bool http_framing_has_unread_body(struct evhttp_request *);

/* For a request whose body is not there yet.  One in chunks says too late how long it is: from now on it has so many bytes. */
void http_framing_refuse_chunks(struct evhttp_request *, long long bytes);

#endif
