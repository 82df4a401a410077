#include "route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "caller.h"
#include "http_json.h"
#include "target.h"
#include "v1_executions.h"
#include "v1_kernel.h"
#include "v1_files.h"
#include "v1_kernels.h"
#include "v1_packages.h"
#include "v1_sessions.h"

struct route {
    const char *method, *pattern; /* target.h */
    enum { OPEN, WITH_TOKEN, STREAMED /* with a token, and the body as it comes */ } access;
    api_handler_fn *handler;
};

/* Where two patterns match a path, the first does.  The methods of one pattern stand together. */
static const struct route routes[] = {
    {"GET", "/", OPEN, api_page},
    {"GET", "/docs", OPEN, api_page},
    {"POST", "/execute", WITH_TOKEN, api_execute},
    {"GET", "/healthz", OPEN, api_healthz},
    {"GET", "/metrics", WITH_TOKEN, api_metrics},
    {"GET", "/openapi.json", OPEN, api_page},
    {"GET", "/page/{file}", OPEN, api_page},
    {"GET", "/readyz", OPEN, api_readyz},
    {"POST", "/release", WITH_TOKEN, api_release},
    {"GET", "/status", WITH_TOKEN, api_status},
    {"GET", "/v1/kernels", WITH_TOKEN, v1_kernels_list},
    {"GET", "/v1/sessions", WITH_TOKEN, v1_sessions_list},
    {"POST", "/v1/sessions", WITH_TOKEN, v1_sessions_create},
    {"GET", "/v1/sessions/{id}", WITH_TOKEN, v1_sessions_get},
    {"PATCH", "/v1/sessions/{id}", WITH_TOKEN, v1_sessions_patch},
    {"DELETE", "/v1/sessions/{id}", WITH_TOKEN, v1_sessions_delete},
    {"POST", "/v1/sessions/{id}/restart", WITH_TOKEN, v1_sessions_restart},
    {"POST", "/v1/sessions/{id}/complete", WITH_TOKEN, v1_kernel_complete},
    {"GET", "/v1/sessions/{id}/executions", WITH_TOKEN, v1_executions_list},
    {"POST", "/v1/sessions/{id}/executions", WITH_TOKEN, v1_executions_create},
    {"GET", "/v1/sessions/{id}/executions/{eid}", WITH_TOKEN, v1_executions_get},
    {"DELETE", "/v1/sessions/{id}/executions/{eid}", WITH_TOKEN, v1_executions_delete},
    {"POST", "/v1/sessions/{id}/executions/{eid}/interrupt", WITH_TOKEN, v1_executions_interrupt},
    {"POST", "/v1/sessions/{id}/executions/{eid}/stdin", WITH_TOKEN, v1_executions_stdin},
    {"POST", "/v1/sessions/{id}/inspect", WITH_TOKEN, v1_kernel_inspect},
    {"POST", "/v1/sessions/{id}/is_complete", WITH_TOKEN, v1_kernel_is_complete},
    {"POST", "/v1/sessions/{id}/packages", WITH_TOKEN, v1_packages_add},
    {"GET", "/v1/sessions/{id}/variables", WITH_TOKEN, v1_kernel_variables},
    {"GET", "/v1/sessions/{id}/files", WITH_TOKEN, v1_files_list},
    {"POST", "/v1/sessions/{id}/files", STREAMED, v1_files_post},
    {"DELETE", "/v1/sessions/{id}/files/{path...}", WITH_TOKEN, v1_files_delete},
    {"GET", "/v1/sessions/{id}/files/{path...}", WITH_TOKEN, v1_files_get},
    {"PUT", "/v1/sessions/{id}/files/{path...}", STREAMED, v1_files_put},
    {"GET", "/v1/sessions/{id}/files:archive", WITH_TOKEN, v1_files_archive},
    {"POST", "/v1/sessions/{id}/files:archive", STREAMED, v1_files_extract},
    {"POST", "/v1/sessions/{id}/files:mkdir", WITH_TOKEN, v1_files_mkdir},
    {"POST", "/v1/sessions/{id}/files:move", WITH_TOKEN, v1_files_move},
    {"GET", "/v1/sessions/{id}/files:usage", WITH_TOKEN, v1_files_usage},
    {"GET", "/v1/sessions/{id}/files:watch", WITH_TOKEN, v1_files_watch},
};

#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

/* The first row whose pattern matches. */
static const struct route *
find(const char *path)
{
    for (size_t i = 0; i < N_ROUTES; i++)
        if (target_matches(routes[i].pattern, path))
            return &routes[i];
    return NULL;
}

/* The row after it, if that is about the same pattern. */
static const struct route *
next_method(const struct route *route)
{
    const struct route *next = route + 1;

    return next < routes + N_ROUTES && strcmp(next->pattern, route->pattern) == 0 ? next : NULL;
}

static const struct route *
with_method(const struct route *route, const char *method)
{
    while (route && strcmp(route->method, method) != 0)
        route = next_method(route);
    return route;
}

static void
reply_allowed(const struct route *route, struct http_request *r)
{
    bool asked = strcmp(http_method(r), "OPTIONS") == 0;
    char allowed[80] = "";

    for (; route; route = next_method(route)) {
        size_t len = strlen(allowed);

        snprintf(allowed + len, sizeof(allowed) - len, "%s%s, ", route->method,
                 strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
    }
    strcat(allowed, "OPTIONS");
    http_add_header(r, "Allow", allowed);
    if (asked)
        http_reply(r, 204, NULL, "", 0);
    else
        http_reply_status(r, 405, "The method is not allowed here");
}

static void
handle(const struct route *route, struct api *api, struct http_request *r, const struct caller *who)
{
    struct target target = {.text = NULL};
    struct err err = ERR_INIT;

    /* The other doors have never minded a query. */
    if (strncmp(route->pattern, "/v1", 3) == 0 &&
        target_parse(route->pattern, http_path(r), http_query(r), &target, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    route->handler(api, r, who, &target);
    target_clear(&target);
}

static void
dispatch(void *owner, struct http_request *r)
{
    struct api *api = owner;
    const struct route *path = find(http_path(r));
    const struct route *route = with_method(path, http_method(r));
    struct caller who = {.key = ""};

    if (path == NULL)
        http_reply_status(r, 404, "There is nothing at this path");
    else if (route == NULL)
        reply_allowed(path, r);
    else if (route->access == OPEN || api_admit(api, r, &who))
        handle(route, api, r, &who);
}

static bool
may_send(void *owner, const struct http_request *r)
{
    return api_knows(owner, r);
}

/* No body that a session could hold is refused for its length. */
static size_t
streams(void *owner, const struct http_request *r)
{
    const struct route *route = with_method(find(http_path(r)), http_method(r));

    return route && route->access == STREAMED ? api_most_upload(owner) : 0;
}

static void
refuse(void *owner, struct http_request *r)
{
    struct caller who;

    if (api_admit(owner, r, &who)) /* since a moment ago */
        http_reply_status(r, 413, "The request body is too large");
}

const struct http_handlers route_handlers = {
    .request = dispatch, .may_send = may_send, .streams = streams, .refuse = refuse};
