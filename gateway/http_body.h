/* http_body.h - a body that is handled as it comes.  What handlers see of it is in http.h.  Part of http.h. */
#ifndef GATEWAY_HTTP_BODY_H
#define GATEWAY_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>

struct evhttp_request;
struct http;
struct http_request;

/* Of a request whose headers are there: makes it one that is handled soon, in a turn of its own.  most: bytes of its body. */
void http_body_begin(struct http *, struct evhttp_request *, size_t most,
                     void (*handle)(struct http_request *));

/* More of a chunk is here than may be: the request is answered so in a turn of its own.  False: it is not being read. */
bool http_body_refuse_chunk(struct http_request *);

#endif
