/* peers.c - see peers.h.  What is known of descriptor n is in entries[n]. */
#include "peers.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"

enum {
    LOOK_MS = 1000,        /* how often deadlines are looked at */
    SHUT_FACTOR = 2,       /* times the limit: from then on no answer is given any more */
    BYTES_PER_S = 64 << 10 /* an answer may be taken as slowly as this */
};

struct address {
    uint8_t ip[16]; /* version 4 as ::ffff:a.b.c.d */
    in_port_t port;
};

struct entry {
    struct address peer;
    double deadline; /* clock_now; 0 = none */
    uint64_t
        received; /* bytes, ever, when a request was first expected: without more the connection is idle */
    bool used, surplus, reading;
};

/* Accepted, but its descriptor is not known yet. */
struct newcomer {
    struct bufferevent *bev;
    struct newcomer *next;
};

struct peers {
    struct peers_limits limits;
    struct entry *entries;
    int n;
    struct newcomer *newcomers;
    struct event *arrival; /* there are newcomers */
    struct event *look;    /* deadlines */
};

/* --- addresses ---------------------------------------------------------------------------- */

/* False if the descriptor is no connection. */
static bool
find_peer(int fd, struct address *out)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);

    memset(out, 0, sizeof(*out));
    memset(&ss, 0, sizeof(ss));
    if (fd < 0 || getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
        return false;
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

        memset(out->ip + 10, 0xff, 2);
        memcpy(out->ip + 12, &v4->sin_addr, 4);
        out->port = v4->sin_port;
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

        memcpy(out->ip, &v6->sin6_addr, sizeof(out->ip));
        out->port = v6->sin6_port;
    }
    return true;
}

static bool
is_there(const struct peers *p, int fd)
{
    struct address now;

    return find_peer(fd, &now) && memcmp(now.ip, p->entries[fd].peer.ip, sizeof(now.ip)) == 0 &&
           now.port == p->entries[fd].peer.port;
}

/* --- one connection ----------------------------------------------------------------------- */

static struct entry *
entry_of(const struct peers *p, int fd)
{
    return fd >= 0 && fd < p->n && p->entries[fd].used ? &p->entries[fd] : NULL;
}

static uint64_t
bytes_received(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}

static void
set_deadline(struct peers *p, int fd, bool reading, double deadline)
{
    struct entry *e = entry_of(p, fd);

    if (e == NULL)
        return;
    e->reading = reading;
    e->deadline = deadline;
}

void
peers_reading(struct peers *p, int fd)
{
    struct entry *e = entry_of(p, fd);

    set_deadline(p, fd, true, clock_now() + p->limits.seconds);
    if (e)
        e->received = bytes_received(fd);
}

void
peers_handling(struct peers *p, int fd)
{
    set_deadline(p, fd, false, 0);
}

/* A client that sends nothing at all is evhttp's business. */
void
peers_receiving(struct peers *p, int fd, size_t size)
{
    struct entry *e = entry_of(p, fd);

    set_deadline(p, fd, true, clock_now() + p->limits.seconds + (double)size / BYTES_PER_S);
    if (e)
        e->received = bytes_received(fd);
}

void
peers_sending(struct peers *p, int fd, size_t size)
{
    set_deadline(p, fd, false, clock_now() + p->limits.seconds + (double)size / BYTES_PER_S);
}

bool
peers_is_surplus(const struct peers *p, int fd)
{
    const struct entry *e = entry_of(p, fd);

    return e && e->surplus;
}

/* --- all of them -------------------------------------------------------------------------- */

/* Entries with that address; those that have gone are counted as well, unless `check`, which removes them. */
static unsigned
count(struct peers *p, const struct address *peer, bool check)
{
    unsigned n = 0;

    for (int fd = 0; fd < p->n; fd++) {
        struct entry *e = &p->entries[fd];

        if (!e->used || memcmp(e->peer.ip, peer->ip, sizeof(peer->ip)) != 0)
            continue;
        e->used = !check || is_there(p, fd);
        n += e->used;
    }
    return n;
}

