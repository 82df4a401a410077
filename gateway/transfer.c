/* transfer.c - see transfer.h. */
#include "transfer.h"

#include <stdint.h>
#include <string.h>
#include <utlist.h>

#include "clock.h"
#include "link.h"
#include "metrics.h"
#include "reader.h"
#include "worker/bigendian.h"
#include "worker/protocol.h"

enum {
    STALL_MS = 60000, /* without a sign of an operation that could go on */
    LEN_SIZE = 4,
    GRANT_AT = TCI_FILES_WINDOW / 4,
};

struct transfer {
    struct transfers *all;
    uint32_t id;
    const struct transfer_ops *ops;
    void *owner;
    bool events;
    size_t room;        /* bytes that may be sent */
    size_t outstanding; /* bytes that the worker may send */
    size_t taken;       /* bytes that have been done with, and not been granted yet */
    bool finished;      /* nothing more is sent */
    bool replied;       /* the reply, the one before events included, is here */
    char *reply;        /* the part of it that is here, with its length; NULL: nothing */
    size_t reply_len, reply_size;
    struct event *stall;
    struct transfer *prev, *next;
};

struct transfers {
    struct event_base *base;
    struct link_peer *peer;
    struct transfer *list;
    unsigned n;
    uint32_t next_id;
    struct transfer *current; /* what a message is about; NULL: it has ended meanwhile */
};

/* Verb, id, and a frame if there is one. */
static int
say(const struct transfer *t, enum tci_verb verb, const void *data, size_t len, bool has_data,
    struct err *err)
{
    uint8_t id[TCI_FILES_ID_SIZE];
    const struct wire_frame frames[2] = {{id, sizeof(id)}, {data, len}};

    bigendian_put32(id, t->id);
    return link_send(t->all->peer, (char)verb, frames, has_data ? 2 : 1, err);
}

static void
transfer_free(struct transfer *t)
{
    DL_DELETE(t->all->list, t);
    t->all->n--;
    if (t->all->current == t)
        t->all->current = NULL;
    event_free(t->stall);
    free(t->reply);
    free(t);
}

static void
end(struct transfer *t, const struct err *why)
{
    const struct transfer_ops *ops = t->ops;
    void *owner = t->owner;

    transfer_free(t);
    ops->on_end(owner, why);
}

void
transfer_abort(struct transfer *t)
{
    struct err err = ERR_INIT;

    if (t == NULL)
        return;
    (void)!say(t, TCI_ABORT, NULL, 0, false, &err); /* a worker that is not there has aborted all */
    transfer_free(t);
}

static void
end_badly(struct transfer *t, enum err_code code, const char *message)
{
    const struct transfer_ops *ops = t->ops;
    void *owner = t->owner;
    struct err why = ERR_INIT;

    err_set(&why, code, "%s", message);
    transfer_abort(t);
    ops->on_end(owner, &why);
}

/* A client may be slow in sending and in taking, for which there are other clocks. */
static bool
is_the_workers_turn(const struct transfer *t)
{
    return !(t->events && t->replied) && t->outstanding > 0 && (t->finished || t->room == 0);
}

static void
on_stall(evutil_socket_t fd, short what, void *arg)
{
    struct transfer *t = arg;

    (void)fd, (void)what;
    if (is_the_workers_turn(t))
        end_badly(t, ERR_TIMEOUT, "The file operation came to a standstill and was ended");
    else
        clock_arm(t->stall, STALL_MS);
}

struct transfers *
transfers_new(struct event_base *base, struct link_peer *peer)
{
    struct transfers *all = xcalloc(1, sizeof(*all));

    all->base = base;
    all->peer = peer;
    return all;
}

void
transfers_free(struct transfers *all, const struct err *why)
{
    if (all == NULL)
        return;
    while (all->list)
        end(all->list, why);
    free(all);
}

static struct transfer *
find(const struct transfers *all, uint32_t id)
{
    struct transfer *t;

    DL_FOREACH (all->list, t)
        if (t->id == id)
            return t;
    return NULL;
}

