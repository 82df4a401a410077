/*
 * v1_packages.c - see v1_packages.h.
 *
 * Whatever comes first ends a request and what it waits for: the packages, an error, the client's hang-up, the session's end.
 */
#include "v1_packages.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <event2/event.h>

#include "api_audit.h"
#include "body_session.h"
#include "clock.h"
#include "http_json.h"
#include "kept.h"
#include "kernels.h"
#include "packages.h"
#include "pool.h"
#include "provision.h"
#include "sse.h"
#include "target.h"
#include "utf8.h"
#include "v1.h"

enum { TEXT_MAX = 64 << 10 /* bytes of each output in an answer */ };

/* --- more of them ------------------------------------------------------------------------- */

/* What the tool has said on one of its outputs. */
struct said {
    char *text;
    size_t len;
};

struct addition {
    struct api *api;
    struct http_request *request; /* NULL: answered, or the stream's */
    struct sse *sse;              /* NULL: none, or gone */
    uint64_t n_events;
    struct audit_event event;
    struct v1_session session;
    json_t *group;
    struct provision *provision;
    struct said said[2];
    double began; /* clock_now */
};

static void
addition_free(struct addition *a)
{
    provision_cancel(a->provision);
    json_decref(a->group);
    free(a->said[0].text);
    free(a->said[1].text);
    free(a);
}

static void
record(struct addition *a, const char *outcome, int status, const char *detail)
{
    api_audit_end(api_parts(a->api)->audit, &a->event, outcome, status, detail);
}

static struct http_request *
take_request(struct addition *a)
{
    struct http_request *r = a->request;

    a->request = NULL;
    http_on_gone(r, NULL, NULL);
    return r;
}

/* data taken. */
static void
send_event(struct addition *a, const char *name, json_t *data)
{
    cleanup_free char *text = xnotnull(json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(12)));

    json_decref(data);
    sse_send(a->sse, ++a->n_events, name, text, strlen(text));
}

static json_t *
said_text(const struct said *said)
{
    return xnotnull(json_stringn(said->text ? said->text : "", said->len));
}

/* The answer, or the `end` event. */
static json_t *
describe(const struct addition *a, bool cached)
{
    json_auto_t *session = pool_session(api_parts(a->api)->pool, &a->session.owner, a->session.id);
    json_t *all = json_object_get(session, "packages");
    json_t *body = xnotnull(json_pack("{s:O,s:b,s:f}", "packages", all ? all : a->group, "cached",
                                      (int)cached, "duration_ms", (clock_now() - a->began) * 1000));

    if (a->sse) {
        json_object_set_new(body, "status", json_string("ok"));
    } else {
        json_object_set_new(body, "stdout", said_text(&a->said[0]));
        json_object_set_new(body, "stderr", said_text(&a->said[1]));
    }
    return body;
}

static json_t *
describe_error(const struct err *why)
{
    return xnotnull(json_pack("{s:s,s:{s:s,s:s}}", "status", "failed", "error", "code",
                              http_code_of(why->code), "message", why->msg));
}

static void
on_done(void *owner, bool cached, const struct err *why)
{
    struct addition *a = owner;

    a->provision = NULL;
    if (why)
        record(a, why->code == ERR_WORKER_DIED ? "died" : "rejected", http_status_of(why->code),
               why->msg);
    else
        record(a, "ok", 200, "");
    if (a->sse) {
        send_event(a, "end", why ? describe_error(why) : describe(a, cached));
        sse_end(a->sse);
    } else if (why) {
        http_reply_error(take_request(a), why, NULL);
    } else {
        http_reply_json(take_request(a), 200, describe(a, cached));
    }
    addition_free(a);
}

static void
on_output(void *owner, int fd, const char *text, size_t len)
{
    static const char *const names[] = {"dependency_stdout", "dependency_stderr"};
    struct addition *a = owner;
    struct said *said = &a->said[fd - 1];

    if (a->sse) {
        send_event(a, names[fd - 1], xnotnull(json_pack("{s:o}", "text", json_stringn(text, len))));
        return;
    }
    len = utf8_cut(text, len, TEXT_MAX - said->len);
    said->text = xrealloc(said->text, said->len + len + 1);
    memcpy(said->text + said->len, text, len);
    said->len += len;
}

static const struct provision_ops provision_ops = {on_output, on_done};

static void
on_client_gone(void *owner)
{
    struct addition *a = owner;

    record(a, "cancelled", 0, "The client went away");
    addition_free(a);
}

/* No more is written than an installation may say. */
static void
on_drained(void *owner)
{
    (void)owner;
}

static const struct http_stream_ops stream_ops = {on_drained, on_client_gone};

static void
begin(struct addition *a, bool streamed)
{
    const struct api_parts *parts = api_parts(a->api);
    struct http_request *r = a->request;
    struct err err = ERR_INIT;

    a->provision = provision_start(parts->pool, parts->packages, &a->session.owner, a->session.id,
                                   a->group, &provision_ops, a, &err);
    if (a->provision == NULL)
        on_done(a, false, &err);
    else if (streamed)
        a->sse = sse_start(http_base(r), take_request(a), &stream_ops, a);
}

