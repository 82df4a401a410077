#include "v1_sessions.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include <sodium.h>

#include "api_audit.h"
#include "body_session.h"
#include "caller.h"
#include "config.h"
#include "http_json.h"
#include "kept.h"
#include "kernels.h"
#include "pool.h"
#include "runs.h"
#include "target.h"
#include "timestamp.h"
#include "v1.h"
#include "v1_keep.h"
#include "v1_packages.h"

enum {
    LIST_MAX = 1000,
    LIST_STANDARD = 100,
    TTL_MAX_S = 31536000, /* a year */
    IDEMPOTENCY_KEY_MAX = 255,
};

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
find_kernel(const struct kernels *kernels, const struct body_session *body,
            struct kernel_kind **out, struct err *err)
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

/* The name of the files that the session is to begin with, if that was said. */
static int
find_files(struct api *api, const struct caller *who, const struct body_session *body,
           char name[KEPT_NAME_SIZE], struct err *err)
{
    if (body->files_from == NULL)
        return 0;
    kept_name(who, body->files_from, name);
    return kept_has(api_parts(api)->kept, name)
               ? 0
               : err_field(err, ERR_NOT_FOUND, "files_from",
                           "files_from: no files are kept of a session of that name");
}

/*
 * The session is there.  Answers, now or when the files that are kept of it are in its workspace again; those of files_from, whose
 * name is given, stay kept as well.
 */
static void
answer(struct api *api, struct http_request *r, const struct v1_session *which, const char *from,
       int status)
{
    const struct api_parts *parts = api_parts(api);
    json_t *session = pool_session(parts->pool, &which->owner, which->id);
    const char *strategy = json_string_value(json_object_get(session, "strategy"));
    const bool take = from[0] == '\0', lives_on = strategy && strcmp(strategy, "session") == 0;
    char own[KEPT_NAME_SIZE];

    if (take) {
        kept_name(&which->owner, which->id, own);
        from = own;
    }
    if (!lives_on || !kept_has(parts->kept, from)) {
        http_reply_json(r, status, session);
        return;
    }
    json_decref(session);
    v1_keep_restore(api, r, which, api_audit_name(&which->owner), from, take, status);
}

static void
answer_created(struct api *api, struct http_request *r, const struct v1_session *which,
               const char *from, bool made, struct audit_event *event)
{
    const int status = made ? 201 : 200;
    cleanup_free char *location = xasprintf("/v1/sessions/%s", which->id);
    struct err err = ERR_INIT;

    if (from[0] && !made) {
        err_field(&err, ERR_CONFLICT, "files_from",
                  "files_from: the session is there already, with files of its own");
        refuse(api, r, event, &err);
        return;
    }
    if (made)
        http_add_header(r, "Location", location);
    api_audit_end(api_parts(api)->audit, event, "ok", status, "");
    answer(api, r, which, from, status);
}

static void
create(struct api *api, struct http_request *r, const struct caller *who, const char *id,
       const struct body_session *body)
{
    struct pool_wish wish = {
        .network = body->network, .terms = &body->terms, .has_strategy = body->has_strategy};
    char from[KEPT_NAME_SIZE] = "";
    struct pool *pool = api_parts(api)->pool;
    struct audit_event event = api_audit_begin(r, "create", api_audit_name(who), id);
    struct err err = ERR_INIT;
    struct v1_session which = {.owner = *who};
    bool made;

    snprintf(which.id, sizeof(which.id), "%s", id);
    http_set_session(r, id);
    if (find_kernel(api_parts(api)->kernels, body, &wish.kind, &err) < 0 ||
        find_files(api, who, body, from, &err) < 0) {
        refuse(api, r, &event, &err);
        return;
    }
    if (body->terms.packages) {
        v1_packages_create(api, r, &which, &wish, from, answer_created, &event);
        return;
    }
    if (pool_open(pool, who, id, &wish, &made, &err) < 0) {
        refuse(api, r, &event, &err);
        return;
    }
    answer_created(api, r, &which, from, made, &event);
}

/* What may be asked for is what the operator gives at most. */
static struct body_session_limits
limits_of(const struct api *api)
{
    const struct config *c = api_parts(api)->config;
    struct body_session_limits limits = {
        .most = {c->worker_cpu, c->worker_memory_mb, c->worker_disk_mb, c->worker_pids},
        .timeout = c->exec_timeout,
        .idle_timeout = c->worker_idle_timeout,
        .ttl = TTL_MAX_S,
    };

    if (!pool_limits_executions(api_parts(api)->pool))
        limits.most.cpu = 0; /* nothing can */
    return limits;
}

/*
 * The id of a session that is not named: by the client's Idempotency-Key, so that a request that is repeated finds what the
 * first has made, else drawn.  *err: the key is unusable.
 */