static struct transfer *
transfer_new(struct transfers *all, const struct transfer_ops *ops, void *owner, bool events)
{
    struct transfer *t = xcalloc(1, sizeof(*t));

    do
        t->id = all->next_id++;
    while (find(all, t->id));
    t->all = all;
    t->ops = ops;
    t->owner = owner;
    t->events = events;
    t->room = t->outstanding = TCI_FILES_WINDOW;
    t->stall = xnotnull(evtimer_new(all->base, on_stall, t));
    clock_arm(t->stall, STALL_MS);
    DL_APPEND(all->list, t);
    all->n++;
    return t;
}

struct transfer *
transfer_start(struct transfers *all, const struct transfer_spec *spec,
               const struct transfer_ops *ops, void *owner, struct err *err)
{
    cleanup_free char *text = xnotnull(json_dumps(spec->request, JSON_COMPACT));
    struct transfer *t;

    json_decref(spec->request);
    if (strlen(text) > TCI_FILES_MAX_REQUEST) {
        err_set(err, ERR_TOO_LARGE, "The request about files is too long");
        return NULL;
    }
    if (all->n >= TCI_FILES_MAX) {
        err_set(err, ERR_BUSY, "%d file operations of this session run already", TCI_FILES_MAX);
        return NULL;
    }
    t = transfer_new(all, ops, owner, spec->events);
    if (say(t, TCI_FILES, text, strlen(text), true, err) == 0)
        return t;
    transfer_free(t);
    return NULL;
}

/* --- what goes ---------------------------------------------------------------------------- */

size_t
transfer_room(const struct transfer *t)
{
    return t->finished ? 0 : t->room;
}

int
transfer_send(struct transfer *t, const void *data, size_t len, struct err *err)
{
    const char *p = data;

    while (len > 0) {
        const size_t n = len < TCI_FILES_CHUNK ? len : TCI_FILES_CHUNK;

        if (say(t, TCI_DATA, p, n, true, err) < 0)
            return -1;
        t->room -= n < t->room ? n : t->room;
        p += n;
        len -= n;
    }
    return 0;
}

void
transfer_finish(struct transfer *t)
{
    struct err err = ERR_INIT;

    if (t->finished)
        return;
    t->finished = true;
    clock_arm(t->stall, STALL_MS);
    (void)!say(t, TCI_DATA, "", 0, true, &err); /* without a link the worker is lost anyway */
}

void
transfer_taken(struct transfer *t, size_t len)
{
    struct err err = ERR_INIT;
    uint8_t number[4];

    t->taken += len;
    if (t->taken < GRANT_AT)
        return;
    bigendian_put32(number, (uint32_t)t->taken);
    t->outstanding += t->taken;
    t->taken = 0;
    (void)!say(t, TCI_GRANT, number, sizeof(number), true, &err);
}

/* --- what comes --------------------------------------------------------------------------- */

/* False: the transfer is no more. */
static bool
deliver_reply(struct transfer *t)
{
    struct transfers *all = t->all;
    struct err err = ERR_INIT;
    json_auto_t *reply =
        reader_object(t->reply + LEN_SIZE, t->reply_len - LEN_SIZE, "a reply about files", &err);

    if (reply == NULL) {
        metrics_add(METRIC_LINK_DROPPED, 1);
        end_badly(t, ERR_WORKER_DIED, "The file operation answered what is no reply");
        return false;
    }
    t->replied = true;
    free(t->reply);
    t->reply = NULL;
    t->reply_len = t->reply_size = 0;
    t->ops->on_reply(t->owner, reply);
    return all->current != NULL;
}

static void
keep(struct transfer *t, const char *data, size_t len)
{
    if (t->reply_len + len > t->reply_size) {
        t->reply_size =
            2 * t->reply_size > t->reply_len + len ? 2 * t->reply_size : t->reply_len + len;
        t->reply = xrealloc(t->reply, t->reply_size);
    }
    if (len > 0)
        memcpy((char *)xnotnull(t->reply) + t->reply_len, data, len);
    t->reply_len += len;
}