void
v1_packages_add(struct api *api, struct http_request *r, const struct caller *who,
                const struct target *target)
{
    static const char *const names[] = {"key", NULL};
    struct v1_session session;
    struct addition *a;
    struct err err = ERR_INIT;
    json_t *group;
    bool stream;
    size_t len;
    const char *text = http_body(r, &len);

    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (target_only(target, names, &err) < 0 ||
        body_packages_parse(text, len, &group, &stream, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    a = xcalloc(1, sizeof(*a));
    a->api = api;
    a->request = r;
    a->event = api_audit_begin(r, "packages", api_audit_name(who), session.id);
    a->session = session;
    a->group = group;
    a->began = clock_now();
    http_on_gone(r, on_client_gone, a);
    begin(a, stream || sse_is_accepted(http_header(r, "Accept")));
}

/* --- a session with some ------------------------------------------------------------------ */

/* First it is seen to that there are packages, so that there is no session where there are none. */
struct creation {
    struct api *api;
    struct http_request *request;
    struct audit_event event;
    struct v1_session session;
    struct pool_wish wish; /* whose terms are these */
    struct terms terms;
    char from[KEPT_NAME_SIZE];
    v1_created_fn *created;
    bool made; /* there was none before */
    struct supply *supply;
    struct visit *visit; /* until the session has its worker, and its packages with that */
    struct event *turn;  /* fails for why */
    struct err why;
};

static void
creation_free(struct creation *c)
{
    supply_cancel(c->supply);
    visit_end(c->visit);
    event_free(c->turn);
    kernel_kind_unref(c->wish.kind);
    terms_clear(&c->terms);
    free(c);
}

static void
fail(struct creation *c, const struct err *why)
{
    const struct api_parts *parts = api_parts(c->api);

    api_audit_end(parts->audit, &c->event, "rejected", http_status_of(why->code), why->msg);
    if (c->made)
        pool_release(parts->pool, &c->session.owner, c->session.id);
    http_on_gone(c->request, NULL, NULL);
    http_reply_error(c->request, why, NULL);
    creation_free(c);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct creation *c = arg;
    const struct err why = c->why;

    (void)fd, (void)what;
    fail(c, &why);
}

static void
finish(struct creation *c)
{
    json_auto_t *session = pool_session(api_parts(c->api)->pool, &c->session.owner, c->session.id);
    struct err err = ERR_INIT;

    if (session == NULL) {
        err_set(&err, ERR_NO_WORKER, "The session has ended");
        fail(c, &err);
        return;
    }
    http_on_gone(c->request, NULL, NULL);
    c->created(c->api, c->request, &c->session, c->from, c->made, &c->event);
    creation_free(c);
}

/* Its failure is told in a turn of its own: the session cannot be ended where its end is told. */
static void
on_worker(void *owner, struct worker *worker, const struct err *why)
{
    struct creation *c = owner;

    if (worker) {
        finish(c);
        return;
    }
    c->visit = NULL;
    c->why = *why;
    event_active(c->turn, 0, 0);
}

static void
make(struct creation *c)
{
    struct pool *pool = api_parts(c->api)->pool;
    const struct caller *owner = &c->session.owner;
    struct err err = ERR_INIT;

    if (pool_open(pool, owner, c->session.id, &c->wish, &c->made, &err) < 0) {
        fail(c, &err);
        return;
    }
    if (!pool_keeps_worker(pool, owner, c->session.id)) {
        finish(c);
        return;
    }
    c->visit = pool_visit(pool, owner, c->session.id, on_worker, c, &err);
    if (c->visit == NULL)
        fail(c, &err);
}

static void
on_supplied(void *owner, const struct packages_source *source, const struct err *why)
{
    struct creation *c = owner;

    c->supply = NULL;
    if (why) {
        fail(c, why);
        return;
    }
    close(source->fd); /* the pool has its worker supplied in its turn */
    make(c);
}

static const struct supply_ops supply_ops = {.on_done = on_supplied};

static void
on_creator_gone(void *owner)
{
    struct creation *c = owner;

    api_audit_end(api_parts(c->api)->audit, &c->event, "cancelled", 0, "The client went away");
    creation_free(c);
}

void
v1_packages_create(struct api *api, struct http_request *r, const struct v1_session *session,
                   const struct pool_wish *wish, const char *from, v1_created_fn *created,
                   const struct audit_event *event)
{
    const struct api_parts *parts = api_parts(api);
    struct kernel_kind *kind = wish->kind ? wish->kind : kernels_standard(parts->kernels);
    struct creation *c = xcalloc(1, sizeof(*c));
    struct err err = ERR_INIT;

    c->api = api;
    c->request = r;
    c->event = *event;
    c->session = *session;
    snprintf(c->from, sizeof(c->from), "%s", from);
    c->created = created;
    terms_copy(&c->terms, wish->terms);
    c->wish = *wish;
    c->wish.terms = &c->terms;
    c->wish.kind = wish->kind ? kernel_kind_ref(wish->kind) : NULL;
    c->turn = xnotnull(event_new(http_base(r), -1, 0, on_turn, c));
    http_on_gone(r, on_creator_gone, c);
    if (pool_has_session(parts->pool, &session->owner, session->id)) {
        make(c); /* it must be like that */
        return;
    }
    c->supply = packages_supply(parts->packages, kind, json_array_get(c->terms.packages, 0),
                                &session->owner, &supply_ops, c, &err);
    if (c->supply == NULL)
        fail(c, &err);
}
