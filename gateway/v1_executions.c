#include "v1_executions.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "api_audit.h"
#include "api_scan.h"
#include "body_run.h"
#include "clock.h"
#include "config.h"
#include "grade.h"
#include "http_json.h"
#include "importing.h"
#include "metrics.h"
#include "pool.h"
#include "runs.h"
#include "sse.h"
#include "target.h"
#include "v1.h"

enum { LIST_MAX = 100, LIST_STANDARD = 20, INTERRUPT_GRACE_S = 5 };

/* Until the execution is over. */
struct call {
    struct api *api;
    struct http_request
        *request; /* who waits for the answer; NULL: nobody, or he follows the events */
    struct run *run;
    double received; /* clock_now */
    struct audit_event event;
};

/* --- its end ------------------------------------------------------------------------------ */

static void
audit(struct call *call, const char *outcome, int status, const char *detail)
{
    call->event.duration_ms = (clock_now() - call->received) * 1000;
    api_audit_end(api_parts(call->api)->audit, &call->event, outcome, status, detail);
}

static void
answer(struct http_request *r, const struct run *run)
{
    size_t len;
    const char *text = run_answer(run, &len);

    http_reply(r, 200, "application/json", text, len);
}

/* What could not be run is an error; how what ran has ended is said in its answer. */
static void
on_run_done(void *owner, struct run *run)
{
    struct call *call = owner;
    const struct err *err = run_error(run);
    const char *status = run_status(run);
    const bool refused = strcmp(status, "rejected") == 0;

    metrics_observe(METRIC_EXECUTION_SECONDS, clock_now() - call->received);
    audit(call, status, refused ? http_status_of(err->code) : 200, err->msg);
    if (call->request && refused)
        http_reply_error(call->request, err, NULL);
    else if (call->request)
        answer(call->request, run);
    free(call);
}

static void
on_client_gone(void *owner)
{
    struct call *call = owner;

    call->request = NULL;
    run_cancel(call->run);
}

/* --- its beginning ------------------------------------------------------------------------ */

/* All that a POST brings, while it is looked at. */
struct order {
    struct api *api;
    struct http_request *request;
    struct v1_session session;
    struct body_run body;
    struct call *call;
    json_t *findings;
    const char *key; /* Idempotency-Key; "" = none */
    uint8_t hash[RUNS_HASH_BYTES];
    double max_timeout; /* seconds */
    bool streamed;
    struct importing *importing; /* NULL: nothing is waited for */
};

static struct call *
call_new(const struct order *o, const struct caller *who)
{
    const struct body *body = &o->body.body;
    struct call *call = xcalloc(1, sizeof(*call));

    call->api = o->api;
    call->received = clock_now();
    call->event = api_audit_begin(o->request, "execute", api_audit_name(who), o->session.id);
    call->event.has_code = true;
    call->event.code_len = body->code_len;
    crypto_hash_sha256(call->event.code_hash, (const uint8_t *)body->code, body->code_len);
    return call;
}

static void
refuse(struct order *o, const struct err *err)
{
    if (err->code == ERR_QUOTA)
        metrics_add(METRIC_DENIED_SESSIONS, 1);
    audit(o->call, "rejected", http_status_of(err->code), err->msg);
    http_reply_error(o->request, err,
                     o->findings ? xnotnull(json_pack("{s:O}", "findings", o->findings)) : NULL);
    free(o->call);
}

static void
block(struct order *o)
{
    cleanup_free char *why = api_scan_why(o->findings);

    audit(o->call, "blocked", 422, why);
    http_reply_code(o->request, 422, "blocked", why,
                    xnotnull(json_pack("{s:O}", "findings", o->findings)));
    free(o->call);
}

static void
add_location(struct http_request *r, const struct v1_session *session, const struct run *run)
{
    cleanup_free char *location = xasprintf("/v1/sessions/%s/executions/%s%s%s", session->id,
                                            run_id(run), session->spoken_for ? "?key=" : "",
                                            session->spoken_for ? session->owner.key : "");

    http_add_header(r, "Location", location);
}

