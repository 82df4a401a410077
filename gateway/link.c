/*
 * link.c - see link.h.
 *
 * Plain reads and writes on level-triggered sockets: a message that came whole is looked at where it was read, and one
 * that the socket takes is written from where it lies.  Only what is cut is copied: into `partial`, whose size follows
 * what has come and not what was announced, or into `unsent`.
 */
#include "link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <uthash.h>
#include <utlist.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "unixsocket.h"
#include "worker/framing.h"
#include "worker/protocol.h"

enum {
    READ_SIZE = 256 << 10, /* at a time */
    PARTIAL_MIN = 4 << 10, /* first size of a message that is cut */
    UNSENT_MAX = 4 << 20,  /* bytes that wait for a peer, before which another message is taken */
    ACCEPT_BUDGET = 64,    /* connections of one turn of the loop */
    ACCEPT_PAUSE_MS = 10,  /* when there are no descriptors */
    ANONYMOUS_MAX = 256,   /* connections that have not said who they are */
    ROUTING_ID_MAX = 64,
};

struct connection {
    struct link *link;
    struct link_peer *peer; /* NULL: it has not said who it is */
    int fd;                 /* -1: closed, and freed when nobody looks at it any more */
    struct event *readable, *writable;
    uint8_t *partial; /* the begin of a message; NULL: none */
    size_t len, size; /* of partial: bytes in it, and that it has room for */
    struct evbuffer *unsent;
    struct connection *prev, *next;
};

struct link_peer {
    struct link *link;
    struct connection *connection; /* NULL: not connected */
    char id[ROUTING_ID_MAX + 1];
    link_message_fn *fn;
    void *owner;
    UT_hash_handle hh;
};

struct link {
    struct event_base *base;
    gid_t group;
    size_t max_message;
    unsigned introduce_ms;
    int fd;
    struct event *acceptable, *resume;
    struct connection *connections;
    struct connection *reading; /* whose messages are being delivered */
    unsigned n_anonymous;
    struct link_peer *peers; /* by routing id */
    uint8_t buf[READ_SIZE];
};

/* --- connections -------------------------------------------------------------------------- */

static void
connection_free(struct connection *c)
{
    event_free(c->readable);
    event_free(c->writable);
    evbuffer_free(c->unsent);
    free(c->partial);
    free(c);
}

/* The one whose messages are being delivered is freed when the last of them has been. */
static void
hang_up(struct connection *c)
{
    struct link *link = c->link;

    if (c->fd < 0)
        return;
    event_del(c->readable);
    event_del(c->writable);
    close(c->fd);
    c->fd = -1;
    DL_DELETE(link->connections, c);
    if (c->peer)
        c->peer->connection = NULL;
    else
        link->n_anonymous--;
    c->peer = NULL;
    if (link->reading != c)
        connection_free(c);
}

static void
drop(size_t n)
{
    metrics_add(METRIC_LINK_DROPPED, 1);
    log_debug("link: dropped a message of %zu frames", n);
}

/* --- what comes --------------------------------------------------------------------------- */

/* The message before may have been the end of the peer. */
static void
deliver(const struct connection *c, char verb, const struct wire_frame *f, size_t n)
{
    if (c->peer)
        c->peer->fn(c->peer->owner, verb, f, n);
    else
        drop(n);
}

static void
deliver_each(const struct connection *c, const struct wire_frame *f, size_t left)
{
    while (left > 0) {
        const size_t n = f->len == 1 ? *(const uint8_t *)f->data : 0;

        if (n == 0 || n + 2 > left) {
            drop(left);
            return;
        }
        deliver(c, TCI_RELAY, f + 1, 1 + n);
        f += n + 2;
        left -= n + 2;
    }
}

static int send_now(struct connection *c, struct iovec *iov, size_t n);

/*
 * The first message of a connection is one frame, the routing id.  A worker that dials anew takes the place of its old
 * connection, which may not be cleared away yet.
 */
static void
identify(struct connection *c, const struct wire_frame *f, size_t n)
{
    struct link_peer *peer = NULL;
    char verb = TCI_WELCOME;
    uint8_t head[FRAMING_HEAD_MAX];
    struct iovec iov[2] = {[1] = {&verb, 1}};

    if (n == 1)
        HASH_FIND(hh, c->link->peers, f->data, f->len, peer);
    if (peer == NULL) {
        drop(n);
        hang_up(c);
        return;
    }
    if (peer->connection)
        hang_up(peer->connection);
    peer->connection = c;
    c->peer = peer;
    c->link->n_anonymous--;
    event_remove_timer(c->readable);
    framing_seal(head, iov, 1);
    if (send_now(c, iov, 2) < 0)
        hang_up(c);
}

