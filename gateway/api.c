#include "api.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <event2/buffer.h>
#include <sodium.h>

#include "api_audit.h"
#include "api_scan.h"
#include "auth.h"
#include "body.h"
#include "clock.h"
#include "config.h"
#include "http_json.h"
#include "log.h"
#include "metrics.h"
#include "pages.h"
#include "pool.h"
#include "runs.h"
#include "smallfile.h"

enum { UPLOAD_EXTRA = 1 << 20 };

struct api {
    struct api_parts parts;
    struct pages *pages;
    double started; /* clock_now */
};

/* A POST /execute under way. */
struct call {
    struct api *api;
    struct http_request *request;
    struct importing *importing; /* NULL: nothing is waited for ... */
    struct caller who;           /* ... else whose it is */
    struct body body;            /* ... and what it is to run */
    struct job *job;             /* NULL: it is not there yet */
    double received;             /* clock_now */
    struct audit_event event;
    json_t *findings; /* of the scan; NULL: none */
};

struct api *
api_new(const struct api_parts *parts, const char *web_dir, struct err *err)
{
    struct api *api = xcalloc(1, sizeof(*api));

    api->parts = *parts;
    api->started = clock_now();
    api->pages = pages_new(web_dir, err);
    if (api->pages)
        return api;
    api_free(api);
    return NULL;
}

void
api_free(struct api *api)
{
    if (api == NULL)
        return;
    pages_free(api->pages);
    free(api);
}

const struct api_parts *
api_parts(const struct api *api)
{
    return &api->parts;
}

/* --- who may ------------------------------------------------------------------------------ */

static const struct denial {
    int status;
    enum metric_counter counter;
    const char *detail;
} denials[AUTH_N_VERDICTS] = {
    [AUTH_MISSING] = {401, METRIC_DENIED_TOKEN, "The X-Auth-Token header is missing or wrong"},
    [AUTH_WRONG] = {401, METRIC_DENIED_TOKEN, "The X-Auth-Token header is missing or wrong"},
    [AUTH_EXPIRED] = {401, METRIC_DENIED_EXPIRED, "The API key has expired"},
    [AUTH_REVOKED] = {401, METRIC_DENIED_REVOKED, "The API key has been revoked"},
    [AUTH_TOO_FAST] = {429, METRIC_DENIED_RATE, "The API key's requests per minute are used up"},
};

static void
deny(struct api *api, struct http_request *r, enum auth_verdict verdict, const struct caller *who,
     double wait)
{
    const struct denial *denial = &denials[verdict];
    /* Without a key nobody is known. */
    struct audit_event event = api_audit_begin(r, "request", who->key, "");

    api_audit_end(api->parts.audit, &event, "denied", denial->status, denial->detail);
    metrics_add(denial->counter, 1);
    if (denial->status == 401) {
        metrics_add(METRIC_AUTH_FAILURES, 1);
        http_add_header(r, "WWW-Authenticate", "Bearer");
    } else {
        http_retry_after(r, 1 + (unsigned)wait);
    }
    http_reply_status(r, denial->status, denial->detail);
}

static const char *
token_of(const struct http_request *r)
{
    const char *token = http_header(r, "X-Auth-Token");

    return token ? token : http_bearer(r);
}

bool
api_knows(struct api *api, const struct http_request *r)
{
    return auth_knows(api->parts.auth, token_of(r));
}

bool
api_admit(struct api *api, struct http_request *r, struct caller *who)
{
    double wait;
    enum auth_verdict verdict = auth_check(api->parts.auth, token_of(r), who, &wait);

    if (verdict != AUTH_OK)
        deny(api, r, verdict, who, wait);
    return verdict == AUTH_OK;
}

size_t
api_most_upload(const struct api *api)
{
    return ((size_t)api->parts.config->worker_disk_mb << 20) + UPLOAD_EXTRA;
}

/* --- answers at once ---------------------------------------------------------------------- */

void
api_page(struct api *api, struct http_request *r, const struct caller *who,
         const struct target *target)
{
    (void)who, (void)target;
    pages_reply(api->pages, r);
}

void
api_healthz(struct api *api, struct http_request *r, const struct caller *who,
            const struct target *target)
{
    (void)api, (void)who, (void)target;
    http_reply_json(r, 200, xnotnull(json_pack("{s:s}", "status", "ok")));
}

void
api_readyz(struct api *api, struct http_request *r, const struct caller *who,
           const struct target *target)
{
    (void)who, (void)target;
    if (pool_is_ready(api->parts.pool))
        http_reply_json(r, 200, xnotnull(json_pack("{s:s}", "status", "ready")));
    else
        http_reply_status(r, 503, "The pool is not warm yet");
}

