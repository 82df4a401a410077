#include "route.h"

#include <stdbool.h>
#include <string.h>

#include "api.h"
#include "caller.h"
#include "http_json.h"

struct route {
    const char *method, *path;
    enum { OPEN, WITH_TOKEN } access;
    api_handler_fn *handler;
};

static const struct route routes[] = {
    {"GET", "/", OPEN, api_page},
    {"POST", "/execute", WITH_TOKEN, api_execute},
    {"GET", "/healthz", OPEN, api_healthz},
    {"GET", "/metrics", WITH_TOKEN, api_metrics},
    {"GET", "/readyz", OPEN, api_readyz},
    {"POST", "/release", WITH_TOKEN, api_release},
    {"GET", "/status", WITH_TOKEN, api_status},
};

#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

/* At most one method per path today, so the first row with the path says what is allowed. */
static const struct route *
find(const char *path)
{
    for (size_t i = 0; i < N_ROUTES; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    return NULL;
}

static void
reply_allowed(const struct route *route, struct http_request *r)
{
    bool asked = strcmp(http_method(r), "OPTIONS") == 0;

    http_add_header(r, "Allow",
                    strcmp(route->method, "GET") == 0 ? "GET, HEAD, OPTIONS" : "POST, OPTIONS");
    if (asked)
        http_reply(r, 204, NULL, "", 0);
    else
        http_reply_status(r, 405, "The method is not allowed here");
}

static void
dispatch(void *owner, struct http_request *r)
{
    struct api *api = owner;
    const struct route *route = find(http_path(r));
    struct caller who = {.key = ""};

    if (route == NULL)
        http_reply_status(r, 404, "There is nothing at this path");
    else if (strcmp(http_method(r), route->method) != 0)
        reply_allowed(route, r);
    else if (route->access == OPEN || api_admit(api, r, &who))
        route->handler(api, r, &who);
}

static bool
may_send(void *owner, const struct http_request *r)
{
    return api_knows(owner, r);
}

static void
refuse(void *owner, struct http_request *r)
{
    struct caller who;

    if (api_admit(owner, r, &who)) /* since a moment ago */
        http_reply_status(r, 413, "The request body is too large");
}

const struct http_handlers route_handlers = {
    .request = dispatch, .may_send = may_send, .refuse = refuse};
