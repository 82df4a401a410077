/*
 * relay.c - see relay.h.
 *
 * Order.  What a cell wrote to descriptor 1 or 2 must reach the gateway before the cell's reply and
 * idle status.  It was in the pipe before the kernel sent those; so carrying what is in the pipes
 * between taking a message from its channel and passing it on is enough.
 */
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "disk.h"
#include "jupyter.h"

enum {
    CHANNEL_BUDGET = 64, /* messages of one channel in one turn */
    HOLD_MS = 20,        /* by so much a reply may be late whose idle status was lost */
    GATHER_MS = 2,       /* by so much output may be late, for what comes right after it */
    HURRY_MS = 2000,
    LOOKS = 4, /* at the files, after one execution */
    /* RELAY puts n and channel in front of each message. */
    MAX_JUPYTER_FRAMES = TCI_MAX_RELAY_FRAMES / 2 - 2,
};

void
relay_open(struct relay *r, struct uplink *uplink, const struct spawned *spawned, bool flow_control)
{
    memset(r, 0, sizeof(*r));
    r->uplink = uplink;
    r->flow_control = flow_control;
    memcpy(r->pipes, spawned->pipes, sizeof(r->pipes));
    limits_init(&r->limits, clock_ms());
    tail_reset(&r->tail, 0, 0);
    r->changes = changes_new(TCI_PATH_WORKSPACE);
    channels_open(r->channels);
}

