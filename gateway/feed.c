/* feed.c - see feed.h. */
#include "feed.h"

#include <stdio.h>
#include <utlist.h>

#include "clock.h"
#include "eventlog.h"
#include "sse.h"

struct follower {
    struct feed *feed;
    struct sse *sse;
    uint64_t sent; /* the id that was last given to the connection */
    struct follower *prev, *next;
};

struct feed {
    struct event_base *base;
    size_t max_bytes;
    struct eventlog *log;
    struct follower *followers;
    unsigned n_followers;
    bool ended, paused;
    bool held;          /* for a follower who may come back */
    uint64_t held_from; /* what he had got */
    struct event *hold;
    const struct feed_ops *ops;
    void *owner;
};

static void pump(struct follower *);

/* --- how fast ----------------------------------------------------------------------------- */

/* What the slowest has got. */
static uint64_t
slowest(const struct feed *f)
{
    uint64_t id = f->held ? f->held_from : UINT64_MAX;
    const struct follower *o;

    DL_FOREACH (f->followers, o)
        if (o->sent < id)
            id = o->sent;
    return id;
}

static void
set_paused(struct feed *f, bool paused)
{
    if (f->paused == paused)
        return;
    f->paused = paused;
    f->ops->on_pressure(f->owner, paused);
}

/* Drops what may be dropped, and looks at how much is left. */
static void
settle(struct feed *f)
{
    const uint64_t got = slowest(f);
    const size_t behind = eventlog_bytes_after(f->log, got);

    eventlog_trim(f->log, got);
    if (behind > f->max_bytes / 2)
        set_paused(f, !f->ended);
    else if (behind <= f->max_bytes / 4)
        set_paused(f, false);
}

static void
on_hold_over(evutil_socket_t fd, short what, void *arg)
{
    struct feed *f = arg;

    (void)fd, (void)what;
    f->held = false;
    settle(f);
}

/* --- those who follow --------------------------------------------------------------------- */

static void
leave(struct follower *o)
{
    DL_DELETE(o->feed->followers, o);
    o->feed->n_followers--;
    free(o);
}

/* He may come back, and is waited for: the one who had got least. */
static void
hold_for(struct feed *f, uint64_t got)
{
    if (f->ended)
        return;
    f->held_from = f->held && f->held_from < got ? f->held_from : got;
    f->held = true;
    clock_arm(f->hold, FEED_RESUME_MS);
}

static void
on_gone(void *owner)
{
    struct follower *o = owner;
    struct feed *f = o->feed;

    hold_for(f, o->sent);
    leave(o);
    settle(f);
    if (f->n_followers == 0 && !f->ended)
        f->ops->on_alone(f->owner);
}

static void
on_drained(void *owner)
{
    struct follower *o = owner;
    struct feed *f = o->feed;

    pump(o);
    settle(f);
}

static const struct http_stream_ops stream_ops = {on_drained, on_gone};

/* Gives the connection what it takes; with all of it, and none to come, that is the end of the answer. */
static void
pump(struct follower *o)
{
    const struct feed *f = o->feed;
    struct eventlog_entry e;

    while (sse_unsent(o->sse) < FEED_HIGH_WATER && eventlog_get(f->log, o->sent + 1, &e) == 0) {
        sse_send(o->sse, e.id, e.name, e.data, e.len);
        o->sent = e.id;
    }
    if (!f->ended || o->sent < eventlog_last(f->log))
        return;
    sse_end(o->sse);
    leave(o);
}

static void
pump_all(struct feed *f)
{
    struct follower *o, *next;

    DL_FOREACH_SAFE (f->followers, o, next)
        pump(o);
}

/* --- what comes --------------------------------------------------------------------------- */

struct feed *
feed_new(struct event_base *base, size_t max_bytes, const struct feed_ops *ops, void *owner)
{
    struct feed *f = xcalloc(1, sizeof(*f));

    f->base = base;
    f->max_bytes = max_bytes;
    f->log = eventlog_new(max_bytes);
    f->hold = xnotnull(evtimer_new(base, on_hold_over, f));
    f->ops = ops;
    f->owner = owner;
    return f;
}

void
feed_free(struct feed *f)
{
    struct follower *o, *next;

    if (f == NULL)
        return;
    DL_FOREACH_SAFE (f->followers, o, next) {
        sse_abort(o->sse);
        leave(o);
    }
    event_free(f->hold);
    eventlog_free(f->log);
    free(f);
}

void
feed_add(struct feed *f, const char *name, json_t *data)
{
    char *text = xnotnull(json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(17)));

    json_decref(data);
    eventlog_add(f->log, name, text, strlen(text));
    pump_all(f);
    settle(f);
}

void
feed_end(struct feed *f)
{
    struct follower *o;

    f->ended = true;
    f->held = false;
    event_del(f->hold);
    DL_FOREACH (f->followers, o)
        sse_hasten(o->sse, eventlog_bytes_after(f->log, o->sent) + sse_unsent(o->sse));
    pump_all(f);
    settle(f);
}

static int
refuse(const struct feed *f, uint64_t after, struct err *err)
{
    if (f->n_followers == FEED_MAX_FOLLOWERS)
        return err_set(err, ERR_BUSY, "%u clients follow this execution already", f->n_followers);
    if (after + 1 >= eventlog_first(f->log) && after <= eventlog_last(f->log))
        return 0;
    if (after > eventlog_last(f->log))
        return err_set(err, ERR_BAD_REQUEST,
                       "Last-Event-ID: %llu is not there yet, the last is %llu",
                       (unsigned long long)after, (unsigned long long)eventlog_last(f->log));
    return err_set(err, ERR_CONFLICT,
                   "The events after %llu are not kept any more, only those from %llu on",
                   (unsigned long long)after, (unsigned long long)eventlog_first(f->log));
}

static void
begin(struct follower *o)
{
    struct feed *f = o->feed;

    f->held = false;
    event_del(f->hold);
    if (f->ended)
        sse_hasten(o->sse, eventlog_bytes_after(f->log, o->sent));
    pump(o);
    settle(f);
}

int
feed_follow(struct feed *f, struct http_request *r, uint64_t after, struct err *err)
{
    struct follower *o;

    if (refuse(f, after, err) < 0)
        return -1;
    o = xcalloc(1, sizeof(*o));
    o->feed = f;
    o->sent = after;
    DL_APPEND(f->followers, o);
    f->n_followers++;
    o->sse = sse_start(f->base, r, &stream_ops, o);
    if (sse_has_body(o->sse)) {
        begin(o);
    } else {
        sse_end(o->sse);
        leave(o);
    }
    return 0;
}

bool
feed_is_paused(const struct feed *f)
{
    return f->paused;
}

bool
feed_is_full(const struct feed *f)
{
    return eventlog_bytes_after(f->log, slowest(f)) > f->max_bytes;
}

size_t
feed_bytes(const struct feed *f)
{
    return eventlog_bytes(f->log);
}

bool
feed_is_followed(const struct feed *f)
{
    return f->n_followers > 0;
}
