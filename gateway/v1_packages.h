/* v1_packages.h - the handler of /v1/sessions/{id}/packages, and sessions that are made with packages. */
#ifndef GATEWAY_V1_PACKAGES_H
#define GATEWAY_V1_PACKAGES_H

#include <stdbool.h>

#include "api.h"
#include "audit_event.h"

struct pool_wish;
struct v1_session;

api_handler_fn v1_packages_add;

/* Answers for a session that is there; made: it was not before.  from: as v1_packages_create was given it. */
typedef void v1_created_fn(struct api *, struct http_request *, const struct v1_session *,
                           const char *from, bool made, struct audit_event *);

/*
 * Makes a session whose terms have packages, and has the request answered when they are there; where they cannot be had there is no
 * session.  from, the name of kept files (kept.h) or "", goes to created.  All is copied.
 */
void v1_packages_create(struct api *, struct http_request *, const struct v1_session *,
                        const struct pool_wish *, const char *from, v1_created_fn *created,
                        const struct audit_event *);

#endif