void
api_status(struct api *api, struct http_request *r, const struct caller *who,
           const struct target *target)
{
    json_t *status = pool_status(api->parts.pool, who);

    (void)target;
    json_object_set_new(status, "uptime_seconds", json_real(clock_now() - api->started));
    json_object_set_new(status, "version", json_string(PACKAGE_VERSION));
    http_reply_json(r, 200, status);
}

static double
resident_bytes(void)
{
    char text[128];
    unsigned long pages;

    smallfile_read("/proc/self/statm", text, sizeof(text));
    return sscanf(text, "%*u %lu", &pages) == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : 0;
}

static unsigned
count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    unsigned n = 0;

    while (dir && (entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n ? n - 1 : 0; /* without this one */
}

void
api_metrics(struct api *api, struct http_request *r, const struct caller *who,
            const struct target *target)
{
    struct evbuffer *text = xnotnull(evbuffer_new());

    (void)who, (void)target;
    pool_gauge(api->parts.pool);
    metrics_set(METRIC_UPTIME, clock_now() - api->started);
    metrics_set(METRIC_CONNECTIONS, http_count_connections(r));
    metrics_set(METRIC_OPEN_FDS, count_descriptors());
    metrics_set(METRIC_RSS_BYTES, resident_bytes());
    metrics_render(text);
    http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8",
               xnotnull(evbuffer_pullup(text, -1)), evbuffer_get_length(text));
    evbuffer_free(text);
}

/* Whose session a body speaks of: the master token may name a key. */
static int
find_owner(const struct body *body, const struct caller *who, struct caller *owner, struct err *err)
{
    *owner = *who;
    if (body->key == NULL || strcmp(body->key, who->key) == 0)
        return 0;
    if (!caller_is_master(who))
        return err_field(err, ERR_BAD_REQUEST, "key", "key: it is not yours");
    snprintf(owner->key, sizeof(owner->key), "%s", body->key);
    return 0;
}

static void
release(struct api *api, struct http_request *r, const struct caller *who, const struct body *body,
        const struct caller *owner)
{
    struct audit_event event = api_audit_begin(r, "release", api_audit_name(who), body->user);
    char detail[BODY_USER_MAX + 64] = "";

    pool_release(api->parts.pool, owner, body->user);
    runs_forget(api->parts.runs, owner, body->user);
    if (strcmp(owner->key, who->key) != 0)
        snprintf(detail, sizeof(detail), "A session of the key %s", owner->key);
    api_audit_end(api->parts.audit, &event, "ok", 200, detail);
    snprintf(detail, sizeof(detail), "Worker for user %s has been released.", body->user);
    http_reply_json(r, 200, xnotnull(json_pack("{s:s,s:s}", "status", "ok", "detail", detail)));
}

