#include "v1_sessions.h"

#include <limits.h>
#include <stdio.h>
#include <jansson.h>

#include "api_audit.h"
#include "body.h"
#include "caller.h"
#include "http_json.h"
#include "kernels.h"
#include "pool.h"
#include "runs.h"
#include "target.h"
#include "v1.h"

enum { LIST_MAX = 1000, LIST_STANDARD = 100 };

/* --- a new one ---------------------------------------------------------------------------- */

/* Refused: what is known of it goes to the audit log as well. */
static void
refuse(struct api *api, struct http_request *r, struct audit_event *event, const struct err *err)
{
    api_audit_end(api_parts(api)->audit, event, "rejected", http_status_of(err->code), err->msg);
    http_reply_error(r, err, NULL);
}

/* The kernel that the body names, be it by its language; NULL in *out: none. */
static int
find_kernel(const struct kernels *kernels, const struct body *body, struct kernel_kind **out,
            struct err *err)
{
    const char *field = body->kernel ? "kernel" : "language";
    const char *name = body->kernel ? body->kernel : body->language;

    *out = NULL;
    if (name == NULL)
        return 0;
    *out = body->kernel ? kernels_find(kernels, name) : kernels_for_language(kernels, name);
    if (*out)
        return 0;
    return err_field(err, ERR_BAD_REQUEST, field, "%s: there is no %s; GET /v1/kernels lists them",
                     field, name);
}

static void
create(struct api *api, struct http_request *r, const struct caller *who, const char *id,
       const struct body *body)
{
    struct pool_wish wish = {.network = body->network};
    struct pool *pool = api_parts(api)->pool;
    struct audit_event event = api_audit_begin(r, "create", api_audit_name(who), id);
    struct err err = ERR_INIT;
    bool made;

    http_set_session(r, id);
    if (find_kernel(api_parts(api)->kernels, body, &wish.kind, &err) < 0 ||
        pool_open(pool, who, id, &wish, &made, &err) < 0) {
        refuse(api, r, &event, &err);
        return;
    }
    const int status = made ? 201 : 200;
    cleanup_free char *location = xasprintf("/v1/sessions/%s", id);

    if (made)
        http_add_header(r, "Location", location);
    api_audit_end(api_parts(api)->audit, &event, "ok", status, "");
    http_reply_json(r, status, pool_session(pool, who, id));
}

void
v1_sessions_create(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    static const char *const none[] = {NULL};
    struct body body;
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len);

    if (target_only(target, none, &err) < 0 ||
        body_parse_session(len ? text : "{}", len ? len : 2, &body, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    cleanup_free char *id = body.user ? xstrdup(body.user) : v1_draw_id("s-");

    create(api, r, who, id, &body);
    body_clear(&body);
}

/* --- those that there are ----------------------------------------------------------------- */

static int
take_page(const struct target *target, unsigned long long *limit, unsigned long long *after,
          struct err *err)
{
    static const char *const names[] = {"cursor", "limit", NULL};

    return target_only(target, names, err) < 0 ||
                   target_number(target, "limit", 1, LIST_MAX, LIST_STANDARD, limit, err) < 0 ||
                   target_number(target, "cursor", 0, LLONG_MAX, 0, after, err) < 0
               ? -1
               : 0;
}

void
v1_sessions_list(struct api *api, struct http_request *r, const struct caller *who,
                 const struct target *target)
{
    unsigned long long limit, after, next;
    struct err err = ERR_INIT;

    if (take_page(target, &limit, &after, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    json_t *sessions = pool_sessions(api_parts(api)->pool, who, after, (unsigned)limit, &next);

    http_reply_json(r, 200,
                    xnotnull(json_pack("{s:o,s:o}", "sessions", sessions, "next_cursor",
                                       next ? json_sprintf("%llu", next) : json_null())));
}

void
v1_sessions_get(struct api *api, struct http_request *r, const struct caller *who,
                const struct target *target)
{
    struct v1_session session;

    if (v1_find_session(api, r, who, target, &session))
        http_reply_json(r, 200, pool_session(api_parts(api)->pool, &session.owner, session.id));
}

/* --- the end of one ----------------------------------------------------------------------- */

void
v1_sessions_delete(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    struct v1_session session;
    struct audit_event event;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    event = api_audit_begin(r, "release", api_audit_name(who), session.id);
    pool_release(api_parts(api)->pool, &session.owner, session.id);
    runs_forget(api_parts(api)->runs, &session.owner, session.id);
    api_audit_end(api_parts(api)->audit, &event, "ok", 204, "");
    http_reply(r, 204, NULL, "", 0);
}
