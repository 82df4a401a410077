/* stream.c - see stream.h. */
#include "stream.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "retry.h"

enum { MAX_EVENT = 64 << 20 /* bytes */ };

struct stream {
    struct client *client;
    const char *path;
    json_t *body;
    const struct stream_ops *ops;
    void *owner;
    char key[CLIENT_KEY_SIZE];
    char last[96];         /* ... of Last-Event-ID; "": there was none */
    char *id;              /* NULL: nobody knows it */
    struct events *events; /* of this connection */
    bool asked;            /* a request has gone out */
    bool ended;
    bool moved; /* this connection has brought something, be it a sign of life */
};

/* --- what comes --------------------------------------------------------------------------- */

static void
take_id(struct stream *s, const json_t *object)
{
    const char *id = json_string_value(json_object_get(object, "id"));

    if (s->id == NULL && id && parse_id(id))
        s->id = xstrdup(id);
}

static void
on_event(void *owner, const char *name, const char *data, size_t len)
{
    struct stream *s = owner;

    if (s->ended)
        return;
    if (strcmp(name, "start") == 0) {
        json_t *start = json_loadb(data, len, JSON_ALLOW_NUL, NULL);

        take_id(s, start);
        json_decref(start);
    }
    s->ended = strcmp(name, "end") == 0;
    snprintf(s->last, sizeof(s->last), "Last-Event-ID: %s", events_last_id(s->events));
    s->ops->on_event(s->owner, name, data, len);
}

/* --- one connection ----------------------------------------------------------------------- */

static bool
wants(void *owner, const struct client_head *head)
{
    (void)owner;
    return head->is_events;
}

static int
take(void *owner, const char *bytes, size_t len, struct err *err)
{
    struct stream *s = owner;

    s->moved = true;
    return events_feed(s->events, bytes, len, err);
}

static void
on_turn(void *owner)
{
    const struct stream *s = owner;

    s->ops->on_turn(s->owner);
}

static int
input_fd(void *owner)
{
    const struct stream *s = owner;

    return s->ops->input_fd(s->owner);
}

static int
on_interrupt(void *owner)
{
    const struct stream *s = owner;

    return s->ops->on_interrupt(s->owner);
}

static const struct client_ops ops = {
    .wants = wants,
    .take = take,
    .on_turn = on_turn,
    .input_fd = input_fd,
    .on_interrupt = on_interrupt,
};

/* The execution, or what has happened in it since. */
static int
connect_once(struct stream *s, struct client_answer *answer, struct err *err)
{
    cleanup_free char *path = xasprintf("%s%s%s", s->path, s->id ? "/" : "", s->id ? s->id : "");
    struct client_request r = {.path = path, .ops = &ops, .owner = s};
    int rc;

    if (s->id) {
        r.method = "GET";
        r.headers[0] = "Accept: text/event-stream";
        r.headers[1] = s->last[0] ? s->last : NULL;
    } else {
        r.method = "POST";
        r.body = json_incref(s->body);
        r.headers[0] = s->key;
        r.slow_head = true; /* what the code imports may be installed before */
    }
    s->asked = true;
    s->moved = false;
    s->events = events_new(MAX_EVENT, on_event, s);
    rc = client_perform(s->client, &r, answer, err);
    events_free(s->events);
    s->events = NULL;
    if (rc == 0)
        take_id(s, answer->json); /* of one that the request before has made */
    json_decref(answer->json);
    return rc;
}

/* --- one after another -------------------------------------------------------------------- */

/* Whether that end of a connection is one to try again after.  What could not be reached to begin with is not. */
static bool
may_go_on(const struct stream *s, int rc, const struct client_answer *answer, const struct err *err,
          bool first)
{
    if (rc == 0)
        return true;                  /* cut in good order, or the id is known now */
    if (answer->loss == LOST_NOTHING) /* a proxy whose server is being started has no code */
        return s->last[0] && answer->head.status >= 502 && err->field[0] == '\0' &&
               err->code == ERR_PEER;
    return !first || answer->loss == LOST_MIDWAY;
}

