/*
 * tunnel.c - see tunnel.h.
 *
 * The address that is connected to is one that was checked: a name is resolved once.  One forbidden address among those of
 * a name is enough to refuse it, as no public name has any.
 *
 * While RELAYING nothing is read from one side as long as the other has BACKLOG bytes to take, so a tunnel holds a few
 * hundred KiB at most.  Of a request that is not CONNECT, its body and nothing behind it goes to the host.
 */
#include "tunnel.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "gateway/clock.h"
#include "ownaddr.h"
#include "request.h"
#include "resolve.h"
#include "say.h"
#include "worker/protocol.h"

enum {
    READ_LIMIT_MS = 10000,      /* for the request's head to come */
    RESOLVE_LIMIT_MS = 10000,   /* for the addresses of its host */
    CONNECT_LIMIT_MS = 10000,   /* for each of them to be connected to ... */
    CONNECT_TOTAL_MS = 30000,   /* ... and for all */
    IDLE_LIMIT_MS = 120000,     /* without a byte in either direction */
    REFUSE_LIMIT_MS = 5000,     /* for the answer to be taken */
    LOOK_S = 2,                 /* between two looks whether the session is still there */
    BACKLOG = 64 << 10,         /* bytes that wait for one side */
    SEND_BUFFER = 128 << 10,    /* bytes that the system keeps for the host ... */
    RECEIVE_BUFFER = 256 << 10, /* ... and from it; it doubles both */
    SESSION_MAX = 32,           /* characters of a session's id */
};

enum state { READING, RESOLVING, CONNECTING, RELAYING, REFUSING };

/* One of the two ends; its output is what came in at the other. */
struct side {
    struct tunnel *tunnel;
    struct bufferevent *bev; /* NULL: not connected */
    struct side *other;
    uint64_t taken; /* bytes that came in here and were passed on */
    uint64_t left;  /* that may be */
    bool ended;     /* nothing more comes in */
    bool shut;      /* nothing more goes out */
};

struct tunnel {
    struct tunnel_env *env;
    enum state state;
    struct side client, host;
    struct event *timer, *look;
    char session[SESSION_MAX + 1];
    struct request *request;
    struct resolve *resolve;
    struct netaddr addresses[RESOLVE_MAX];
    size_t n_addresses, next; /* next: the one to try */
    int connecting_fd;        /* -1: none */
    struct event *connecting;
};

static void connect_next(struct tunnel *);

/* --- the end ------------------------------------------------------------------------------ */

static void
stop_connecting(struct tunnel *t)
{
    if (t->connecting)
        event_free(t->connecting);
    t->connecting = NULL;
    if (t->connecting_fd >= 0)
        close(t->connecting_fd);
    t->connecting_fd = -1;
}

static void
tunnel_free(struct tunnel *t)
{
    struct tunnel_env *env = t->env;

    resolve_cancel(t->resolve);
    stop_connecting(t);
    bufferevent_free(t->client.bev);
    if (t->host.bev)
        bufferevent_free(t->host.bev);
    event_free(t->timer);
    event_free(t->look);
    free(t->request);
    free(t);
    env->n--;
}

static const char *
current_address(const struct tunnel *t, char buf[NETADDR_TEXT])
{
    return t->next > 0 ? netaddr_text(&t->addresses[t->next - 1], buf) : "-";
}

static void
finish(struct tunnel *t, const char *how)
{
    char address[NETADDR_TEXT];

    say("session %s: %s:%u at %s: %s; sent %" PRIu64 " bytes, received %" PRIu64, t->session,
        t->request->host.text, t->request->port, current_address(t, address), how, t->client.taken,
        t->host.taken);
    tunnel_free(t);
}

static const char *
reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {403, "Forbidden"},       {405, "Method Not Allowed"},
        {408, "Request Timeout"}, {411, "Length Required"},
        {502, "Bad Gateway"},     {431, "Request Header Fields Too Large"},
        {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Bad Request";
}

static void
answer(struct tunnel *t, int status, const char *text)
{
    evbuffer_add_printf(bufferevent_get_output(t->client.bev),
                        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                        status, reason_phrase(status), strlen(text) + 1, text);
}

