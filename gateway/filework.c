#include "filework.h"

#include <stdio.h>
#include <string.h>

#include "api.h"
#include "api_audit.h"
#include "http_json.h"
#include "http_stream.h"
#include "mem.h"
#include "pool.h"
#include "transfer.h"
#include "utf8.h"
#include "v1.h"
#include "visits.h"
#include "worker.h"

enum { PATH_SHOWN = 100 /* bytes of a path in the audit log */ };

/* --- the end ------------------------------------------------------------------------------ */

static void
work_free(struct filework *w)
{
    if (w->request)
        http_on_gone(w->request, NULL, NULL);
    transfer_abort(w->transfer);
    visit_end(w->visit);
    json_decref(w->ask);
    if (w->kind->free)
        w->kind->free(w->state);
    free(w);
}

static void
record(struct filework *w, const char *outcome, int status, const char *detail)
{
    cleanup_free char *text = xasprintf("%s%s%s", w->event.detail, detail[0] ? ": " : "", detail);

    if (w->kind->action)
        api_audit_end(api_parts(w->api)->audit, &w->event, outcome, status, text);
}

void
filework_done(struct filework *w, int status)
{
    record(w, "ok", status, "");
    work_free(w);
}

void
filework_end(struct filework *w, int status, json_t *body)
{
    struct http_request *r = w->request;

    w->request = NULL;
    http_on_gone(r, NULL, NULL);
    if (body)
        http_reply_json(r, status, body);
    else
        http_reply(r, status, NULL, "", 0);
    filework_done(w, status);
}

/* An answer that has begun cannot say what went wrong: it is cut. */
void
filework_fail(struct filework *w, const struct err *err)
{
    struct http_request *r = w->request;

    w->request = NULL;
    record(w, err->code == ERR_WORKER_DIED ? "died" : "rejected", http_status_of(err->code),
           err->msg);
    if (r) {
        http_on_gone(r, NULL, NULL);
        http_reply_error(r, err, NULL);
    } else if (w->stream) {
        http_stream_abort(w->stream);
    }
    work_free(w);
}

static void
on_client_gone(void *owner)
{
    struct filework *w = owner;

    w->request = NULL;
    record(w, "cancelled", 0, "The client went away");
    work_free(w);
}

/* --- the operation ------------------------------------------------------------------------ */

static void
on_reply(void *owner, json_t *reply)
{
    struct filework *w = owner;
    struct err err = ERR_INIT;

    if (!transfer_error(reply, &err))
        w->kind->on_reply(w, reply);
    else if (err.code == ERR_RANGE && w->kind->on_no_range)
        w->kind->on_no_range(w, reply, &err);
    else
        filework_fail(w, &err);
}

static void
on_data(void *owner, const void *data, size_t len)
{
    struct filework *w = owner;

    if (w->kind->on_data)
        w->kind->on_data(w, data, len);
    else
        transfer_taken(w->transfer, len);
}

static void
on_room(void *owner)
{
    struct filework *w = owner;

    if (w->kind->on_room)
        w->kind->on_room(w);
}

static void
on_end(void *owner, const struct err *why)
{
    struct filework *w = owner;
    struct err err = ERR_INIT;

    w->transfer = NULL;
    err_set(&err, ERR_WORKER_DIED, "The file operation ended early");
    if (why == NULL && w->kind->on_over)
        w->kind->on_over(w);
    else
        filework_fail(w, why ? why : &err);
}

static const struct transfer_ops transfer_ops = {on_reply, on_data, on_room, on_end};

static int
start(struct filework *w, struct worker *worker, struct err *err)
{
    const struct transfer_spec spec = {w->ask, w->kind->events};
    struct transfers *files = worker_files(worker);

    if (files == NULL)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    w->ask = NULL;
    w->transfer = transfer_start(files, &spec, &transfer_ops, w, err);
    return w->transfer ? 0 : -1;
}

static void
on_worker(void *owner, struct worker *worker, const struct err *why)
{
    struct filework *w = owner;
    struct err err = ERR_INIT;

    if (worker == NULL) {
        w->visit = NULL;
        filework_fail(w, why);
    } else if (w->ask && start(w, worker, &err) < 0) {
        filework_fail(w, &err);
    } else if (w->kind->on_begun) {
        w->kind->on_begun(w);
    }
}

int
filework_next(struct filework *w, json_t *ask)
{
    struct worker *worker = visit_worker(w->visit);
    struct err err = ERR_INIT;

    transfer_abort(w->transfer);
    w->transfer = NULL;
    w->ask = ask;
    if (worker && start(w, worker, &err) == 0)
        return 0;
    if (worker == NULL)
        err_set(&err, ERR_WORKER_DIED, "The worker died");
    filework_fail(w, &err);
    return -1;
}

struct filework *
filework_begin(struct api *api, struct http_request *r, const struct v1_session *session,
               const char *who, const struct filework_kind *kind, json_t *ask, const char *path,
               void *state)
{
    struct filework *w = xcalloc(1, sizeof(*w));
    struct err err = ERR_INIT;

    w->api = api;
    w->kind = kind;
    w->request = r;
    w->ask = ask;
    w->state = state;
    w->event = api_audit_begin(r, kind->action ? kind->action : "", who, session->id);
    snprintf(w->event.detail, sizeof(w->event.detail), "%.*s",
             (int)utf8_cut(path, strlen(path), PATH_SHOWN), path);
    w->visit = pool_visit(api_parts(api)->pool, &session->owner, session->id, on_worker, w, &err);
    if (w->visit == NULL) {
        filework_fail(w, &err);
        return NULL;
    }
    http_on_gone(r, on_client_gone, w);
    return w;
}
