#include "api_audit.h"

#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "caller.h"
#include "http.h"
#include "utf8.h"

struct audit_event
api_audit_begin(const struct http_request *r, const char *action, const char *who, const char *user)
{
    struct audit_event event = {.action = action};

    snprintf(event.request, sizeof(event.request), "%s", http_id(r));
    snprintf(event.who, sizeof(event.who), "%s", who);
    snprintf(event.address, sizeof(event.address), "%s", http_peer(r));
    snprintf(event.user, sizeof(event.user), "%s", user);
    return event;
}

const char *
api_audit_name(const struct caller *who)
{
    return caller_is_master(who) ? "master" : who->key;
}

void
api_audit_end(struct audit *audit, struct audit_event *event, const char *outcome, int status,
              const char *detail)
{
    event->outcome = outcome;
    event->status = status;
    snprintf(event->detail, sizeof(event->detail), "%.*s",
             (int)utf8_cut(detail, strlen(detail), sizeof(event->detail) - 1), detail);
    audit_add(audit, event);
}
