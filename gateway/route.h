/* route.h - the table of paths: which method and path lead to which handler, and which need the token.  v1.h says how to add
 * one. */
#ifndef GATEWAY_ROUTE_H
#define GATEWAY_ROUTE_H

#include "http.h"

/*
 * The owner is the struct api.  404 and 405, a CORS preflight and 413 are answered here, 401 and 429 by api_admit.
 */
extern const struct http_handlers route_handlers;

#endif
