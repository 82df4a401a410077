/* route.h - the table of paths: which method and path lead to which handler, and which need the token. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

struct api;
struct http_request;

/* Answers 404 and 405 itself, and a CORS preflight; api_admit answers 401 and 429.  An http_handler_fn: owner is the struct api. */
void route_dispatch(void *api, struct http_request *);

#endif
