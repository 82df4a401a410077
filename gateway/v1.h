/*
 * v1.h - what the handlers of /v1 share.
 *
 * A route is a row of the table in route.c: method, pattern (target.h), who may, and an api_handler_fn.  A handler is called when
 * the caller is known, with the parameters of path and query taken apart.  It answers with one of the http_reply verbs, at
 * once or later (http.h); errors by http_reply_error or http_reply_status, which give them the form of /v1.
 *
 * Where the path names a session, v1_find_session comes first:
 *
 *     struct v1_session session;
 *
 *     if (!v1_find_session(api, r, who, target, &session))
 *         return;                                     (it has been answered)
 *     pool_submit(api_parts(api)->pool, &session.owner, session.id, ...);
 */
#ifndef GATEWAY_V1_H
#define GATEWAY_V1_H

#include <stdbool.h>

#include "api.h"
#include "body.h"
#include "caller.h"

struct http_request;
struct target;

/* A session that there is, by value; pool.c knows it by these two. */
struct v1_session {
    struct caller owner; /* not always the caller: the master token may speak for a key */
    bool spoken_for;     /* it does: the path needs the query's `key` */
    char id[BODY_USER_MAX + 1];
};

/*
 * The session {id} of the path, among those of the caller: with the master token of the key that the query names as `key`,
 * if it does.  False: there is none, and the request has been answered.
 */
bool v1_find_session(struct api *, struct http_request *, const struct caller *,
                     const struct target *, struct v1_session *out);

/* Whose sessions the request is about.  False: it has been answered. */
bool v1_find_owner(struct http_request *, const struct caller *, const struct target *,
                   struct caller *owner);

/* prefix and 32 random hexadecimal digits, a new string. */
char *v1_draw_id(const char *prefix) must_check;

#endif