/* The answer goes out, what comes in is thrown away; ends when it has been taken. */
static void
refuse(struct tunnel *t, int status, const char *address, const char *why)
{
    const struct request *r = t->request;
    char text[400];

    snprintf(text, sizeof(text), "The proxy refused: %s", why);
    if (r && r->host.text[0])
        say("session %s: %s:%u at %s: refused: %s", t->session, r->host.text, r->port, address,
            why);
    else
        say("session %s: refused: %s", t->session, why);
    t->state = REFUSING;
    resolve_cancel(t->resolve);
    t->resolve = NULL;
    stop_connecting(t);
    answer(t, status, text);
    bufferevent_enable(t->client.bev, EV_READ | EV_WRITE);
    clock_arm(t->timer, REFUSE_LIMIT_MS);
}

/* --- relaying ----------------------------------------------------------------------------- */

static size_t
unsent(const struct side *s)
{
    return evbuffer_get_length(bufferevent_get_output(s->bev));
}

/* Says to the other end of s that nothing more will come; when neither direction goes on, that is all. */
static void
step_end(struct side *s)
{
    struct tunnel *t = s->tunnel;

    if (s->ended && !s->other->shut && unsent(s->other) == 0) {
        s->other->shut = true;
        shutdown(bufferevent_getfd(s->other->bev), SHUT_WR);
    }
    if (t->client.shut && t->host.shut)
        finish(t, "done");
}

static void
pass_on(struct side *s)
{
    struct evbuffer *in = bufferevent_get_input(s->bev);
    struct evbuffer *out = bufferevent_get_output(s->other->bev);
    const size_t have = evbuffer_get_length(in);
    const size_t n = have < s->left ? have : (size_t)s->left;

    if (!s->other->shut)
        evbuffer_remove_buffer(in, out, n);
    s->taken += n;
    s->left -= n;
    evbuffer_drain(in, evbuffer_get_length(in)); /* what does not belong there */
    if (evbuffer_get_length(out) > BACKLOG)
        bufferevent_disable(s->bev, EV_READ);
}

static void
on_relay_read(struct bufferevent *bev, void *arg)
{
    struct side *s = arg;

    (void)bev;
    clock_arm(s->tunnel->timer, IDLE_LIMIT_MS);
    pass_on(s);
}

/* All that waited for this side has been taken. */
static void
on_relay_written(struct bufferevent *bev, void *arg)
{
    struct side *s = arg;

    (void)bev;
    clock_arm(s->tunnel->timer, IDLE_LIMIT_MS);
    if (!s->other->ended)
        bufferevent_enable(s->other->bev, EV_READ);
    step_end(s->other);
}

/* A sandbox that ends its side of a plain request does not wait for the answer. */
static void
on_relay_event(struct bufferevent *bev, short what, void *arg)
{
    struct side *s = arg;
    struct tunnel *t = s->tunnel;

    if (!(what & BEV_EVENT_EOF)) {
        finish(t, "broken off");
        return;
    }
    pass_on(s);
    if (s == &t->client && !t->request->connect) {
        finish(t, "left");
        return;
    }
    s->ended = true;
    bufferevent_disable(bev, EV_READ);
    if (s == &t->host && !t->request->connect)
        t->host.shut = true; /* the answer is all there is */
    step_end(s);
}

static void
relay(struct side *s, uint64_t most)
{
    s->left = most;
    bufferevent_setcb(s->bev, on_relay_read, on_relay_written, on_relay_event, s);
    bufferevent_setwatermark(s->bev, EV_READ, 0, BACKLOG);
    bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

static void
start_relaying(struct tunnel *t, int fd)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    const struct request *r = t->request;
    char address[NETADDR_TEXT];

    t->host.bev = xnotnull(
        bufferevent_socket_new(t->env->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
    say("session %s: %s:%u at %s: allowed", t->session, r->host.text, r->port,
        current_address(t, address));
    t->state = RELAYING;
    relay(&t->host, UINT64_MAX);
    relay(&t->client, r->connect ? UINT64_MAX : r->body);
    if (r->connect)
        bufferevent_write(t->client.bev, established, sizeof(established) - 1);
    else
        bufferevent_write(t->host.bev, r->forward, r->forward_len);
    t->client.taken = r->forward_len;
    clock_arm(t->timer, IDLE_LIMIT_MS);
    pass_on(&t->client); /* what came behind the head */
}

/* --- connecting --------------------------------------------------------------------------- */

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct tunnel *t = arg;
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error || (what & EV_TIMEOUT)) {
        stop_connecting(t);
        connect_next(t);
        return;
    }
    t->connecting_fd = -1;
    stop_connecting(t);
    start_relaying(t, fd);
}