static void
reply_accepted(struct http_request *r, const struct v1_session *session, const struct run *run)
{
    add_location(r, session, run);
    http_reply_json(r, 202, run_summary(run));
}

/* The run is under way: what does the client get? */
static void
attend(struct order *o, struct run *run)
{
    struct err err = ERR_INIT;

    o->call->run = run;
    if (o->streamed) {
        add_location(o->request, &o->session, run);
        if (run_follow(run, o->request, 0, &err) < 0)
            http_reply_error(o->request, &err, NULL); /* cannot be: it is new */
        return;
    }
    if (o->body.background) {
        reply_accepted(o->request, &o->session, run);
        return;
    }
    http_drop_body(o->request);
    http_on_gone(o->request, on_client_gone, o->call);
    o->call->request = o->request;
}

static void
start(struct order *o)
{
    const struct api_parts *parts = api_parts(o->api);
    const struct runs_request request = {
        .spec = {.caller = &o->session.owner,
                 .session = o->session.id,
                 .body = &o->body,
                 .findings = o->findings,
                 .max_timeout = o->max_timeout,
                 .streamed = o->streamed,
                 .lives_on = o->body.background,
                 .python = pool_is_python(parts->pool, &o->session.owner, o->session.id)},
        .key = o->key,
        .hash = o->hash,
    };
    struct err err = ERR_INIT;
    struct run *run = runs_start(parts->runs, &request, on_run_done, o->call, &err);

    if (run)
        attend(o, run);
    else
        refuse(o, &err);
}

/* Code is code, whether it is asked for by itself or as a test. */
static json_t *
scan(const struct order *o)
{
    const struct api_parts *parts = api_parts(o->api);
    const struct body *body = &o->body.body;
    json_t *findings;

    if (!pool_is_python(parts->pool, &o->session.owner, o->session.id))
        return NULL; /* the rules are about Python */
    findings = api_scan(parts, body->code, body->code_len, NULL);
    for (size_t i = 0; i < json_array_size(o->body.tests); i++) {
        const json_t *test = json_array_get(o->body.tests, i);
        const json_t *code = json_object_get(test, "code");

        if (code == NULL)
            code = json_object_get(test, "condition");
        if (json_is_string(code))
            findings = api_scan(parts, json_string_value(code), json_string_length(code), findings);
    }
    return findings;
}

/* The same request again has the same answer.  True: it has been given. */
static bool
replay(const struct order *o)
{
    const struct v1_session *session = &o->session;
    struct http_request *r = o->request;
    struct err err = ERR_INIT;
    bool same;
    const struct run *run = runs_find_key(api_parts(o->api)->runs, &session->owner, session->id,
                                          o->key, o->hash, &same);

    if (run == NULL)
        return false;
    if (!same)
        err_field(&err, ERR_CONFLICT, "Idempotency-Key",
                  "Idempotency-Key: it was used for another request");
    else if (!run_is_done(run) && !o->body.background)
        err_field(&err, ERR_CONFLICT, "Idempotency-Key",
                  "Idempotency-Key: the execution %s that was made with it is not over",
                  run_id(run));
    if (err.code != ERR_NONE) {
        http_reply_error(r, &err, NULL);
        return true;
    }
    http_add_header(r, "Idempotent-Replayed", "true");
    if (run_is_done(run))
        answer(r, run);
    else
        reply_accepted(r, session, run);
    return true;
}

static struct body_limits
limits_of(const struct api_parts *parts, const struct v1_session *session)
{
    struct body_limits limits = {.max_code = parts->config->max_code_bytes};

    limits.max_timeout = pool_most(parts->pool, &session->owner, session->id, &limits.most);
    if (!pool_limits_executions(parts->pool))
        limits.most = (struct allowance){0, 0};
    return limits;
}