static void
dispatch(struct connection *c, const struct framing *framing, const uint8_t *data)
{
    struct wire_frame f[TCI_MAX_FRAMES] = {{0}};

    data += framing->head;
    for (size_t i = 0; i < framing->n; i++) {
        f[i] = (struct wire_frame){data, framing->lens[i]};
        data += framing->lens[i];
    }
    metrics_add(METRIC_LINK_MESSAGES_IN, 1);
    metrics_add(METRIC_LINK_BYTES_IN, framing->size);
    if (c->peer == NULL)
        identify(c, f, framing->n);
    else if (f[0].len != 1)
        drop(framing->n);
    else if (*(const char *)f[0].data == TCI_RELAY)
        deliver_each(c, f + 1, framing->n - 1);
    else
        deliver(c, *(const char *)f[0].data, f + 1, framing->n - 1);
}

static size_t
max_size(const struct connection *c)
{
    return c->peer ? c->link->max_message : FRAMING_HEAD_MAX + ROUTING_ID_MAX;
}

/*
 * Dispatches the messages that are whole; returns the bytes they had.  *wanted is the size of the one behind them, as far
 * as it is known.
 */
static size_t
dispatch_all(struct connection *c, const uint8_t *data, size_t len, size_t *wanted)
{
    struct framing framing;
    size_t used = 0;

    *wanted = FRAMING_HEAD_MAX;
    while (c->fd >= 0) {
        const int rc = framing_parse(data + used, len - used, &framing);

        if (rc < 0 || (rc > 0 && framing.size > max_size(c))) {
            drop(0);
            hang_up(c);
            break;
        }
        if (rc == 0)
            break;
        *wanted = framing.size;
        if (framing.size > len - used)
            break;
        dispatch(c, &framing, data + used);
        used += framing.size;
        *wanted = FRAMING_HEAD_MAX;
    }
    return used;
}

/* Room for a message of `wanted` bytes of which `len` are here: it follows what has come, not what was announced. */
static size_t
room_for(size_t len, size_t wanted)
{
    const size_t most = len * 2 > PARTIAL_MIN ? len * 2 : PARTIAL_MIN;

    return wanted < most ? wanted : most;
}

/* The begin of a message, which is in partial already, or in the link's buffer. */
static void
keep(struct connection *c, const uint8_t *data, size_t len, size_t wanted)
{
    const size_t size = room_for(len, wanted);

    c->len = len;
    if (len == 0) {
        free(c->partial);
        c->partial = NULL;
        c->size = 0;
    } else if (c->partial == NULL) {
        c->partial = xnotnull(malloc(size));
        c->size = size;
        memcpy(c->partial, data, len);
    } else {
        memmove(c->partial, data, len);
        if (size > c->size) {
            c->partial = xrealloc(c->partial, size);
            c->size = size;
        }
    }
}

static void
take(struct connection *c, const uint8_t *data, size_t len)
{
    struct link *link = c->link;
    size_t wanted, used;

    link->reading = c;
    used = dispatch_all(c, data, len, &wanted);
    link->reading = NULL;
    if (c->fd < 0)
        connection_free(c);
    else
        keep(c, data + used, len - used, wanted);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;
    uint8_t *buf = c->partial ? c->partial + c->len : c->link->buf;
    const size_t room = c->partial ? c->size - c->len : READ_SIZE;
    ssize_t n = 0;

    if (!(what & EV_TIMEOUT))
        n = recv(fd, buf, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        hang_up(c);
    else if (c->partial)
        take(c, c->partial, c->len + (size_t)n);
    else
        take(c, buf, (size_t)n);
}

/* --- what goes ---------------------------------------------------------------------------- */

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;

    (void)what;
    if (evbuffer_write(c->unsent, fd) < 0 && errno != EAGAIN && errno != EINTR)
        hang_up(c);
    else if (evbuffer_get_length(c->unsent) == 0)
        event_del(c->writable);
}

static int
send_now(struct connection *c, struct iovec *iov, size_t n)
{
    if (evbuffer_get_length(c->unsent) == 0 && framing_send(c->fd, &iov, &n) < 0)
        return -1;
    if (n > 0)
        event_add(c->writable, NULL);
    for (; n > 0; iov++, n--)
        if (evbuffer_add(c->unsent, iov->iov_base, iov->iov_len) < 0)
            abort(); /* out of memory */
    return 0;
}