/* Of its own accord the system would keep megabytes for each connection, and who stops reading would have them kept. */
static void
prepare_socket(int fd)
{
    const int yes = 1, send = SEND_BUFFER, receive = RECEIVE_BUFFER;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
}

static int
begin_connecting(struct tunnel *t, const struct netaddr *address)
{
    struct sockaddr_storage to;
    const socklen_t size = netaddr_sockaddr(address, t->request->port, &to);
    const int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    prepare_socket(fd);
    if (connect(fd, (const struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    t->connecting_fd = fd;
    return 0;
}

/* Each address in turn, until one is there. */
static void
connect_next(struct tunnel *t)
{
    const struct timeval limit = {CONNECT_LIMIT_MS / 1000, 0};
    char address[NETADDR_TEXT];

    while (t->next < t->n_addresses) {
        if (begin_connecting(t, &t->addresses[t->next++]) < 0)
            continue;
        t->connecting =
            xnotnull(event_new(t->env->base, t->connecting_fd, EV_WRITE, on_connected, t));
        event_add(t->connecting, &limit);
        return;
    }
    refuse(t, 502, current_address(t, address), "the host cannot be reached");
}

static const char *
refuse_address(const struct netpolicy *policy, const struct netaddr *address)
{
    const char *kind = netpolicy_refuse_address(policy, address);

    if (kind || netpolicy_permits(policy, address))
        return kind;
    return ownaddr_is(address) ? "an address of this machine" : NULL;
}

/* What holds for it: the worker says what it is, and nothing that it sandboxes can say it. */
static const struct netpolicy *
policy_of(const struct tunnel *t)
{
    const bool installs =
        strncmp(t->session, TCI_INSTALLER_SESSION, strlen(TCI_INSTALLER_SESSION)) == 0;

    return installs ? t->env->install_policy : t->env->policy;
}

static void
check_addresses(struct tunnel *t)
{
    char address[NETADDR_TEXT], why[NETADDR_TEXT + 100];

    for (size_t i = 0; i < t->n_addresses; i++) {
        const char *kind = refuse_address(policy_of(t), &t->addresses[i]);

        if (kind == NULL)
            continue;
        netaddr_text(&t->addresses[i], address);
        snprintf(why, sizeof(why), "the host has %s", kind);
        refuse(t, 403, address, why);
        return;
    }
    t->state = CONNECTING;
    clock_arm(t->timer, CONNECT_TOTAL_MS);
    connect_next(t);
}

static void
on_resolved(void *owner, const struct netaddr *addresses, size_t n)
{
    struct tunnel *t = owner;

    t->resolve = NULL;
    if (n == 0) {
        refuse(t, 502, "-", "the host's name has no address");
        return;
    }
    memcpy(t->addresses, addresses, n * sizeof(*addresses));
    t->n_addresses = n;
    check_addresses(t);
}

/* --- the request -------------------------------------------------------------------------- */

static void
decide(struct tunnel *t)
{
    const struct request *r = t->request;
    const char *why = netpolicy_refuse_host(policy_of(t), &r->host, r->port);

    if (why) {
        refuse(t, 403, "-", why);
        return;
    }
    bufferevent_disable(t->client.bev, EV_READ);
    if (r->host.literal) {
        t->addresses[0] = r->host.address;
        t->n_addresses = 1;
        check_addresses(t);
        return;
    }
    t->state = RESOLVING;
    clock_arm(t->timer, RESOLVE_LIMIT_MS);
    t->resolve = resolve_start(t->env->dns, t->env->base, r->host.text, on_resolved, t);
}

/* "SESSION id\n"; 1 when it has been read, 0 while it has not come in full, -1 when it is something else. */
static int
read_session(struct tunnel *t, struct evbuffer *in)
{
    static const char word[] = "SESSION ";
    size_t len;
    char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
    int rc = -1;

    if (line == NULL)
        return evbuffer_get_length(in) < sizeof(word) + SESSION_MAX ? 0 : -1;
    if (strncmp(line, word, sizeof(word) - 1) == 0) {
        const char *id = line + sizeof(word) - 1;
        const size_t n = strlen(id);

        if (n >= 1 && n <= SESSION_MAX && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") == n) {
            memcpy(t->session, id, n + 1);
            rc = 1;
        }
    }
    free(line);
    return rc;
}

static void
read_request(struct tunnel *t, struct evbuffer *in)
{
    const size_t have = evbuffer_get_length(in);
    const size_t len = have < REQUEST_MAX ? have : REQUEST_MAX;
    struct request *r = t->request ? t->request : xcalloc(1, sizeof(*r));
    struct refusal refusal;
    const char *data = (const char *)evbuffer_pullup(in, (ssize_t)len);
    int rc;

    t->request = r;
    rc = request_parse(data ? data : "", len, r, &refusal);
    if (rc < 0) {
        r->host.text[0] = '\0';
        refuse(t, refusal.status, "-", refusal.why);
    } else if (rc > 0) {
        evbuffer_drain(in, r->size);
        decide(t);
    }
}

static void
on_read(struct bufferevent *bev, void *arg)
{
    struct tunnel *t = ((struct side *)arg)->tunnel;
    struct evbuffer *in = bufferevent_get_input(bev);
    const int rc = t->state == READING && !t->session[0] ? read_session(t, in) : 1;

    if (rc < 0)
        tunnel_free(t); /* no worker of ours */
    else if (t->state == REFUSING)
        evbuffer_drain(in, evbuffer_get_length(in));
    else if (rc > 0 && t->state == READING)
        read_request(t, in);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
    struct tunnel *t = ((struct side *)arg)->tunnel;

    /* This may be told before the answer was written, of the nothing that there was to write. */
    if (t->state == REFUSING && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
        tunnel_free(t);
}

/* The sandbox is gone before anything was passed on. */
static void
on_event(struct bufferevent *bev, short what, void *arg)
{
    struct tunnel *t = ((struct side *)arg)->tunnel;

    (void)bev;
    if (t->state != REFUSING || !(what & BEV_EVENT_EOF))
        tunnel_free(t);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct tunnel *t = arg;

    (void)fd, (void)what;
    if (t->state == RELAYING)
        finish(t, "idle for too long");
    else if (t->state == RESOLVING)
        refuse(t, 504, "-", "the host's name was not resolved in time");
    else if (t->state == CONNECTING)
        refuse(t, 504, "-", "the host did not answer in time");
    else if (t->state == READING && t->session[0])
        refuse(t, 408, "-", "the request did not come in time");
    else
        tunnel_free(t);
}

/*
 * While nothing is read from a session nobody tells of its end, and what it has sent may wait for a host for minutes: so many
 * connections of sessions that are gone could be kept that none are left.
 */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
    struct tunnel *t = arg;
    struct pollfd client = {.fd = bufferevent_getfd(t->client.bev)};

    (void)fd, (void)what;
    if (poll(&client, 1, 0) <= 0 || !(client.revents & POLLHUP))
        return; /* to end one direction is no hang-up */
    if (t->state == RELAYING)
        finish(t, "the session has ended");
    else
        tunnel_free(t);
}

void
tunnel_start(struct tunnel_env *env, int fd)
{
    static const struct timeval interval = {LOOK_S, 0};
    struct tunnel *t = xcalloc(1, sizeof(*t));

    t->env = env;
    t->connecting_fd = -1;
    t->client.tunnel = t->host.tunnel = t;
    t->client.other = &t->host;
    t->host.other = &t->client;
    t->timer = xnotnull(evtimer_new(env->base, on_timer, t));
    t->client.bev = xnotnull(
        bufferevent_socket_new(env->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS));
    bufferevent_setcb(t->client.bev, on_read, on_written, on_event, &t->client);
    bufferevent_setwatermark(t->client.bev, EV_READ, 0, 2 * REQUEST_MAX);
    bufferevent_enable(t->client.bev, EV_READ | EV_WRITE);
    clock_arm(t->timer, READ_LIMIT_MS);
    t->look = xnotnull(event_new(env->base, -1, EV_PERSIST, on_look, t));
    event_add(t->look, &interval);
    env->n++;
}
