/* v1_keep.c - see v1_keep.h.  Both ways it is the session's own archive operation that reads and writes files (filework.h). */
#include "v1_keep.h"

#include <stdio.h>
#include <unistd.h>
#include <event2/event.h>

#include "api.h"
#include "err.h"
#include "filework.h"
#include "http.h"
#include "http_json.h"
#include "kept.h"
#include "pool.h"
#include "runs.h"
#include "transfer.h"
#include "v1.h"

enum { PIECE = 64 << 10 };

/* --- away --------------------------------------------------------------------------------- */

struct keeping {
    struct api *api;
    struct filework *work; /* when it is kept */
    struct v1_session session;
    struct kept_file *file; /* NULL: it is kept */
    struct event *turn;     /* when it is, for the session's end */
};

static void
keeping_free(void *state)
{
    struct keeping *k = state;

    kept_abort(k->file);
    event_free(k->turn);
    free(k);
}

/* In a turn of its own: the end of a transfer is no place for the end of its worker. */
static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct keeping *k = arg;
    const struct api_parts *parts = api_parts(k->api);

    (void)fd, (void)what;
    pool_release(parts->pool, &k->session.owner, k->session.id);
    runs_forget(parts->runs, &k->session.owner, k->session.id);
    filework_end(k->work, 204, NULL);
}

static void
on_archive(struct filework *w, json_t *reply)
{
    (void)w, (void)reply; /* the bytes follow */
}

static void
on_archive_data(struct filework *w, const void *data, size_t len)
{
    struct keeping *k = w->state;
    struct err err = ERR_INIT;

    if (kept_write(k->file, data, len, &err) < 0)
        filework_fail(w, &err);
    else
        transfer_taken(w->transfer, len);
}

static void
on_archived(struct filework *w)
{
    struct keeping *k = w->state;
    struct kept_file *file = k->file;
    struct err err = ERR_INIT;

    k->file = NULL;
    if (kept_commit(file, &err) < 0) {
        filework_fail(w, &err);
        return;
    }
    k->work = w;
    event_active(k->turn, 0, 0);
}

static const struct filework_kind keeping = {.action = "release",
                                             .on_reply = on_archive,
                                             .on_data = on_archive_data,
                                             .on_over = on_archived,
                                             .free = keeping_free};

void
v1_keep_and_end(struct api *api, struct http_request *r, const struct v1_session *session,
                const char *who)
{
    const struct api_parts *parts = api_parts(api);
    struct keeping *k = xcalloc(1, sizeof(*k));
    char name[KEPT_NAME_SIZE];
    struct err err = ERR_INIT;

    k->api = api;
    k->session = *session;
    k->turn = xnotnull(event_new(parts->base, -1, 0, on_turn, k));
    kept_name(&session->owner, session->id, name);
    k->file = kept_create(parts->kept, name, &err);
    if (k->file == NULL) {
        http_reply_error(r, &err, NULL);
        keeping_free(k);
        return;
    }
    filework_begin(
        api, r, session, who, &keeping,
        xnotnull(json_pack("{s:s,s:s,s:s}", "op", "archive", "path", "", "format", "tar")),
        "keep_files", k);
}

/* --- and back ----------------------------------------------------------------------------- */

struct restoring {
    struct v1_session session;
    char name[KEPT_NAME_SIZE];
    bool take, restored;
    int status;
    int fd;
    off_t at, size;
};

static void
restoring_free(void *state)
{
    struct restoring *s = state;

    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

/* 1: a piece has gone; 0: nothing can go now. */
static int
send_piece(struct restoring *s, struct transfer *transfer, struct err *err)
{
    static char piece[PIECE];
    const size_t room = transfer_room(transfer);
    size_t most = room < sizeof(piece) ? room : sizeof(piece);
    ssize_t n;

    if (s->size - s->at < (off_t)most)
        most = (size_t)(s->size - s->at);
    if (most == 0)
        return 0;
    n = pread(s->fd, piece, most, s->at);
    if (n <= 0)
        return n < 0 ? err_sys(err, "read the files that were kept")
                     : err_set(err, ERR_SYSTEM, "The files that were kept have become shorter");
    s->at += n;
    return transfer_send(transfer, piece, (size_t)n, err) < 0 ? -1 : 1;
}

static void
send_more(struct filework *w)
{
    struct restoring *s = w->state;
    struct err err = ERR_INIT;
    int rc;

    while ((rc = send_piece(s, w->transfer, &err)) > 0)
        ;
    if (rc < 0)
        filework_fail(w, &err);
    else if (s->at == s->size)
        transfer_finish(w->transfer);
}

static void
on_restored(struct filework *w, json_t *reply)
{
    struct restoring *s = w->state;

    (void)reply;
    s->restored = true;
}

static void
on_over(struct filework *w)
{
    const struct restoring *s = w->state;
    const struct api_parts *parts = api_parts(w->api);
    struct err err = ERR_INIT;

    if (!s->restored) {
        err_set(&err, ERR_WORKER_DIED, "The files were not unpacked to their end");
        filework_fail(w, &err);
        return;
    }
    if (s->take)
        kept_remove(parts->kept, s->name);
    filework_end(w, s->status, pool_session(parts->pool, &s->session.owner, s->session.id));
}

static const struct filework_kind restoring = {.action = "restore",
                                               .on_begun = send_more,
                                               .on_room = send_more,
                                               .on_reply = on_restored,
                                               .on_over = on_over,
                                               .free = restoring_free};

void
v1_keep_restore(struct api *api, struct http_request *r, const struct v1_session *session,
                const char *who, const char *name, bool take, int status)
{
    struct restoring *s = xcalloc(1, sizeof(*s));
    struct err err = ERR_INIT;

    s->session = *session;
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->take = take;
    s->status = status;
    s->fd = kept_open(api_parts(api)->kept, name, &s->size, &err);
    if (s->fd < 0) {
        http_reply_error(r, &err, NULL);
        restoring_free(s);
        return;
    }
    filework_begin(api, r, session, who, &restoring,
                   xnotnull(json_pack("{s:s,s:s}", "op", "extract", "path", "")), "kept files", s);
}