int
link_send(struct link_peer *peer, char verb, const struct wire_frame *frames, size_t n,
          struct err *err)
{
    struct connection *c = peer->connection;
    struct iovec iov[1 + TCI_MAX_FRAMES] = {[1] = {&verb, 1}};
    uint8_t head[FRAMING_HEAD_MAX];
    size_t bytes = 1;

    if (c == NULL)
        return err_set(err, ERR_PEER, "the worker cannot be reached: it is not connected");
    if (evbuffer_get_length(c->unsent) > UNSENT_MAX)
        return err_set(err, ERR_PEER, "the worker cannot be reached: it does not read");
    for (size_t i = 0; i < n; i++) {
        iov[2 + i] = (struct iovec){(void *)frames[i].data, frames[i].len};
        bytes += frames[i].len;
    }
    framing_seal(head, iov, 1 + n);
    if (send_now(c, iov, 2 + n) < 0) {
        err_set(err, ERR_PEER, "the worker cannot be reached: %s", strerror(errno));
        hang_up(c);
        return -1;
    }
    metrics_add(METRIC_LINK_MESSAGES_OUT, 1);
    metrics_add(METRIC_LINK_BYTES_OUT, bytes);
    return 0;
}

/* --- who comes ---------------------------------------------------------------------------- */

static bool
is_welcome(const struct link *link, int fd)
{
    return link->n_anonymous < ANONYMOUS_MAX && unixsocket_peer_is(fd, link->group);
}

static void
connection_new(struct link *link, int fd)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->link = link;
    c->fd = fd;
    c->readable = xnotnull(event_new(link->base, fd, EV_READ | EV_PERSIST, on_readable, c));
    c->writable = xnotnull(event_new(link->base, fd, EV_WRITE | EV_PERSIST, on_writable, c));
    c->unsent = xnotnull(evbuffer_new());
    DL_APPEND(link->connections, c);
    link->n_anonymous++;
    clock_arm(c->readable, link->introduce_ms);
}

/* A connection that cannot be accepted would wake the loop again and again: look away for a while. */
static void
pause_accepting(struct link *link)
{
    event_del(link->acceptable);
    clock_arm(link->resume, ACCEPT_PAUSE_MS);
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;

    (void)what;
    for (int i = 0; i < ACCEPT_BUDGET; i++) {
        int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (peer < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return;
        if (peer < 0) {
            pause_accepting(link);
            return;
        }
        if (is_welcome(link, peer))
            connection_new(link, peer);
        else
            close(peer);
    }
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;

    (void)fd, (void)what;
    event_add(link->acceptable, NULL);
}

struct link *
link_new(struct event_base *base, const struct link_options *o, struct err *err)
{
    struct link *link = xcalloc(1, sizeof(*link));

    link->base = base;
    link->group = o->group;
    link->max_message = o->max_message;
    link->introduce_ms = o->introduce_ms;
    link->fd = unixsocket_listen(o->dir, TCI_PATH_LINK_SOCKET, err);
    if (link->fd < 0) {
        link_free(link);
        return NULL;
    }
    link->acceptable =
        xnotnull(event_new(base, link->fd, EV_READ | EV_PERSIST, on_acceptable, link));
    link->resume = xnotnull(evtimer_new(base, on_resume, link));
    event_add(link->acceptable, NULL);
    return link;
}

void
link_free(struct link *link)
{
    struct connection *c, *next;

    if (link == NULL)
        return;
    DL_FOREACH_SAFE (link->connections, c, next)
        hang_up(c);
    if (link->acceptable)
        event_free(link->acceptable);
    if (link->resume)
        event_free(link->resume);
    if (link->fd >= 0)
        close(link->fd);
    free(link);
}

/* --- peers -------------------------------------------------------------------------------- */

struct link_peer *
link_peer_new(struct link *link, const char *routing_id, link_message_fn *fn, void *owner)
{
    struct link_peer *peer = xcalloc(1, sizeof(*peer));

    peer->link = link;
    snprintf(peer->id, sizeof(peer->id), "%s", routing_id);
    peer->fn = fn;
    peer->owner = owner;
    HASH_ADD_STR(link->peers, id, peer);
    return peer;
}

void
link_peer_free(struct link_peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->connection)
        hang_up(peer->connection);
    HASH_DEL(peer->link->peers, peer);
    free(peer);
}

void
link_peer_pause(struct link_peer *peer, bool paused)
{
    if (peer->connection == NULL)
        return;
    if (paused)
        event_del(peer->connection->readable);
    else
        event_add(peer->connection->readable, NULL);
}