static int
take_key(struct order *o, const char *text, size_t len, struct err *err)
{
    const char *key = http_header(o->request, "Idempotency-Key");

    o->key = key ? key : "";
    if (key && (key[0] == '\0' || strlen(key) > RUNS_KEY_MAX))
        return err_field(err, ERR_BAD_REQUEST, "Idempotency-Key",
                         "Idempotency-Key: must be 1 to %d characters", RUNS_KEY_MAX);
    if (key)
        crypto_hash_sha256(o->hash, (const uint8_t *)text, len);
    return 0;
}

static int
take_order(struct order *o, const struct target *target, struct err *err)
{
    static const char *const none[] = {"key", NULL};
    const struct body_limits limits = limits_of(api_parts(o->api), &o->session);
    size_t len;
    const char *text = http_body(o->request, &len);

    if (target_only(target, none, err) < 0 || take_key(o, text, len, err) < 0 ||
        body_parse_run(text, len, &limits, &o->body, err) < 0)
        return -1;
    o->max_timeout = limits.max_timeout;
    o->streamed = o->body.stream || sse_is_accepted(http_header(o->request, "Accept"));
    return 0;
}

static void
order_clear(struct order *o)
{
    importing_cancel(o->importing);
    json_decref(o->findings);
    body_run_clear(&o->body);
}

/* The same request may have come meanwhile, and the session may have gone. */
static void
on_imported(void *owner)
{
    struct order *o = owner;
    struct err err = ERR_INIT;

    o->importing = NULL;
    http_on_gone(o->request, NULL, NULL);
    if (!pool_has_session(api_parts(o->api)->pool, &o->session.owner, o->session.id)) {
        err_set(&err, ERR_NOT_FOUND, "There is no such session");
        refuse(o, &err);
    } else if (replay(o)) {
        free(o->call);
    } else {
        start(o);
    }
    order_clear(o);
    free(o);
}

static void
on_importer_gone(void *owner)
{
    struct order *o = owner;

    audit(o->call, "cancelled", 0, "The client went away");
    free(o->call);
    order_clear(o);
    free(o);
}

/* Whether it waits for modules that it imports; the order is on the heap then. */
static bool
waits_for_imports(const struct order *o)
{
    const struct api_parts *parts = api_parts(o->api);
    struct order *kept = xcalloc(1, sizeof(*kept));

    *kept = *o;
    kept->importing =
        importing_start(&parts->importing, &o->session.owner, o->session.id, NETWORK_UNSAID,
                        o->body.body.code, o->body.body.code_len, on_imported, kept);
    if (kept->importing == NULL) {
        free(kept);
        return false;
    }
    http_on_gone(kept->request, on_importer_gone, kept);
    return true;
}

