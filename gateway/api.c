#include "api.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <event2/buffer.h>
#include <sodium.h>

#include "body.h"
#include "clock.h"
#include "config.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "pool.h"
#include "scan.h"
#include "smallfile.h"

enum { PAGE_MAX = 4 << 20 };

/* Nothing but the page itself and calls to where it came from. */
static const char page_policy[] =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: "
    "blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct api {
    const struct config *config;
    struct pool *pool;
    const struct scan *scan;
    uint8_t token_hash[crypto_generichash_BYTES];
    char *page;
    size_t page_len;
    double started; /* clock_now */
};

/* A POST /execute under way. */
struct call {
    struct http_request *request;
    struct job *job;
    double received;  /* clock_now */
    json_t *findings; /* of the scan; NULL: none */
};

static void
hash_token(const char *token, uint8_t out[crypto_generichash_BYTES])
{
    crypto_generichash(out, crypto_generichash_BYTES, (const uint8_t *)token, strlen(token), NULL,
                       0);
}

static int
read_page(struct api *api, const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return err_sys(err, "cannot open %s", path);
    api->page = xnotnull(malloc(PAGE_MAX));
    api->page_len = fread(api->page, 1, PAGE_MAX, file);
    fclose(file);
    if (api->page_len == 0 || api->page_len == PAGE_MAX)
        return err_set(err, ERR_SYSTEM, "%s: empty, unreadable or too large", path);
    api->page = xrealloc(api->page, api->page_len);
    return 0;
}

struct api *
api_new(const struct config *config, struct pool *pool, const struct scan *scan, const char *token,
        const char *page_path, struct err *err)
{
    struct api *api = xcalloc(1, sizeof(*api));

    api->config = config;
    api->pool = pool;
    api->scan = scan;
    hash_token(token, api->token_hash);
    api->started = clock_now();
    if (read_page(api, page_path, err) < 0) {
        api_free(api);
        return NULL;
    }
    return api;
}

void
api_free(struct api *api)
{
    if (api == NULL)
        return;
    sodium_memzero(api->token_hash, sizeof(api->token_hash));
    free(api->page);
    free(api);
}

/* Hashes have one length, so that neither content nor length of the token shows in the time it takes. */
bool
api_is_authorized(const struct api *api, const struct http_request *r)
{
    const char *token = http_header(r, "X-Auth-Token");
    uint8_t hash[crypto_generichash_BYTES];

    hash_token(token ? token : "", hash);
    return sodium_memcmp(hash, api->token_hash, sizeof(hash)) == 0 && token != NULL;
}

void
api_page(struct api *api, struct http_request *r)
{
    http_add_header(r, "Content-Security-Policy", page_policy);
    http_add_header(r, "Referrer-Policy", "no-referrer");
    http_add_header(r, "Cache-Control", "no-cache");
    http_reply(r, 200, "text/html; charset=utf-8", api->page, api->page_len);
}

void
api_healthz(struct api *api, struct http_request *r)
{
    (void)api;
    http_reply_json(r, 200, xnotnull(json_pack("{s:s}", "status", "ok")));
}

void
api_readyz(struct api *api, struct http_request *r)
{
    if (pool_is_ready(api->pool))
        http_reply_json(r, 200, xnotnull(json_pack("{s:s}", "status", "ready")));
    else
        http_reply_status(r, 503, "The pool is not warm yet");
}

void
api_status(struct api *api, struct http_request *r)
{
    json_t *status = pool_status(api->pool);

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
api_metrics(struct api *api, struct http_request *r)
{
    struct evbuffer *text = xnotnull(evbuffer_new());

    pool_gauge(api->pool);
    metrics_set(METRIC_UPTIME, clock_now() - api->started);
    metrics_set(METRIC_CONNECTIONS, http_count_connections(r));
    metrics_set(METRIC_OPEN_FDS, count_descriptors());
    metrics_set(METRIC_RSS_BYTES, resident_bytes());
    metrics_render(text);
    http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8",
               xnotnull(evbuffer_pullup(text, -1)), evbuffer_get_length(text));
    evbuffer_free(text);
}

