/* api_audit.h - the audit log's record of a request, from its beginning to its end.  Part of api.h. */
#ifndef GATEWAY_API_AUDIT_H
#define GATEWAY_API_AUDIT_H

#include "audit_event.h"

struct audit;
struct caller;
struct http_request;

/* The action is static.  who: a key's id or "master"; "" = nobody known.  user: the session's; "" = none. */
struct audit_event api_audit_begin(const struct http_request *, const char *action, const char *who,
                                   const char *user);

/* The key's id, or "master". */
const char *api_audit_name(const struct caller *);

/* Sets outcome (static), status and detail, and hands it in. */
void api_audit_end(struct audit *, struct audit_event *, const char *outcome, int status,
                   const char *detail);

#endif
