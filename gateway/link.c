/*
 * link.c - a ZeroMQ ROUTER inside a libevent loop.
 *
 * A ZeroMQ descriptor is edge-triggered and tells only that something may have changed: ZMQ_EVENTS must be read after
 * every send, failed ones too, and receive (zmq_getsockopt(3)).  So every send and every bounded drain ends in rearm(), which
 * makes the loop call again when there is more; in its next turn, so that everything else has one as well.
 */
#include "link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <event2/event.h>
#include <uthash.h>
#include <zmq.h>

#include "log.h"
#include "metrics.h"
#include "worker/protocol.h"

enum {
    DRAIN_BUDGET = 256, /* messages of one turn of the loop */
    PEER_QUEUE = 1000,  /* messages under way to one peer */
    ROUTING_ID_MAX = 64,
    ACCEPT_PAUSE_US = 10000,
};

struct link_peer {
    struct link *link;
    char id[ROUTING_ID_MAX + 1];
    size_t id_len;
    link_message_fn *fn;
    void *owner;
    UT_hash_handle hh;
};

struct link {
    void *context;
    void *socket;
    struct event *event;     /* the descriptor */
    struct event *again;     /* a timer of no time: there is more to read */
    struct link_peer *peers; /* by routing id */
};

/*
 * Takes the place of libc's for libzmq, too, which ends the process when a unix socket's says EMFILE; ENFILE
 * it bears, and tries again.  The pause keeps its thread from doing nothing else until there are descriptors.
 */
int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    int connection = (int)syscall(SYS_accept4, fd, addr, len, flags), domain = 0;
    socklen_t size = sizeof(domain);

    if (connection >= 0 || errno != EMFILE)
        return connection;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX) {
        usleep(ACCEPT_PAUSE_US);
        errno = ENFILE;
    } else {
        errno = EMFILE;
    }
    return -1;
}

struct message {
    zmq_msg_t frames[TCI_MAX_FRAMES];
    size_t n;
    bool oversized; /* had more frames than fit */
};

/* Reads all frames of one message; -1 when there is none. */
static int
receive(struct link *link, struct message *m)
{
    int more = 1;

    m->n = 0;
    m->oversized = false;
    while (more) {
        zmq_msg_t surplus, *frame = m->n < TCI_MAX_FRAMES ? &m->frames[m->n] : &surplus;

        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            return -1; /* only before the first frame: a message arrives whole */
        }
        more = zmq_msg_more(frame);
        if (frame != &surplus) {
            m->n++;
        } else {
            m->oversized = true;
            zmq_msg_close(frame);
        }
    }
    return 0;
}

static void
message_clear(struct message *m)
{
    for (size_t i = 0; i < m->n; i++)
        zmq_msg_close(&m->frames[i]);
    m->n = 0;
}

static void
drop(size_t n)
{
    metrics_add(METRIC_LINK_DROPPED, 1);
    log_debug("link: dropped a message of %zu frames", n);
}

static void
deliver(struct link *link, const struct wire_frame *id, char verb, const struct wire_frame *f,
        size_t n)
{
    struct link_peer *peer;

    HASH_FIND(hh, link->peers, id->data, id->len, peer);
    if (peer)
        peer->fn(peer->owner, verb, f, n);
    else
        drop(n);
}

/* Each finds the peer itself: the one before may have been the end of it. */
static void
deliver_each(struct link *link, const struct wire_frame *id, const struct wire_frame *f,
             size_t left)
{
    while (left > 0) {
        const size_t n = f->len == 1 ? *(const uint8_t *)f->data : 0;

        if (n == 0 || n + 2 > left) {
            drop(left);
            return;
        }
        deliver(link, id, TCI_RELAY, f + 1, 1 + n);
        f += n + 2;
        left -= n + 2;
    }
}

static void
dispatch(struct link *link, struct message *m)
{
    struct wire_frame f[TCI_MAX_FRAMES];
    size_t bytes = 0;

    for (size_t i = 0; i < m->n; i++) {
        f[i].data = zmq_msg_data(&m->frames[i]);
        f[i].len = zmq_msg_size(&m->frames[i]);
        bytes += f[i].len;
    }
    metrics_add(METRIC_LINK_MESSAGES_IN, 1);
    metrics_add(METRIC_LINK_BYTES_IN, bytes);
    if (m->n < 2 || f[1].len != 1 || m->oversized)
        drop(m->n);
    else if (*(const char *)f[1].data == TCI_RELAY)
        deliver_each(link, &f[0], f + 2, m->n - 2);
    else
        deliver(link, &f[0], *(const char *)f[1].data, f + 2, m->n - 2);
}

/* Has the loop call us again if the socket is readable: its descriptor will not tell. */
static void
rearm(struct link *link)
{
    const struct timeval now = {0, 0};
    int events = 0;
    size_t size = sizeof(events);

    if (zmq_getsockopt(link->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN))
        event_add(link->again, &now);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;
    struct message m;

    (void)fd, (void)what;
    for (int i = 0; i < DRAIN_BUDGET; i++) {
        if (receive(link, &m) < 0)
            return; /* EAGAIN: reading until it is the re-check that the descriptor needs */
        dispatch(link, &m);
        message_clear(&m);
    }
    rearm(link);
}

