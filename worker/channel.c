/*
 * channel.c - see channel.h.
 *
 * What is read goes into a block, and the frames of the messages are views of it.  While frames of earlier messages are
 * still in use the block is only written to behind them.
 */
#include "channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "framing.h"
#include "zmtp.h"

enum {
    REDIAL_MIN_MS = 5, /* so short that start-up loses nothing by it */
    REDIAL_MAX_MS = 200,
    REDIAL_PART =
        20, /* ... and then the twentieth part of the time that the kernel has taken already */
    READ_SIZE = 16 << 10,
    MIN_ROOM = 4 << 10,
    MAX_UNSENT = 256,      /* messages */
    MAX_MESSAGE = 1 << 30, /* bytes with heads; the container's memory bounds it, too */
    MAX_FRAMES = 64 << 10, /* of a message that will be dropped for them */
};

/* A kernel asks for input whom the identity on shell says (Jupyter messaging 5.3, "stdin"): the same on all. */
static const char identity[] = "tci";

void
channel_open(struct channel *c, enum tci_channel name, const char *path, bool subscribes)
{
    *c = (struct channel){.name = name, .subscribes = subscribes, .fd = -1};
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->since_ms = c->dial_ms = clock_ms();
}

static void
forget_input(struct channel *c)
{
    block_unref(c->in);
    c->in = NULL;
    c->begin = c->end = c->walked = c->n_walked = 0;
    c->readable = false;
}

static void
hang_up(struct channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    forget_input(c);
}

void
channel_close(struct channel *c)
{
    if (c->path[0] == '\0')
        return;
    hang_up(c);
    buffer_free(&c->unsent);
    c->path[0] = '\0';
}

/* What was on its way is lost with the connection; what has waited for one goes on waiting. */
static void
go_down(struct channel *c)
{
    const int64_t now = clock_ms();
    int64_t wait;

    hang_up(c);
    if (c->state == CHANNEL_UP) {
        buffer_free(&c->unsent);
        c->n_unsent = 0;
        c->since_ms = now;
    }
    wait = (now - c->since_ms) / REDIAL_PART;
    wait = wait < REDIAL_MIN_MS ? REDIAL_MIN_MS : wait;
    c->dial_ms = now + (wait < REDIAL_MAX_MS ? wait : REDIAL_MAX_MS);
    c->state = CHANNEL_DOWN;
}

/* --- sending ------------------------------------------------------------------------------ */

static void
keep(struct channel *c, const struct iovec *iov, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buffer_add(&c->unsent, iov[i].iov_base, iov[i].iov_len);
}

static void
flush(struct channel *c)
{
    if (buffer_send(&c->unsent, c->fd) < 0)
        go_down(c);
    else if (buffer_len(&c->unsent) == 0)
        c->n_unsent = 0;
}

/* Heads and frames, one after the other; returns how many pieces these are. */
static size_t
encode(const struct message *m, size_t first, uint8_t heads[][ZMTP_HEAD_MAX], struct iovec *iov)
{
    size_t n = 0;

    for (size_t i = first; i < m->n; i++) {
        const struct frame *f = &m->frames[i];

        iov[n++] = (struct iovec){heads[i], zmtp_put_head(heads[i], i + 1 < m->n, f->len)};
        iov[n++] = (struct iovec){(void *)f->data, f->len};
    }
    return n;
}

int
channel_send(struct channel *c, const struct message *m, size_t first)
{
    uint8_t heads[TCI_MAX_FRAMES][ZMTP_HEAD_MAX];
    struct iovec all[2 * TCI_MAX_FRAMES], *iov = all;
    size_t n;

    if (c->n_unsent >= MAX_UNSENT)
        return -1;
    n = encode(m, first, heads, iov);
    if (c->state == CHANNEL_UP && buffer_len(&c->unsent) == 0 &&
        framing_send(c->fd, &iov, &n) < 0) {
        go_down(c); /* and the kernel's end will be heard of */
        return 0;
    }
    c->n_unsent += n > 0;
    keep(c, iov, n);
    return 0;
}

/* --- dialling ----------------------------------------------------------------------------- */

/* The greeting and READY: so few bytes that a new connection takes them. */
static bool
introduce(struct channel *c)
{
    uint8_t bytes[ZMTP_GREETING_SIZE + ZMTP_READY_MAX];
    size_t len = ZMTP_GREETING_SIZE;

    zmtp_greeting(bytes);
    len +=
        zmtp_ready(bytes + len, c->subscribes ? "SUB" : "DEALER", c->subscribes ? NULL : identity);
    return send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static void
dial(struct channel *c)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, c->path, sizeof(c->path));
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die(TCI_EXIT_SYSTEM, "cannot make a socket: %s", strerror(errno));
    c->state = CHANNEL_GREETING;
    if (connect(c->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || !introduce(c))
        go_down(c);
}

void
channel_tick(struct channel *c)
{
    if (c->state == CHANNEL_DOWN && clock_ms() >= c->dial_ms)
        dial(c);
}

int64_t
channel_due_ms(const struct channel *c)
{
    return c->state == CHANNEL_DOWN ? c->dial_ms : CLOCK_NEVER;
}

struct pollfd
channel_item(const struct channel *c, bool hears)
{
    const bool in = hears || c->state != CHANNEL_UP, out = c->state == CHANNEL_UP && c->unsent.data;

    return (struct pollfd){
        .fd = in || out ? c->fd : -1, /* else its end would wake us again and again */
        .events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)),
    };
}

