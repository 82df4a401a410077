/* api.h - the handlers of all paths but those of /v1: JSON in, one call into the domain, JSON out. */
#ifndef GATEWAY_API_H
#define GATEWAY_API_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "importing.h"
#include "mem.h"

struct api;
struct audit;
struct auth;
struct caller;
struct config;
struct event_base;
struct http_request;
struct kept;
struct kernels;
struct packages;
struct pool;
struct runs;
struct scan;
struct target;

/* What the handlers work on; borrowed, and must outlive them. */
struct api_parts {
    const struct config *config;
    struct pool *pool;
    struct kernels *kernels;
    struct auth *auth;
    struct audit *audit;
    const struct scan *scan;
    struct runs *runs;
    struct event_base *base;
    struct kept *kept;
    struct packages *packages; /* NULL: there are none */
    struct importing_parts importing;
};

/* Reads the pages out of their directory; fails when it cannot. */
struct api *api_new(const struct api_parts *, const char *web_dir, struct err *) must_check;
void api_free(struct api *); /* accepts NULL */
const struct api_parts *api_parts(const struct api *);

/* X-Auth-Token or Authorization: Bearer.  False: the request has been answered, with 401 or 429. */
bool api_admit(struct api *, struct http_request *, struct caller *);

/* Whether api_admit would let the request in, its rate aside; counts for nothing. */
bool api_knows(struct api *, const struct http_request *);

/* Bytes of a body that are taken as they come: the files of a session, and what stands around them. */
size_t api_most_upload(const struct api *);

/* Caller and target are borrowed for the call; the former means nothing where everybody may call. */
typedef void api_handler_fn(struct api *, struct http_request *, const struct caller *,
                            const struct target *);

api_handler_fn api_execute;
api_handler_fn api_healthz;
api_handler_fn api_metrics;
api_handler_fn api_page; /* all of pages.h */
api_handler_fn api_readyz;
api_handler_fn api_release;
api_handler_fn api_status;

#endif