static void
close_pipe(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void
relay_close(struct relay *r)
{
    message_clear(&r->received);
    message_clear(&r->batch);
    tail_reset(&r->tail, 0, 0);
    changes_free(r->changes);
    r->changes = NULL;
    channels_close(r->channels);
    for (int i = 0; i < SPAWN_PIPES; i++)
        close_pipe(&r->pipes[i]);
}

static struct channel *
find_channel(struct relay *r, enum tci_channel name)
{
    struct channel *c = r->channels;

    while (c->name != name) /* request_parse lets only channels of ours through */
        c++;
    return c;
}

/* A quarter of what is allowed is the tail's, if that is not too much to keep. */
static void
grant(struct relay *r, const struct request *request)
{
    tail_reset(&r->tail,
               request->max_bytes / 4 < TAIL_MAX_BYTES ? request->max_bytes / 4 : TAIL_MAX_BYTES,
               request->max_messages / 4);
    r->tail_due = r->changes_due = r->changes_told = false;
    r->looks = request->watch ? LOOKS : 0;
    r->hurry_until_ms = 0;
    limits_execute(&r->limits, request->max_bytes - r->tail.max_bytes,
                   request->max_messages - r->tail.max_items, clock_ms());
    r->limits.message_bytes = request->max_message;
}

void
relay_request(struct relay *r, const struct request *request, struct message *m)
{
    struct channel *c = find_channel(r, request->channel);

    if (request->verb == TCI_EXECUTE)
        grant(r, request);
    else
        limits_request(&r->limits);
    if (request->channel == TCI_CONTROL)
        relay_hurry(r); /* an interrupt, most likely */
    if (r->looks > 0 && request->verb == TCI_EXECUTE)
        changes_begin(r->changes);
    /* A kernel that does not read for so long is for the gateway's time limit to deal with. */
    if (channel_send(c, m, request->first) < 0)
        note("channel '%c' of the kernel takes no more messages", request->channel);
    r->executing |= request->verb == TCI_EXECUTE;
    c->held_ms = request->verb == TCI_EXECUTE ? clock_ms() + HOLD_MS : 0;
}

/* --- to the gateway ----------------------------------------------------------------------- */

static void
send_chunk(struct relay *r, int which, size_t len)
{
    const char fd = (char)('1' + which);
    const struct frame frames[] = {{&fd, 1}, {r->chunk, len}};

    uplink_send(r->uplink, TCI_OUTPUT, frames, 2);
}

static void
send_tail(struct relay *r)
{
    if (r->tail.dropped)
        uplink_send(r->uplink, TCI_TRUNCATED, NULL, 0);
    r->tail.dropped = false;
    tail_send(&r->tail, r->uplink);
    r->tail_due = false;
}

static void
send_changes(struct relay *r)
{
    uplink_send(r->uplink, TCI_CHANGES, r->changes_frames, 2);
    disk_tell(r->uplink);
    r->changes_told = true;
    r->changes_due = false;
}

/* Sends the messages that were read, and what goes before them. */
static void
settle(struct relay *r)
{
    if (r->tail_due)
        send_tail(r);
    if (r->changes_due)
        send_changes(r);
    if (r->batch.n > 0)
        uplink_relay(r->uplink, &r->batch);
    message_clear(&r->batch);
}

/* --- what is left unread ------------------------------------------------------------------ */

static bool
is_paused(const struct relay *r)
{
    const int64_t now = r->limits.resume_ms == 0 ? 0 : clock_ms();

    return now < r->limits.resume_ms && now >= r->hurry_until_ms;
}

static bool
is_output_left(const struct relay *r)
{
    return is_paused(r) || uplink_is_late(r->uplink);
}

static bool
is_left(const struct relay *r, const struct channel *c)
{
    return uplink_is_full(r->uplink) ||
           (c->name == TCI_IOPUB && r->flow_control && is_output_left(r));
}

void
relay_hurry(struct relay *r)
{
    r->hurry_until_ms = clock_ms() + HURRY_MS;
}

bool
relay_hears(const struct relay *r, const struct channel *c)
{
    return c->held_ms == 0 && !is_left(r, c);
}

bool
relay_hears_pipes(const struct relay *r)
{
    return !uplink_is_full(r->uplink) && !is_output_left(r);
}

bool
relay_is_held_up(const struct relay *r)
{
    return uplink_is_full(r->uplink) || uplink_is_late(r->uplink);
}

bool
relay_is_pending(const struct relay *r)
{
    bool pending = false;

    for (int i = 0; i < CHANNELS_COUNT; i++)
        pending |= r->channels[i].pending && !is_left(r, &r->channels[i]);
    return pending;
}

/* --- from the pipes ----------------------------------------------------------------------- */

/* The part of the chunk that is within the limit goes over the link, the rest into the tail. */
static void
pass_chunk(struct relay *r, int which, size_t len)
{
    const uint64_t room = limits_room(&r->limits);
    const size_t part = len < room ? len : (size_t)room;
    bool passes;

    if (!uplink_is_up(r->uplink))
        return;
    passes = part > 0 && limits_output(&r->limits, part, clock_ms()) == LIMITS_PASS;
    if (part < len && limits_output(&r->limits, len - part, clock_ms()) == LIMITS_TAIL)
        tail_add_bytes(&r->tail, (char)('1' + which), r->chunk + part, len - part);
    settle(r);
    if (passes)
        send_chunk(r, which, part);
}

static ssize_t
carry_chunk(struct relay *r, int which)
{
    const ssize_t n = read(r->pipes[which], r->chunk, sizeof(r->chunk));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_pipe(&r->pipes[which]); /* no writer is left, and none can come */
    if (n > 0)
        pass_chunk(r, which, (size_t)n);
    return n;
}

bool
relay_pipe(struct relay *r, int which)
{
    return relay_hears_pipes(r) && r->pipes[which] >= 0 && carry_chunk(r, which) > 0;
}

/*
 * Carries what is in the pipe now, for the message that waits comes after it.  Whoever goes on
 * writing does not hold that up.
 */
static void
drain_pipe(struct relay *r, int which)
{
    int left = 0;

    if (r->pipes[which] >= 0 && ioctl(r->pipes[which], FIONREAD, &left) < 0)
        left = 0;
    while (left > 0) {
        const ssize_t n = carry_chunk(r, which);

        if (n <= 0)
            return;
        left -= (int)n;
    }
}

/* --- from the channels -------------------------------------------------------------------- */

static size_t
size_of(const struct frame *frames, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += frames[i].len;
    return size;
}

static void
note_idle(struct relay *r)
{
    r->executing = false;
    r->tail_due = r->tail.n > 0 || r->tail.dropped;
    if (r->looks == 0)
        return;
    r->looks--;
    r->changes_due = changes_end(r->changes, r->changes_frames) || r->changes_told;
}

static enum limits_verdict
judge_message(struct relay *r, const struct channel *c, const struct frame *frames, size_t n)
{
    const int64_t now = clock_ms();

    if (c->name != TCI_IOPUB)
        return limits_reply(&r->limits, size_of(frames, n), now);
    if (!jupyter_is_status(frames, n))
        return limits_output(&r->limits, size_of(frames, n), now);
    if (jupyter_says_idle(frames, n))
        note_idle(r);
    return limits_status(&r->limits, now);
}

static void
give_up(struct relay *r, const struct channel *c)
{
    r->give_up = c->name == TCI_IOPUB ? "the kernel sent status messages without end"
                                      : "the kernel sent too many or too large replies";
}

/* Moves the frames of the message that was received, from its delimiter on, to the end of what goes over the link. */
static void
append_received(struct relay *r, const struct channel *c, size_t begin, struct message *to)
{
    message_append_byte(to, (uint8_t)(r->received.n - begin));
    message_append_byte(to, (uint8_t)c->name);
    message_append(to, &r->received, begin);
}

/* What was received, with its delimiter at begin, goes where the limits say. */
static void
sort(struct relay *r, const struct channel *c, const struct frame *frames, size_t begin)
{
    const size_t n = r->received.n - begin, size = size_of(frames + begin, n);
    struct message late = {.n = 0};

    switch (judge_message(r, c, frames + begin, n)) {
    case LIMITS_PASS:
        append_received(r, c, begin, &r->batch);
        break;
    case LIMITS_TAIL:
        append_received(r, c, begin, &late);
        tail_widen(&r->tail, limits_take_rest(&r->limits));
        tail_add_message(&r->tail, &late, size);
        break;
    case LIMITS_GIVE_UP:
        give_up(r, c);
        break;
    }
}

/* Reads the channel's next message; 0 when there is none. */
static int
receive(struct relay *r, struct channel *c)
{
    const int rc = channel_recv(c, &r->received);

    if (rc < 0)
        note("dropped bad message %lu: too many frames on channel '%c'", ++r->n_bad, c->name);
    return rc;
}

/* Finds a place for what has been received, or drops it. */
static void
collect(struct relay *r, const struct channel *c)
{
    const struct frame *frames = r->received.frames;
    const size_t n = r->received.n;
    int begin;

    if (r->batch.n == 0)
        r->batch_due_ms = clock_ms() + GATHER_MS;
    begin = jupyter_begin(frames, n);
    if (begin < 0 || n - (size_t)begin > MAX_JUPYTER_FRAMES)
        note("dropped bad message %lu: %zu frames on channel '%c'", ++r->n_bad, n, c->name);
    else if (uplink_is_up(r->uplink))
        sort(r, c, frames, (size_t)begin);
    message_clear(&r->received);
    /* Once there is a tail, only what ends the execution may be in the batch with it: the tail goes first. */
    if (r->batch.n > TCI_MAX_RELAY_FRAMES / 2 || (r->tail.n > 0 && !r->tail_due))
        settle(r);
}

/*
 * The idle status is here, and so is the reply, unless the kernel's threads sent them in the other order.  Both go before
 * anything else is looked at: somebody waits for them.
 */
static void
end_execution(struct relay *r)
{
    struct channel *shell = find_channel(r, TCI_SHELL);

    shell->held_ms = 0;
    shell->readable = true;
    shell->pending = receive(r, shell) != 0;
    if (r->received.n > 0)
        collect(r, shell);
    relay_flush(r);
}

/* A message was received, and with it all that was written before it is in the pipes. */
static void
pass_message(struct relay *r, const struct channel *c)
{
    const bool executing = r->executing;

    if (executing && c->name == TCI_SHELL)
        relay_hurry(r);
    if (c->name == TCI_SHELL || c->name == TCI_IOPUB)
        for (int i = 0; i < SPAWN_PIPES; i++)
            drain_pipe(r, i);
    collect(r, c);
    if (executing && !r->executing)
        end_execution(r);
}

bool
relay_is_ready(const struct channel *c)
{
    return c->pending || (c->held_ms != 0 && clock_ms() >= c->held_ms);
}

int64_t
relay_due_ms(const struct relay *r)
{
    int64_t due = CLOCK_NEVER;

    if (r->batch.n > 0)
        due = r->batch_due_ms;
    if (uplink_is_full(r->uplink))
        return due;
    if (is_paused(r) && r->limits.resume_ms < due)
        due = r->limits.resume_ms;
    for (int i = 0; i < CHANNELS_COUNT; i++)
        if (r->channels[i].held_ms != 0 && r->channels[i].held_ms < due)
            due = r->channels[i].held_ms;
    for (int i = 0; i < CHANNELS_COUNT; i++)
        if (channel_due_ms(&r->channels[i]) < due)
            due = channel_due_ms(&r->channels[i]);
    return due;
}

bool
relay_channel(struct relay *r, struct channel *c)
{
    bool any = false;

    c->readable |= c->held_ms != 0;
    for (int i = 0; i < CHANNEL_BUDGET && !r->give_up && !is_left(r, c); i++) {
        const int rc = receive(r, c);

        if (rc == 0) {
            c->pending = false;
            c->held_ms = c->name == TCI_SHELL && r->executing ? clock_ms() + HOLD_MS : 0;
            return any;
        }
        any = true;
        if (rc > 0)
            pass_message(r, c);
    }
    c->pending = true;
    return any;
}

void
relay_flush(struct relay *r)
{
    if (r->batch.n > 0 && (!r->executing || clock_ms() >= r->batch_due_ms))
        settle(r);
}