/* --- receiving ---------------------------------------------------------------------------- */

static void
skip(struct channel *c, size_t len)
{
    c->begin += len;
    c->walked = c->n_walked = 0;
}

/* Room for as much as has come, not for as much as was announced. */
static void
make_room(struct channel *c)
{
    const size_t used = c->end - c->begin, more = used > READ_SIZE ? used : READ_SIZE;
    struct block *old = c->in;

    if (old && used == 0 && old->refs == 1 && old->size == READ_SIZE)
        c->begin = c->end = 0;
    if (old && old->size - c->end >= MIN_ROOM && (used > 0 || old->size == READ_SIZE))
        return;
    c->in = block_new(used + more);
    if (old && used > 0)
        memcpy(c->in->data, old->data + c->begin, used);
    c->begin = 0;
    c->end = used;
    block_unref(old);
}

/* False when nothing more is there now. */
static bool
read_more(struct channel *c)
{
    ssize_t n;
    size_t room;

    if (!c->readable || c->fd < 0)
        return false;
    make_room(c);
    room = c->in->size - c->end;
    n = recv(c->fd, c->in->data + c->end, room, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        go_down(c);
        return false;
    }
    c->readable = n == (ssize_t)room;
    c->end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Moves the frames of the message that has been walked over. */
static int
take(struct channel *c, struct message *m)
{
    const uint8_t *p = c->in->data + c->begin;
    const size_t n = c->n_walked;

    for (size_t i = 0; i < n && n <= TCI_MAX_FRAMES; i++) {
        struct zmtp_head head;

        if (zmtp_read_head(p, ZMTP_HEAD_MAX, &head) != 1)
            return 0; /* cannot be: it was read before */
        message_append_bytes(m, c->in, p + head.size, head.body);
        p += head.size + head.body;
    }
    skip(c, c->walked);
    return n <= TCI_MAX_FRAMES ? 1 : -1;
}

/* A frame with that head is at the end of what was walked over.  0: go on, 1: the message ends with it, -1: broken. */
static int
walk(struct channel *c, const struct zmtp_head *head)
{
    if (head->command && c->n_walked > 0)
        return -1;
    if (head->command) { /* of later versions, and none that needs an answer */
        skip(c, head->size + head->body);
        return 0;
    }
    c->walked += head->size + head->body;
    c->n_walked++;
    if (c->n_walked > MAX_FRAMES)
        return -1;
    return head->more ? 0 : 1;
}

/* 1 and a head when a whole frame is behind what was walked over; 0 when it is not all there; -1: it is none. */
static int
next_frame(const struct channel *c, struct zmtp_head *head)
{
    const size_t at = c->begin + c->walked, have = c->end - at;
    const int rc = have > 0 ? zmtp_read_head(c->in->data + at, have, head) : 0;

    if (rc <= 0)
        return rc;
    if (head->body > MAX_MESSAGE || c->walked + head->body > MAX_MESSAGE)
        return -1;
    return head->size + head->body <= have;
}

static int
next_message(struct channel *c, struct message *m)
{
    struct zmtp_head head;
    int rc;

    while ((rc = next_frame(c, &head)) > 0) {
        rc = walk(c, &head);
        if (rc > 0)
            return take(c, m);
        if (rc < 0)
            break;
    }
    if (rc < 0) {
        note("channel '%c' of the kernel does not speak ZMTP", c->name);
        go_down(c);
    }
    return 0;
}

static void
become_up(struct channel *c)
{
    const struct message all = {.frames = {{ZMTP_SUBSCRIBE_ALL, 1}}, .n = 1};

    c->state = CHANNEL_UP;
    c->pending = true; /* messages may have come with READY */
    if (c->subscribes && channel_send(c, &all, 0) < 0)
        go_down(c); /* cannot be: nothing else is sent there */
    else
        flush(c);
}

/* False: more has to come first, or it has failed. */
static bool
shake_hands(struct channel *c)
{
    struct zmtp_head head = {.size = 0};
    int rc = 0;

    if (c->in && c->state == CHANNEL_GREETING)
        rc = zmtp_check_greeting(c->in->data + c->begin, c->end - c->begin);
    else if (c->in && c->state == CHANNEL_READYING)
        rc = next_frame(c, &head);
    if (rc > 0 && c->state == CHANNEL_GREETING) {
        skip(c, ZMTP_GREETING_SIZE);
        c->state = CHANNEL_READYING;
    } else if (rc > 0 && head.command &&
               zmtp_is_ready(c->in->data + c->begin + head.size, head.body)) {
        skip(c, head.size + head.body);
        become_up(c);
    } else if (rc != 0) {
        note("channel '%c' of the kernel does not speak ZMTP 3", c->name);
        go_down(c);
    }
    return rc > 0 && c->state != CHANNEL_DOWN;
}

static bool
is_new(const struct channel *c)
{
    return c->state == CHANNEL_GREETING || c->state == CHANNEL_READYING;
}

void
channel_on_event(struct channel *c, short revents)
{
    c->readable |= (revents & ~POLLOUT) != 0;
    if ((revents & POLLOUT) && c->state == CHANNEL_UP)
        flush(c);
    while (is_new(c) && (shake_hands(c) || read_more(c)))
        continue;
}

int
channel_recv(struct channel *c, struct message *m)
{
    int rc = 0;

    m->n = 0;
    while (c->state == CHANNEL_UP && (rc = next_message(c, m)) == 0 && read_more(c))
        continue;
    return rc;
}