void
api_release(struct api *api, struct http_request *r)
{
    struct body body;
    struct err err = ERR_INIT;
    char detail[BODY_USER_MAX + 64];
    size_t len;
    const char *text = http_body(r, &len);

    if (body_parse_release(text, len, &body, &err) < 0) {
        http_reply_error(r, &err);
        return;
    }
    pool_release(api->pool, body.user);
    snprintf(detail, sizeof(detail), "Worker for user %s has been released.", body.user);
    body_clear(&body);
    http_reply_json(r, 200, xnotnull(json_pack("{s:s,s:s}", "status", "ok", "detail", detail)));
}

/* --- POST /execute ------------------------------------------------------------------------ */

static json_t *
findings_json(const struct scan_result *result)
{
    json_t *findings = xnotnull(json_array());

    for (unsigned i = 0; i < result->n; i++) {
        const struct scan_finding *f = &result->findings[i];

        json_array_append_new(findings,
                              xnotnull(json_pack("{s:s,s:I,s:s}", "rule", f->rule, "line",
                                                 (json_int_t)f->line, "message", f->message)));
    }
    return findings;
}

/* What the scan has to say about the code, counted and logged; NULL when that is nothing. */
static json_t *
scan_body(const struct api *api, const struct body *body)
{
    const bool block = api->config->scan == SCAN_BLOCK;
    struct scan_result result;

    if (api->config->scan == SCAN_OFF)
        return NULL;
    scan_code(api->scan, body->code, body->code_len, &result);
    if (result.n == 0)
        return NULL;
    metrics_add(block ? METRIC_SCAN_BLOCKED : METRIC_SCAN_WARNED, result.n);
    log_info("scan: %s: %u finding%s, the first is %s in line %u", block ? "blocked" : "warned",
             result.n, result.n == 1 ? "" : "s", result.findings[0].rule, result.findings[0].line);
    return findings_json(&result);
}

static void
reply_blocked(struct http_request *r, json_t *findings)
{
    const json_t *first = json_array_get(findings, 0);
    cleanup_free char *detail =
        xasprintf("The code was not run: line %lld breaks the rule %s, which %s",
                  (long long)json_integer_value(json_object_get(first, "line")),
                  json_string_value(json_object_get(first, "rule")),
                  json_string_value(json_object_get(first, "message")));

    http_reply_json(r, 422,
                    xnotnull(json_pack("{s:s,s:o}", "detail", detail, "findings", findings)));
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

static void
call_free(struct call *call)
{
    json_decref(call->findings);
    free(call);
}

static void
on_job_done(void *owner, const struct job_result *result)
{
    struct call *call = owner;

    metrics_observe(METRIC_EXECUTION_SECONDS, clock_now() - call->received);
    if (result->err)
        http_reply_error(call->request, result->err);
    else
        http_reply_json(call->request, 200, answer(result, call->findings));
    call_free(call);
}

static void
on_client_gone(void *owner)
{
    struct call *call = owner;

    job_cancel(call->job);
    call_free(call);
}

static struct job *
submit(struct api *api, const struct body *body, struct call *call, struct err *err)
{
    const struct job_spec spec = {
        .code = body->code,
        .code_len = body->code_len,
        .timeout_ms = body->timeout < 0.001 ? 1 : (unsigned)(body->timeout * 1000),
        .max_output = api->config->max_output_bytes,
    };

    return pool_submit(api->pool, body->user, &spec, on_job_done, call, err);
}

static void
submit_call(struct api *api, const struct body *body, json_t *findings, struct http_request *r)
{
    struct call *call = xcalloc(1, sizeof(*call));
    struct err err = ERR_INIT;

    call->request = r;
    call->received = clock_now();
    call->findings = findings;
    call->job = submit(api, body, call, &err);
    if (call->job) {
        http_drop_body(r); /* the queue may be long and the body large */
        http_on_gone(r, on_client_gone, call);
        return;
    }
    call_free(call);
    http_reply_error(r, &err);
}

void
api_execute(struct api *api, struct http_request *r)
{
    const struct body_limits limits = {api->config->max_code_bytes, api->config->exec_timeout};
    struct body body;
    struct err err = ERR_INIT;
    json_t *findings;
    size_t len;
    const char *text = http_body(r, &len);

    if (body_parse_execute(text, len, &limits, &body, &err) < 0) {
        http_reply_error(r, &err);
        return;
    }
    findings = scan_body(api, &body);
    if (findings && api->config->scan == SCAN_BLOCK)
        reply_blocked(r, findings);
    else
        submit_call(api, &body, findings, r);
    body_clear(&body);
}
