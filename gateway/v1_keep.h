/* v1_keep.h - the files of a session that ends are kept, and those that are kept come back.  Part of v1_sessions.h. */
#ifndef GATEWAY_V1_KEEP_H
#define GATEWAY_V1_KEEP_H

#include <stdbool.h>

struct api;
struct http_request;
struct v1_session;

/* Ends the session when its files have been kept, and answers: 204, or an error and the session lives on. */
void v1_keep_and_end(struct api *, struct http_request *, const struct v1_session *,
                     const char *who);

/*
 * Unpacks what is kept under the name into the session, and answers with that status and the session; or with an error, and it
 * is kept.  take: it is kept no longer.
 */
void v1_keep_restore(struct api *, struct http_request *, const struct v1_session *,
                     const char *who, const char *name, bool take, int status);

#endif