/* Bytes of a reply that are still to come: first of its length, then of the rest.  -1: it is too long. */
static long
missing(const struct transfer *t)
{
    uint32_t len;

    if (t->reply_len < LEN_SIZE)
        return LEN_SIZE - (long)t->reply_len;
    len = bigendian_get32(t->reply);
    if (len > TCI_FILES_MAX_REPLY)
        return -1;
    return (long)(LEN_SIZE + len) - (long)t->reply_len;
}

/* Returns how many bytes were the reply's; *alive is whether the transfer still is. */
static size_t
take_reply(struct transfer *t, const char *data, size_t len, bool *alive)
{
    size_t used = 0;

    while (*alive && used < len && (!t->replied || t->events)) {
        const long wanted = missing(t);
        const size_t n = wanted < 0 || (size_t)wanted < len - used ? (size_t)wanted : len - used;

        if (wanted < 0) {
            end_badly(t, ERR_WORKER_DIED, "The file operation answered too much");
            *alive = false;
            return used;
        }
        keep(t, data + used, n);
        used += n;
        if (t->reply_len >= LEN_SIZE && missing(t) == 0)
            *alive = deliver_reply(t);
    }
    return used;
}

static void
on_data(struct transfer *t, const char *data, size_t len)
{
    bool alive = true;
    size_t used;

    if (len > t->outstanding) {
        end_badly(t, ERR_WORKER_DIED, "The file operation answered more than it may");
        return;
    }
    t->outstanding -= len;
    clock_arm(t->stall, STALL_MS);
    used = take_reply(t, data, len, &alive);
    if (!alive)
        return;
    transfer_taken(t, used);
    if (used < len && t->ops->on_data)
        t->ops->on_data(t->owner, data + used, len - used);
    else
        transfer_taken(t, len - used);
}

static void
on_grant(struct transfer *t, uint32_t n)
{
    const size_t most = TCI_FILES_WINDOW + TCI_FILES_MAX_REQUEST + LEN_SIZE;

    t->room = n < most - t->room ? t->room + n : most;
    if (t->room > TCI_FILES_WINDOW)
        t->room = TCI_FILES_WINDOW;
    clock_arm(t->stall, STALL_MS);
    if (t->ops->on_room && !t->finished)
        t->ops->on_room(t->owner);
}

static void
on_ended(struct transfer *t, const char *text, size_t len)
{
    struct err why = ERR_INIT;

    if (len > 0 || !t->replied)
        err_set(&why, ERR_WORKER_DIED, "The file operation failed: %.*s",
                len > 0 ? (int)(len < 200 ? len : 200) : 19,
                len > 0 ? text : "it answered nothing");
    end(t, why.code == ERR_NONE ? NULL : &why);
}

bool
transfers_on_link(struct transfers *all, char verb, const struct wire_frame *f, size_t n)
{
    struct transfer *t;

    if (n != 2 || f[0].len != TCI_FILES_ID_SIZE || (verb == TCI_GRANT && f[1].len != 4))
        return false;
    t = all->current = find(all, bigendian_get32(f[0].data));
    if (t == NULL)
        return true; /* it has been aborted */
    if (verb == TCI_DATA)
        on_data(t, f[1].data, f[1].len);
    else if (verb == TCI_GRANT)
        on_grant(t, bigendian_get32(f[1].data));
    else
        on_ended(t, f[1].data, f[1].len);
    return true;
}

/* --- errors ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum err_code code;
} codes[] = {
    {"conflict", ERR_CONFLICT},         {"failed", ERR_SYSTEM},
    {"forbidden", ERR_FORBIDDEN},       {"invalid", ERR_BAD_REQUEST},
    {"no_space", ERR_NO_SPACE},         {"not_found", ERR_NOT_FOUND},
    {"precondition", ERR_PRECONDITION}, {"range", ERR_RANGE},
    {"unsupported", ERR_UNSUPPORTED},
};

bool
transfer_error(const json_t *reply, struct err *err)
{
    const json_t *error = json_object_get(reply, "error");
    const char *name = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    enum err_code code = ERR_WORKER_DIED;

    if (error == NULL)
        return false;
    for (size_t i = 0; name && i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].name, name) == 0)
            code = codes[i].code;
    err_set(err, code, "%s", message && message[0] ? message : "The file operation failed");
    return true;
}
