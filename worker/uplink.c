/* uplink.c - see uplink.h. */
#include "uplink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "die.h"
#include "framing.h"

enum {
    REDIAL_MIN_MS = 20,
    REDIAL_MAX_MS = 200,  /* a gateway that comes back finds its sessions within this time */
    LATE_BYTES = 4 << 20, /* more than waits for a gateway that reads all the time */
    /*
     * More than one execution's messages, because while the gateway is slow an iopub that is not read
     * would drop what the kernel publishes.  Their bytes are bounded by the limits.
     */
    FULL_MESSAGES = TCI_MAX_OUTPUT_MESSAGES + 4096,
    /* Longest message of the gateway: it is trusted, this only keeps an accident small. */
    MAX_MESSAGE = 256 << 20,
    READ_SIZE = 16 << 10,
};

enum state { DOWN, DIALLING, UP };

struct uplink {
    const struct boot *boot;
    enum state state;
    int fd; /* -1 while DOWN */
    struct buffer received, unsent;
    size_t n_unsent;     /* messages put into unsent since it was empty */
    int redial_ms;       /* pause before the next dial */
    int64_t deadline_ms; /* DOWN: of the next dial */
    int64_t since_ms;    /* not UP: when the link was lost */
    bool readable;       /* there may be more to read than was */
    bool running;
};

/* --- dialling ----------------------------------------------------------------------------- */

struct uplink *
uplink_new(const struct boot *boot)
{
    struct uplink *u = calloc(1, sizeof(*u));

    if (u == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    u->boot = boot;
    u->fd = -1;
    u->redial_ms = REDIAL_MIN_MS;
    u->since_ms = clock_ms();
    u->deadline_ms = u->since_ms;
    return u;
}

static void
hang_up(struct uplink *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
    buffer_free(&u->received);
    buffer_free(&u->unsent);
    u->n_unsent = 0;
    u->readable = false;
}

/* What had not been sent goes with the connection. */
static void
go_down(struct uplink *u)
{
    const int64_t now = clock_ms();

    if (u->state == UP) {
        u->since_ms = now;
        u->redial_ms = REDIAL_MIN_MS;
    }
    hang_up(u);
    u->state = DOWN;
    u->deadline_ms = now + u->redial_ms;
    u->redial_ms = u->redial_ms * 2 < REDIAL_MAX_MS ? u->redial_ms * 2 : REDIAL_MAX_MS;
}

static int
flush(struct uplink *u)
{
    if (buffer_send(&u->unsent, u->fd) < 0) {
        go_down(u);
        return -1;
    }
    if (buffer_len(&u->unsent) == 0)
        u->n_unsent = 0;
    return 0;
}

/* iov[1] to iov[n] are the frames.  What the socket does not take is kept. */
static void
send_frames(struct uplink *u, struct iovec *iov, size_t n)
{
    uint8_t head[FRAMING_HEAD_MAX];
    size_t left = 1 + n;

    framing_seal(head, iov, n);
    if (u->unsent.data == NULL && framing_send(u->fd, &iov, &left) < 0) {
        go_down(u);
        return;
    }
    u->n_unsent += left > 0;
    for (; left > 0; iov++, left--)
        buffer_add(&u->unsent, iov->iov_base, iov->iov_len);
}

static void
introduce(struct uplink *u)
{
    char json[64], verb = TCI_HELLO;
    const int len = snprintf(json, sizeof(json), "{\"protocol\":%d,\"state\":\"%s\"}",
                             TCI_PROTOCOL_VERSION, u->running ? "running" : "new");
    struct iovec id[2] = {[1] = {(void *)u->boot->routing_id, strlen(u->boot->routing_id)}};
    struct iovec hello[3] = {[1] = {&verb, 1}, [2] = {json, (size_t)len}};

    send_frames(u, id, 1);
    if (u->state == DIALLING)
        send_frames(u, hello, 2);
}

static void
dial(struct uplink *u)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, u->boot->path, sizeof(addr.sun_path));
    u->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (u->fd < 0)
        die(TCI_EXIT_SYSTEM, "cannot make a socket: %s", strerror(errno));
    if (connect(u->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
        go_down(u); /* there is no gateway now, or too many want to talk to it */
        return;
    }
    u->state = DIALLING;
    u->deadline_ms = CLOCK_NEVER; /* it answers, or its end ends this */
    introduce(u);
}