static void
make_room(struct peers *p, int fd)
{
    int n = p->n ? p->n : 64;

    if (fd < p->n)
        return;
    while (n <= fd)
        n *= 2;
    p->entries = xrealloc(p->entries, (size_t)n * sizeof(*p->entries));
    memset(p->entries + p->n, 0, (size_t)(n - p->n) * sizeof(*p->entries));
    p->n = n;
}

static void
limit(struct peers *p, int fd)
{
    struct entry *e = &p->entries[fd];
    unsigned n;

    if (p->limits.per_address == 0 || count(p, &e->peer, false) <= p->limits.per_address)
        return;
    n = count(p, &e->peer, true);
    e->surplus = n > p->limits.per_address;
    if (!e->surplus)
        return;
    metrics_add(METRIC_HTTP_SURPLUS_CONNECTIONS, 1);
    if (n > SHUT_FACTOR * p->limits.per_address)
        shutdown(fd, SHUT_RDWR); /* evhttp finds its end */
}

static void
meet(struct peers *p, int fd)
{
    struct address peer;

    if (!find_peer(fd, &peer))
        return; /* gone already */
    make_room(p, fd);
    p->entries[fd] = (struct entry){.peer = peer, .used = true};
    peers_reading(p, fd);
    limit(p, fd);
}

static struct bufferevent *
take_newcomer(struct peers *p)
{
    struct newcomer *first = p->newcomers;
    struct bufferevent *bev = first->bev;

    p->newcomers = first->next;
    free(first);
    return bev;
}

static void
on_arrival(evutil_socket_t fd, short what, void *arg)
{
    struct peers *p = arg;

    (void)fd, (void)what;
    while (p->newcomers) {
        struct bufferevent *bev = take_newcomer(p);

        meet(p, bufferevent_getfd(bev));
        bufferevent_decref(bev);
    }
}

void
peers_add(struct peers *p, struct bufferevent *bev)
{
    struct newcomer *newcomer = xcalloc(1, sizeof(*newcomer));

    bufferevent_incref(bev);
    newcomer->bev = bev;
    newcomer->next = p->newcomers;
    p->newcomers = newcomer;
    event_active(p->arrival, EV_TIMEOUT, 0); /* in this turn: before its request can be read */
}

static void
cut(struct peers *p, int fd)
{
    metrics_add(METRIC_HTTP_SLOW_CONNECTIONS, 1);
    log_info("http: a client took longer than %.3g s to %s", p->limits.seconds,
             p->entries[fd].reading ? "send a request" : "take its answer");
    shutdown(fd, SHUT_RDWR); /* evhttp finds its end */
    p->entries[fd].used = false;
}

/* Its deadline has passed. */
static void
judge(struct peers *p, int fd)
{
    struct entry *e = &p->entries[fd];

    if (!is_there(p, fd))
        e->used = false;
    else if (e->reading && bytes_received(fd) == e->received)
        peers_reading(p, fd); /* idle: evhttp has a clock for that */
    else
        cut(p, fd);
}

static void
on_look(evutil_socket_t none, short what, void *arg)
{
    struct peers *p = arg;
    const double now = clock_now();

    (void)none, (void)what;
    for (int fd = 0; fd < p->n; fd++)
        if (p->entries[fd].used && p->entries[fd].deadline > 0 && now >= p->entries[fd].deadline)
            judge(p, fd);
    clock_arm(p->look, LOOK_MS);
}

struct peers *
peers_new(struct event_base *base, const struct peers_limits *limits)
{
    struct peers *p = xcalloc(1, sizeof(*p));

    p->limits = *limits;
    p->arrival = xnotnull(evtimer_new(base, on_arrival, p));
    p->look = xnotnull(evtimer_new(base, on_look, p));
    clock_arm(p->look, LOOK_MS);
    return p;
}

void
peers_set_limits(struct peers *p, const struct peers_limits *limits)
{
    p->limits = *limits;
}

void
peers_free(struct peers *p)
{
    if (p == NULL)
        return;
    while (p->newcomers)
        bufferevent_decref(take_newcomer(p));
    event_free(p->arrival);
    event_free(p->look);
    free(p->entries);
    free(p);
}