static char *
id_for(const struct http_request *r, const struct caller *who, struct err *err)
{
    const char *key = http_header(r, "Idempotency-Key");
    cleanup_free char *whole = NULL;
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[2 * 16 + 1];

    if (key == NULL)
        return v1_draw_id("s-");
    if (key[0] == '\0' || strlen(key) > IDEMPOTENCY_KEY_MAX) {
        err_field(err, ERR_BAD_REQUEST, "Idempotency-Key",
                  "Idempotency-Key: must be 1 to %d characters", IDEMPOTENCY_KEY_MAX);
        return NULL;
    }
    whole = xasprintf("%s/%s", who->key, key);
    crypto_hash_sha256(hash, (const unsigned char *)whole, strlen(whole));
    return xasprintf("s-%s", sodium_bin2hex(text, sizeof(text), hash, 16));
}

static void
create_named(struct api *api, struct http_request *r, const struct caller *who,
             struct body_session *body)
{
    struct err err = ERR_INIT;
    cleanup_free char *id = body->user ? xstrdup(body->user) : id_for(r, who, &err);

    if (id == NULL) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (body->ttl > 0)
        body->terms.expires_ms = timestamp_now() + (int64_t)(body->ttl * 1000);
    create(api, r, who, id, body);
}

void
v1_sessions_create(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    static const char *const none[] = {NULL};
    const struct body_session_limits limits = limits_of(api);
    struct body_session body;
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len);

    if (target_only(target, none, &err) < 0 ||
        body_session_parse(text, len, &limits, &body, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    create_named(api, r, who, &body);
    body_session_clear(&body);
}

/* --- changed ------------------------------------------------------------------------------ */

void
v1_sessions_patch(struct api *api, struct http_request *r, const struct caller *who,
                  const struct target *target)
{
    const struct body_session_limits limits = limits_of(api);
    struct pool *pool = api_parts(api)->pool;
    struct body_session body;
    struct pool_change change = {.forever = false};
    struct v1_session session;
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len);

    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (body_session_parse_patch(text, len, &limits, &body, &change.forever, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    change.ttl = body.ttl;
    change.idle_timeout = body.terms.idle_timeout;
    body_session_clear(&body);
    if (pool_change(pool, &session.owner, session.id, &change, &err) < 0)
        http_reply_error(r, &err, NULL);
    else
        http_reply_json(r, 200, pool_session(pool, &session.owner, session.id));
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

void
v1_sessions_restart(struct api *api, struct http_request *r, const struct caller *who,
                    const struct target *target)
{
    struct pool *pool = api_parts(api)->pool;
    struct v1_session session;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    struct audit_event event = api_audit_begin(r, "restart", api_audit_name(who), session.id);

    if (pool_restart(pool, &session.owner, session.id, &err) < 0) {
        refuse(api, r, &event, &err);
        return;
    }
    api_audit_end(api_parts(api)->audit, &event, "ok", 200, "");
    http_reply_json(r, 200, pool_session(pool, &session.owner, session.id));
}

/* --- the end of one ----------------------------------------------------------------------- */

/* The files that are kept of a session that there is not any more are deleted in its place.  False: there are none. */
static bool
delete_kept(struct api *api, struct http_request *r, const struct caller *who,
            const struct v1_session *session)
{
    char name[KEPT_NAME_SIZE];
    struct audit_event event;

    kept_name(&session->owner, session->id, name);
    if (pool_has_session(api_parts(api)->pool, &session->owner, session->id) ||
        !kept_has(api_parts(api)->kept, name))
        return false;
    event = api_audit_begin(r, "release", api_audit_name(who), session->id);
    kept_remove(api_parts(api)->kept, name);
    api_audit_end(api_parts(api)->audit, &event, "ok", 204, "kept files");
    http_reply(r, 204, NULL, "", 0);
    return true;
}

/* Whether the session has a container, with files in it, or will. */
static bool
has_files(struct api *api, const struct v1_session *session)
{
    json_auto_t *seen = pool_session(api_parts(api)->pool, &session->owner, session->id);
    const char *state = json_string_value(json_object_get(seen, "state"));

    return state && strcmp(state, "stopped") != 0;
}

static void
end_session(struct api *api, struct http_request *r, const struct caller *who,
            const struct v1_session *session)
{
    struct audit_event event = api_audit_begin(r, "release", api_audit_name(who), session->id);

    pool_release(api_parts(api)->pool, &session->owner, session->id);
    runs_forget(api_parts(api)->runs, &session->owner, session->id);
    api_audit_end(api_parts(api)->audit, &event, "ok", 204, "");
    http_reply(r, 204, NULL, "", 0);
}

void
v1_sessions_delete(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    static const char *const names[] = {"keep_files", "key", NULL};
    const char *id = target_param(target, "id");
    struct v1_session session = {.id = ""};
    struct err err = ERR_INIT;
    bool keep;

    if (target_only(target, names, &err) < 0 ||
        target_flag(target, "keep_files", &keep, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (!v1_find_owner(r, who, target, &session.owner))
        return;
    snprintf(session.id, sizeof(session.id), "%s", id);
    if (!keep && body_is_user(id) && delete_kept(api, r, who, &session))
        return;
    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (keep && has_files(api, &session))
        v1_keep_and_end(api, r, &session, api_audit_name(who));
    else
        end_session(api, r, who, &session);
}