void
api_release(struct api *api, struct http_request *r, const struct caller *who,
            const struct target *target)
{
    struct body body;
    struct caller owner;
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len);

    (void)target;
    if (body_parse_release(text, len, &body, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (find_owner(&body, who, &owner, &err) < 0)
        http_reply_error(r, &err, NULL);
    else
        release(api, r, who, &body, &owner);
    body_clear(&body);
}

/* --- POST /execute ------------------------------------------------------------------------ */

/* What an error says of the scan; NULL: nothing. */
static json_t *
found(const struct call *call)
{
    return call->findings ? xnotnull(json_pack("{s:O}", "findings", call->findings)) : NULL;
}

static json_t *
answer(const struct job_result *result, json_t *findings)
{
    json_t *body = json_incref(result->output);

    json_object_set_new(body, "execution_count",
                        result->execution_count < 0 ? json_null()
                                                    : json_integer(result->execution_count));
    json_object_set_new(body, "duration_ms", json_real(result->duration_ms));
    json_object_set_new(body, "restarted", json_boolean(result->restarted));
    if (findings)
        json_object_set(body, "findings", findings);
    return body;
}

static const char *
outcome_of(const struct job_result *result)
{
    if (result->err == NULL)
        return json_is_null(json_object_get(result->output, "error")) ? "ok" : "error";
    switch (result->err->code) {
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_NOT_FOUND:
    case ERR_PRECONDITION:
    case ERR_RANGE:
    case ERR_NO_SPACE:
    case ERR_UNSUPPORTED:
    case ERR_FORBIDDEN:
    case ERR_CONFLICT:
    case ERR_NO_WORKER:
    case ERR_BUSY:
    case ERR_QUOTA:
        return "rejected";
    default:
        return "died";
    }
}

static void
audit_call(struct call *call, const struct job_result *result)
{
    const struct err *err = result->err;

    call->event.duration_ms = (clock_now() - call->received) * 1000;
    api_audit_end(call->api->parts.audit, &call->event, outcome_of(result),
                  err ? http_status_of(err->code) : 200, err ? err->msg : "");
}

static void
call_free(struct call *call)
{
    importing_cancel(call->importing);
    body_clear(&call->body);
    json_decref(call->findings);
    free(call);
}

static void
on_job_done(void *owner, const struct job_result *result)
{
    struct call *call = owner;

    metrics_observe(METRIC_EXECUTION_SECONDS, clock_now() - call->received);
    audit_call(call, result);
    if (result->err)
        http_reply_error(call->request, result->err, found(call));
    else
        http_reply_json(call->request, 200, answer(result, call->findings));
    call_free(call);
}

static void
on_client_gone(void *owner)
{
    struct call *call = owner;

    call->event.duration_ms = (clock_now() - call->received) * 1000;
    api_audit_end(call->api->parts.audit, &call->event, "cancelled", 0, "The client went away");
    if (call->job)
        job_cancel(call->job);
    call_free(call);
}

static struct call *
call_new(struct api *api, struct http_request *r, const struct caller *who, const struct body *body)
{
    struct call *call = xcalloc(1, sizeof(*call));

    call->api = api;
    call->request = r;
    call->received = clock_now();
    call->event = api_audit_begin(r, "execute", api_audit_name(who), body->user);
    call->event.has_code = true;
    call->event.code_len = body->code_len;
    crypto_hash_sha256(call->event.code_hash, (const uint8_t *)body->code, body->code_len);
    return call;
}

static void
refuse(struct call *call, const struct err *err)
{
    const struct job_result result = {.err = err};

    if (err->code == ERR_QUOTA)
        metrics_add(METRIC_DENIED_SESSIONS, 1);
    audit_call(call, &result);
    http_reply_error(call->request, err, found(call));
    call_free(call);
}

static struct job *
submit(struct api *api, const struct caller *who, const struct body *body, struct call *call,
       struct err *err)
{
    const struct job_spec spec = {
        .code = body->code,
        .code_len = body->code_len,
        .timeout_ms = body->timeout < 0.001 ? 1 : (unsigned)(body->timeout * 1000),
        .limits = body->limits,
        .max_output = api->parts.config->max_output_bytes,
        .network = body->network,
    };

    return pool_submit(api->parts.pool, who, body->user, &spec, on_job_done, call, err);
}

static void
run(struct call *call, const struct caller *who, const struct body *body)
{
    struct err err = ERR_INIT;

    call->job = submit(call->api, who, body, call, &err);
    if (call->job) {
        http_drop_body(call->request); /* the queue may be long and the body large */
        http_on_gone(call->request, on_client_gone, call);
    } else {
        refuse(call, &err);
    }
}

static void
on_imported(void *owner)
{
    struct call *call = owner;
    const struct caller who = call->who;
    struct body body = call->body;

    call->importing = NULL;
    memset(&call->body, 0, sizeof(call->body));
    http_on_gone(call->request, NULL, NULL);
    run(call, &who, &body);
    body_clear(&body);
}

/* Whether it waits for modules that it imports; the body is the call's then. */
static bool
waits_for_imports(struct call *call, const struct caller *who, struct body *body)
{
    call->importing = importing_start(&call->api->parts.importing, who, body->user, body->network,
                                      body->code, body->code_len, on_imported, call);
    if (call->importing == NULL)
        return false;
    call->who = *who;
    call->body = *body;
    memset(body, 0, sizeof(*body));
    http_drop_body(call->request);
    http_on_gone(call->request, on_client_gone, call);
    return true;
}

/* Answers that the scan's findings keep the code from running. */
static void
block(struct call *call)
{
    cleanup_free char *detail = api_scan_why(call->findings);

    api_audit_end(call->api->parts.audit, &call->event, "blocked", 422, detail);
    http_reply_json(call->request, 422,
                    xnotnull(json_pack("{s:s,s:O}", "detail", detail, "findings", call->findings)));
    call_free(call);
}

static struct body_limits
body_limits(const struct api *api)
{
    struct body_limits limits = {
        api->parts.config->max_code_bytes, api->parts.config->exec_timeout, {0, 0}};

    if (pool_limits_executions(api->parts.pool)) {
        limits.most.cpu = api->parts.config->worker_cpu;
        limits.most.memory_mb = api->parts.config->worker_memory_mb;
    }
    return limits;
}

void
api_execute(struct api *api, struct http_request *r, const struct caller *who,
            const struct target *target)
{
    const struct body_limits limits = body_limits(api);
    struct body body;
    struct err err = ERR_INIT;
    struct call *call;
    size_t len;
    const char *text = http_body(r, &len);

    (void)target;
    if (body_parse_execute(text, len, &limits, &body, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    call = call_new(api, r, who, &body);
    if (pool_is_python(api->parts.pool, who, body.user)) /* which the rules are about */
        call->findings = api_scan(&api->parts, body.code, body.code_len, NULL);
    if (api_scan_blocks(&api->parts, call->findings))
        block(call);
    else if (!waits_for_imports(call, who, &body))
        run(call, who, &body);
    body_clear(&body);
}
