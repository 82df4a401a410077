/* api.h - the handlers of all paths: JSON in, one call into the domain, JSON out. */
#ifndef GATEWAY_API_H
#define GATEWAY_API_H

#include <stdbool.h>

#include "err.h"
#include "mem.h"

struct api;
struct config;
struct http_request;
struct pool;
struct scan;

/* config, pool and scan are borrowed; token is copied.  Reads the page's file; fails when it cannot. */
struct api *api_new(const struct config *, struct pool *, const struct scan *, const char *token,
                    const char *page_path, struct err *) must_check;
void api_free(struct api *); /* accepts NULL */

/* X-Auth-Token, compared in constant time. */
bool api_is_authorized(const struct api *, const struct http_request *);

void api_execute(struct api *, struct http_request *);
void api_healthz(struct api *, struct http_request *);
void api_metrics(struct api *, struct http_request *);
void api_page(struct api *, struct http_request *);
void api_readyz(struct api *, struct http_request *);
void api_release(struct api *, struct http_request *);
void api_status(struct api *, struct http_request *);

#endif