static int
set_options(struct link *link, size_t max_frame, gid_t group, struct err *err)
{
    const int one = 1, zero = 0, queue = PEER_QUEUE;
    const int64_t max = (int64_t)max_frame;

    /* Handover: a worker that dials anew is heard, though its old connection may not be cleared away yet. */
    if (zmq_setsockopt(link->socket, ZMQ_ROUTER_MANDATORY, &one, sizeof(one)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_ROUTER_HANDOVER, &one, sizeof(one)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_LINGER, &zero, sizeof(zero)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_SNDHWM, &queue, sizeof(queue)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_RCVHWM, &queue, sizeof(queue)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0 ||
        zmq_setsockopt(link->socket, ZMQ_IPC_FILTER_GID, &group, sizeof(group)) < 0)
        return err_set(err, ERR_SYSTEM, "link: cannot set up the socket: %s", zmq_strerror(errno));
    return 0;
}

static int
bind_socket(struct link *link, const char *dir, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/%s", dir, TCI_PATH_LINK_SOCKET);
    cleanup_free char *endpoint = xasprintf("ipc://%s", path);

    if ((mkdir(dir, 0711) < 0 && errno != EEXIST) || chmod(dir, 0711) < 0)
        return err_sys(err, "cannot make the directory %s", dir);
    if (zmq_bind(link->socket, endpoint) < 0)
        return err_set(err, ERR_SYSTEM, "link: cannot bind %s: %s", path, zmq_strerror(errno));
    if (chmod(path, 0666) < 0)
        return err_sys(err, "cannot set the mode of %s", path);
    return 0;
}

static int
add_event(struct link *link, struct event_base *base, struct err *err)
{
    int fd = -1;
    size_t size = sizeof(fd);

    if (zmq_getsockopt(link->socket, ZMQ_FD, &fd, &size) < 0)
        return err_set(err, ERR_SYSTEM, "link: no descriptor: %s", zmq_strerror(errno));
    link->event = xnotnull(event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link));
    link->again = xnotnull(evtimer_new(base, on_readable, link));
    event_add(link->event, NULL);
    rearm(link);
    return 0;
}

struct link *
link_new(struct event_base *base, const struct link_options *o, struct err *err)
{
    struct link *link = xcalloc(1, sizeof(*link));

    link->context = xnotnull(zmq_ctx_new());
    /* One socket serves all workers, but every accepted connection is a descriptor. */
    zmq_ctx_set(link->context, ZMQ_MAX_SOCKETS, 16);
    link->socket = xnotnull(zmq_socket(link->context, ZMQ_ROUTER));
    if (set_options(link, o->max_frame, o->group, err) < 0 || bind_socket(link, o->dir, err) < 0 ||
        add_event(link, base, err) < 0) {
        link_free(link);
        return NULL;
    }
    return link;
}

void
link_free(struct link *link)
{
    if (link == NULL)
        return;
    if (link->event)
        event_free(link->event);
    if (link->again)
        event_free(link->again);
    zmq_close(link->socket);
    zmq_ctx_term(link->context);
    free(link);
}

struct link_peer *
link_peer_new(struct link *link, const char *routing_id, link_message_fn *fn, void *owner)
{
    struct link_peer *peer = xcalloc(1, sizeof(*peer));

    peer->link = link;
    peer->id_len = (size_t)snprintf(peer->id, sizeof(peer->id), "%s", routing_id);
    if (peer->id_len >= sizeof(peer->id))
        peer->id_len = sizeof(peer->id) - 1;
    peer->fn = fn;
    peer->owner = owner;
    HASH_ADD(hh, link->peers, id[0], peer->id_len, peer);
    return peer;
}

void
link_peer_free(struct link_peer *peer)
{
    if (peer == NULL)
        return;
    HASH_DEL(peer->link->peers, peer);
    free(peer);
}

static int
send_frame(void *socket, const void *data, size_t len, bool more)
{
    return zmq_send(socket, data, len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0 ? -1 : 0;
}

static int
send_all(struct link_peer *peer, char verb, const struct wire_frame *frames, size_t n,
         struct err *err)
{
    struct link *link = peer->link;
    size_t bytes = peer->id_len + 1;

    /* With ROUTER_MANDATORY only the routing id's frame can fail: no such peer, or its queue is full. */
    if (send_frame(link->socket, peer->id, peer->id_len, true) < 0)
        return err_set(err, ERR_PEER, "the worker cannot be reached: %s", zmq_strerror(errno));
    if (send_frame(link->socket, &verb, 1, n > 0) < 0)
        return err_set(err, ERR_PEER, "link: %s", zmq_strerror(errno));
    for (size_t i = 0; i < n; i++) {
        if (send_frame(link->socket, frames[i].data, frames[i].len, i + 1 < n) < 0)
            return err_set(err, ERR_PEER, "link: %s", zmq_strerror(errno));
        bytes += frames[i].len;
    }
    metrics_add(METRIC_LINK_MESSAGES_OUT, 1);
    metrics_add(METRIC_LINK_BYTES_OUT, bytes);
    return 0;
}

int
link_send(struct link_peer *peer, char verb, const struct wire_frame *frames, size_t n,
          struct err *err)
{
    int rc = send_all(peer, verb, frames, n, err);

    rearm(peer->link);
    return rc;
}