void
v1_executions_create(struct api *api, struct http_request *r, const struct caller *who,
                     const struct target *target)
{
    struct order o = {.api = api, .request = r};
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &o.session))
        return;
    if (take_order(&o, target, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (!replay(&o)) {
        o.call = call_new(&o, who);
        o.findings = scan(&o);
        if (api_scan_blocks(api_parts(api), o.findings))
            block(&o);
        else if (waits_for_imports(&o))
            return;
        else
            start(&o);
    }
    order_clear(&o);
}

/* --- those that there are ----------------------------------------------------------------- */

/* The one of the path.  NULL: there is none, and the request has been answered. */
static struct run *
find(struct api *api, struct http_request *r, const struct caller *who, const struct target *target,
     struct v1_session *session)
{
    struct err err = ERR_INIT;
    struct run *run;

    if (!v1_find_session(api, r, who, target, session))
        return NULL;
    run =
        runs_find(api_parts(api)->runs, &session->owner, session->id, target_param(target, "eid"));
    if (run)
        return run;
    err_set(&err, ERR_NOT_FOUND, "There is no such execution, or it is too long ago");
    http_reply_error(r, &err, NULL);
    return NULL;
}

/* The one, or none. */
static json_t *
list_made_with(struct api *api, const struct v1_session *session, const char *key)
{
    static const uint8_t any[RUNS_HASH_BYTES];
    json_t *list = xnotnull(json_array());
    bool same;
    const struct run *run =
        runs_find_key(api_parts(api)->runs, &session->owner, session->id, key, any, &same);

    if (run)
        json_array_append_new(list, run_summary(run));
    return list;
}

void
v1_executions_list(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    static const char *const names[] = {"cursor", "idempotency_key", "key", "limit", NULL};
    struct v1_session session;
    struct err err = ERR_INIT;
    unsigned long long limit, before, next = 0;
    const char *made_with;
    json_t *list;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (target_only(target, names, &err) < 0 ||
        target_number(target, "limit", 1, LIST_MAX, LIST_STANDARD, &limit, &err) < 0 ||
        target_number(target, "cursor", 1, LLONG_MAX, 0, &before, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    made_with = target_query(target, "idempotency_key");
    list = made_with ? list_made_with(api, &session, made_with)
                     : runs_list(api_parts(api)->runs, &session.owner, session.id, before,
                                 (unsigned)limit, &next);
    http_reply_json(r, 200,
                    xnotnull(json_pack("{s:o,s:o}", "executions", list, "next_cursor",
                                       next ? json_sprintf("%llu", next) : json_null())));
}

static void
follow(struct http_request *r, struct run *run)
{
    const char *header = http_header(r, "Last-Event-ID");
    struct err err = ERR_INIT;
    uint64_t after = 0;

    if (header && !sse_last_id(header, &after))
        err_field(&err, ERR_BAD_REQUEST, "Last-Event-ID", "Last-Event-ID: it is none of ours");
    else if (run_follow(run, r, after, &err) == 0)
        return;
    http_reply_error(r, &err, NULL);
}

void
v1_executions_get(struct api *api, struct http_request *r, const struct caller *who,
                  const struct target *target)
{
    struct v1_session session;
    struct run *run = find(api, r, who, target, &session);

    if (run == NULL)
        return;
    if (sse_is_accepted(http_header(r, "Accept")))
        follow(r, run);
    else if (run_is_done(run))
        answer(r, run);
    else
        http_reply_json(r, 200, run_summary(run));
}

/* --- what is done to one ------------------------------------------------------------------ */

static void
interrupt(struct http_request *r, struct run *run, double grace)
{
    struct err err = ERR_INIT;

    if (run_interrupt(run, grace, &err) < 0)
        http_reply_error(r, &err, NULL);
    else
        http_reply_json(r, 202, run_summary(run));
}

void
v1_executions_interrupt(struct api *api, struct http_request *r, const struct caller *who,
                        const struct target *target)
{
    struct v1_session session;
    struct run *run = find(api, r, who, target, &session);
    struct body body;
    struct err err = ERR_INIT;
    const char *text;
    double grace;
    size_t len;

    if (run == NULL)
        return; /* and there is no request any more */
    text = http_body(r, &len);
    if (body_parse_interrupt(text, len, &body, &grace, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    body_clear(&body);
    interrupt(r, run, grace);
}

/* One that is over is forgotten, a queued one does not run, a running one is interrupted. */
void
v1_executions_delete(struct api *api, struct http_request *r, const struct caller *who,
                     const struct target *target)
{
    struct v1_session session;
    struct run *run = find(api, r, who, target, &session);

    if (run == NULL)
        return;
    if (run_is_done(run)) {
        runs_remove(api_parts(api)->runs, run);
        http_reply(r, 204, NULL, "", 0);
    } else if (run_is_queued(run)) {
        run_cancel(run);
        http_reply_json(r, 200, run_summary(run));
    } else {
        interrupt(r, run, INTERRUPT_GRACE_S);
    }
}

void
v1_executions_stdin(struct api *api, struct http_request *r, const struct caller *who,
                    const struct target *target)
{
    struct v1_session session;
    struct run *run = find(api, r, who, target, &session);
    const json_t *line;
    struct body body;
    struct err err = ERR_INIT;
    const char *text;
    size_t len;

    if (run == NULL)
        return; /* and there is no request any more */
    text = http_body(r, &len);
    if (body_parse_stdin(text, len, &body, &line, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (run_input(run, line, &err) < 0)
        http_reply_error(r, &err, NULL);
    else
        http_reply_json(r, 200, run_summary(run));
    body_clear(&body);
}
