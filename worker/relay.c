/*
 * relay.c - see relay.h.
 *
 * Order.  What a cell wrote to descriptor 1 or 2 must reach the gateway before the cell's reply and idle status.  It
 * was in the pipe before the kernel sent those; so once a message is known to be waiting on a channel,
 * reading the pipes dry and only then taking the message is enough.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "jupyter.h"

enum {
    CHUNK = 64 << 10,    /* of one OUTPUT; a pipe's capacity */
    PIPE_CHUNKS = 16,    /* of one turn: a pipe can be made 1 MiB large, and no more was in it */
    CHANNEL_BUDGET = 64, /* messages of one channel in one turn */
    /* RELAY puts verb and channel in front, and the ROUTER a routing id. */
    MAX_JUPYTER_FRAMES = TCI_MAX_FRAMES - 3,
};

void
relay_open(struct relay *r, void *context, struct uplink *uplink, const struct spawned *spawned)
{
    memset(r, 0, sizeof(*r));
    r->uplink = uplink;
    memcpy(r->pipes, spawned->pipes, sizeof(r->pipes));
    limits_init(&r->limits, clock_ms());
    channels_open(context, r->channels);
}

static void
close_pipe(int *fd)
{
    if (*fd > 0)
        close(*fd);
    *fd = -1;
}

void
relay_close(struct relay *r)
{
    channels_close(r->channels);
    for (int i = 0; i < SPAWN_PIPES; i++)
        close_pipe(&r->pipes[i]);
}

void
relay_unblock(struct relay *r)
{
    r->blocked = false;
}

static struct channel *
find_channel(struct relay *r, enum tci_channel name)
{
    struct channel *c = r->channels;

    while (c->name != name) /* request_parse lets only channels of ours through */
        c++;
    return c;
}

void
relay_request(struct relay *r, const struct request *request, struct message *m)
{
    if (request->verb == TCI_EXECUTE) {
        limits_execute(&r->limits, request->max_bytes, request->max_messages, clock_ms());
        r->owes_truncated = false;
    } else {
        limits_request(&r->limits);
    }
    /* A kernel that does not read for so long is for the gateway's time limit to deal with. */
    if (message_send(find_channel(r, request->channel)->socket, m, request->first) < 0)
        note("channel '%c' of the kernel takes no more messages", request->channel);
}

/*
 * Whether to go on: without a link, because there is nothing to wait for; with one, if it takes a message.
 * Pays what is owed first.
 */
static bool
may_proceed(struct relay *r)
{
    if (!uplink_is_up(r->uplink)) {
        r->owes_truncated = false; /* whoever comes next has not asked for what was cut */
        return true;
    }
    if (r->owes_truncated && uplink_is_writable(r->uplink)) {
        uplink_send(r->uplink, TCI_TRUNCATED, NULL, 0);
        r->owes_truncated = false;
    }
    r->blocked = uplink_is_up(r->uplink) && !uplink_is_writable(r->uplink);
    return !r->blocked;
}

/* True if it may pass. */
static bool
obey(struct relay *r, enum limits_verdict verdict, const char *give_up)
{
    if (verdict == LIMITS_GIVE_UP)
        r->give_up = give_up;
    if (verdict == LIMITS_TRUNCATE)
        r->owes_truncated = true;
    return verdict == LIMITS_PASS;
}

static void
send_output(struct relay *r, int which, const void *data, size_t len)
{
    const char fd = (char)('1' + which);
    const struct frame frames[] = {{&fd, 1}, {data, len}};

    if (len > 0 && obey(r, limits_output(&r->limits, len), NULL))
        uplink_send(r->uplink, TCI_OUTPUT, frames, 2);
}

/* The part that is within the limit is worth having: it may be the beginning of a message that explains the rest. */
static void
pass_output(struct relay *r, int which, const char *data, size_t len)
{
    const uint64_t room = limits_room(&r->limits);
    const size_t part = len < room ? len : (size_t)room;

    if (!uplink_is_up(r->uplink))
        return;
    send_output(r, which, data, part);
    if (part < len)
        (void)obey(r, limits_output(&r->limits, len - part),
                   NULL); /* never passes: there is no room left */
}

static bool
read_chunk(struct relay *r, int which)
{
    static char chunk[CHUNK];
    const ssize_t n = read(r->pipes[which], chunk, sizeof(chunk));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_pipe(&r->pipes[which]); /* no writer is left, and none can come */
    if (n > 0)
        pass_output(r, which, chunk, (size_t)n);
    return n > 0;
}

bool
relay_pipe(struct relay *r, int which)
{
    bool any = false;

    for (int i = 0; i < PIPE_CHUNKS && r->pipes[which] >= 0 && may_proceed(r); i++) {
        if (!read_chunk(r, which))
            break;
        any = true;
    }
    return any;
}

static enum limits_verdict
judge(struct relay *r, const struct channel *c, const struct frame *frames, size_t n)
{
    const int64_t now = clock_ms();
    size_t size = 0;

    if (c->name == TCI_IOPUB && jupyter_is_status(frames, n))
        return limits_status(&r->limits, now);
    for (size_t i = 0; i < n; i++)
        size += frames[i].len;
    return c->name == TCI_IOPUB ? limits_output(&r->limits, size)
                                : limits_reply(&r->limits, size, now);
}

static void
pass_message(struct relay *r, struct channel *c, struct message *m)
{
    struct frame frames[TCI_MAX_FRAMES];
    int begin;

    message_view(m, frames);
    begin = jupyter_begin(frames, m->n);
    if (begin < 0 || m->n - (size_t)begin > MAX_JUPYTER_FRAMES) {
        note("dropped a message of %zu frames that came on channel '%c', number %lu", m->n, c->name,
             ++r->n_bad);
        return;
    }
    if (uplink_is_up(r->uplink) &&
        obey(r, judge(r, c, frames + begin, m->n - (size_t)begin),
             c->name == TCI_IOPUB ? "the kernel sent status messages without end"
                                  : "the kernel sent too many or too large replies"))
        uplink_relay(r->uplink, c->name, m, (size_t)begin);
}

static bool
is_readable(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* False when the link has stopped taking messages, with the message still in its channel. */
static bool
drain_pipes(struct relay *r)
{
    for (int i = 0; i < SPAWN_PIPES; i++)
        (void)relay_pipe(r, i);
    return may_proceed(r);
}

bool
relay_channel(struct relay *r, struct channel *c)
{
    bool any = false;

    for (int i = 0; i < CHANNEL_BUDGET && !r->give_up && is_readable(c->socket); i++) {
        struct message m;
        int rc;

        if ((c->name == TCI_SHELL || c->name == TCI_IOPUB) ? !drain_pipes(r) : !may_proceed(r))
            return any;
        rc = message_recv(c->socket, &m);
        if (rc == 0)
            return any;
        any = true;
        if (rc < 0) {
            note("dropped a message of too many frames on channel '%c', number %lu", c->name,
                 ++r->n_bad);
            continue;
        }
        pass_message(r, c, &m);
        message_clear(&m);
    }
    return any;
}