void
uplink_free(struct uplink *u, int linger_ms)
{
    const int64_t end = clock_ms() + linger_ms;

    if (u == NULL)
        return;
    while (u->state == UP && u->unsent.data && clock_ms() < end) {
        struct pollfd p = {.fd = u->fd, .events = POLLOUT};

        if (poll(&p, 1, (int)(end - clock_ms())) > 0)
            (void)flush(u);
    }
    hang_up(u);
    free(u);
}

void
uplink_tick(struct uplink *u)
{
    if (u->state == DOWN && clock_ms() >= u->deadline_ms)
        dial(u);
}

void
uplink_set_running(struct uplink *u)
{
    u->running = true;
}

int64_t
uplink_deadline_ms(const struct uplink *u)
{
    return u->deadline_ms;
}

int64_t
uplink_down_since_ms(const struct uplink *u)
{
    return u->since_ms;
}

bool
uplink_is_up(const struct uplink *u)
{
    return u->state == UP;
}

/* --- to and fro --------------------------------------------------------------------------- */

struct pollfd
uplink_item(const struct uplink *u)
{
    return (struct pollfd){
        .fd = u->fd,
        .events = (short)(POLLIN | (u->unsent.data ? POLLOUT : 0)),
    };
}

void
uplink_on_event(struct uplink *u, short revents)
{
    u->readable |= (revents & ~POLLOUT) != 0;
    if ((revents & POLLOUT) && u->state != DOWN)
        (void)flush(u);
}

bool
uplink_is_idle(const struct uplink *u)
{
    return u->state == UP && u->unsent.data == NULL;
}

bool
uplink_is_late(const struct uplink *u)
{
    return buffer_len(&u->unsent) >= LATE_BYTES;
}

bool
uplink_is_full(const struct uplink *u)
{
    return u->n_unsent >= FULL_MESSAGES;
}

size_t
uplink_unsent(const struct uplink *u)
{
    return buffer_len(&u->unsent);
}

/* False when nothing more is there now. */
static bool
read_more(struct uplink *u)
{
    struct buffer *b = &u->received;
    const size_t have = b->end - b->begin;
    ssize_t n;

    if (!u->readable)
        return false;
    buffer_reserve(b, have > READ_SIZE
                          ? have
                          : READ_SIZE); /* with what has come, not with what was announced */
    n = recv(u->fd, b->data + b->end, b->size - b->end, MSG_DONTWAIT);
    u->readable = n == (ssize_t)(b->size - b->end);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        go_down(u);
        return false;
    }
    b->end += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int
take(struct uplink *u, const struct framing *f, struct message *m)
{
    const uint8_t *p = u->received.data + u->received.begin + f->head;
    struct block *block = block_new(f->size - f->head);
    size_t at = 0;

    memcpy(block->data, p, block->size);
    for (size_t i = 0; i < f->n; i++) {
        message_append_bytes(m, block, block->data + at, f->lens[i]);
        at += f->lens[i];
    }
    block_unref(block);
    buffer_skip(&u->received, f->size);
    return 1;
}

static bool
is_welcome(struct message *m)
{
    return m->n == 1 && m->frames[0].len == 1 && *(const char *)m->frames[0].data == TCI_WELCOME;
}

static int
next(struct uplink *u, struct message *m)
{
    struct framing f;

    m->n = 0;
    while (u->fd >= 0) {
        const struct buffer *b = &u->received;
        const size_t have = b->end - b->begin;
        const int rc = have > 0 ? framing_parse(b->data + b->begin, have, &f) : 0;

        if (rc < 0 || (rc > 0 && f.size > MAX_MESSAGE))
            return -1;
        if (rc > 0 && f.size <= have)
            return take(u, &f, m);
        if (!read_more(u))
            return 0;
    }
    return 0;
}

int
uplink_recv(struct uplink *u, struct message *m)
{
    const int rc = next(u, m);

    if (rc <= 0 || u->state == UP)
        return rc;
    if (!is_welcome(m)) {
        message_clear(m);
        return -1;
    }
    message_clear(m);
    u->state = UP;
    u->since_ms = CLOCK_NEVER;
    return next(u, m);
}

void
uplink_send(struct uplink *u, enum tci_verb verb, const struct frame *frames, size_t n)
{
    struct iovec iov[1 + TCI_MAX_FRAMES];
    char byte = (char)verb;

    if (u->state != UP)
        return;
    iov[1] = (struct iovec){&byte, 1};
    for (size_t i = 0; i < n; i++)
        iov[2 + i] = (struct iovec){(void *)frames[i].data, frames[i].len};
    send_frames(u, iov, 1 + n);
}

void
uplink_relay(struct uplink *u, const struct message *m)
{
    uplink_send(u, TCI_RELAY, m->frames, m->n);
}