/* rc: of the last connection; gone: its server knows of no such execution. */
static int
give_up(const struct stream *s, int rc, bool gone, struct err *err)
{
    struct err why = *err;

    if (rc == 0)
        err_set(&why, ERR_PEER, "The connection was lost before the code ended");
    if (s->id == NULL || gone || why.code == ERR_NONE)
        *err = why;
    else
        err_field(err, why.code == ERR_TIMEOUT ? ERR_PEER : why.code, why.field,
                  "%s; the execution %s may still run", why.msg, s->id);
    return -1;
}

/* 0: once more. */
static int
wait_for_next(struct stream *s, struct retry *retry, int rc, struct err *err)
{
    switch (retry_wait(retry)) {
    case RETRY_GIVEN_UP:
        return give_up(s, rc, false, err);
    case RETRY_INTERRUPTED:
        if (s->ops->on_interrupt(s->owner) < 0)
            return err_set(err, ERR_NONE, "interrupted");
        break;
    case RETRY_NOW:
        break;
    }
    if (retry_is_long(retry))
        s->ops->on_trouble(s->owner, "the connection was lost; trying again");
    return 0;
}

int
stream_run(struct stream *s, struct err *err)
{
    struct retry retry;

    retry_begin(&retry);
    for (bool first = true;; first = false) {
        struct client_answer answer;
        const int rc = connect_once(s, &answer, err);

        if (s->ended)
            return 0;
        if (!may_go_on(s, rc, &answer, err, first))
            return give_up(s, rc, answer.head.status == 404, err);
        if (s->moved)
            retry_moved(&retry);
        if (wait_for_next(s, &retry, rc, err) < 0)
            return -1;
    }
}

/* --- the interface ------------------------------------------------------------------------ */

struct stream *
stream_new(struct client *client, const char *path, json_t *body, const struct stream_ops *o,
           void *owner)
{
    struct stream *s = xcalloc(1, sizeof(*s));

    client_draw_key(s->key);
    json_object_set_new(body, "stream", json_true());
    json_object_set_new(body, "background", json_true());
    s->client = client;
    s->path = path;
    s->body = body;
    s->ops = o;
    s->owner = owner;
    return s;
}

void
stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    json_decref(s->body);
    free(s->id);
    free(s);
}

const char *
stream_id(const struct stream *s)
{
    return s->id;
}

/* The way to it, and what it was asked with, may both be slow; a Ctrl-C that was meant for the code is still on its way. */
static int
on_impatience(void *owner)
{
    unsigned *left = owner;

    if (*left == 0)
        return -1;
    --*left;
    return 0;
}

/* One that waits for its turn has not told its id.  Nothing is begun by the question.  False: nobody can tell. */
static bool
learn_id(struct stream *s, const struct client_ops *patient, unsigned *left)
{
    cleanup_free char *path = xasprintf("%s?idempotency_key=%s", s->path, strchr(s->key, ' ') + 1);
    const struct client_request r = {.method = "GET", .path = path, .ops = patient, .owner = left};
    struct client_answer answer;
    struct err err = ERR_INIT;
    const int rc = client_perform(s->client, &r, &answer, &err);

    if (rc == 0)
        take_id(s, json_array_get(json_object_get(answer.json, "executions"), 0));
    json_decref(answer.json);
    return rc == 0 || answer.head.status == 404;
}

bool
stream_cancel(struct stream *s)
{
    const struct client_ops patient = {.on_interrupt = on_impatience};
    struct client_answer answer;
    struct err err = ERR_INIT;
    unsigned left = 1;

    if (!s->asked || s->ended)
        return true;
    if (s->id == NULL && !learn_id(s, &patient, &left))
        return false;
    if (s->id == NULL)
        return true;
    cleanup_free char *path = xasprintf("%s/%s", s->path, s->id);
    const struct client_request r = {
        .method = "DELETE", .path = path, .ops = &patient, .owner = &left};
    const int rc = client_perform(s->client, &r, &answer, &err);

    json_decref(answer.json);
    return rc == 0 || answer.head.status == 404 || answer.head.status == 409; /* it has ended */
}
