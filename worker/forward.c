/*
 * forward.c - see forward.h.
 *
 * A pair is two ends and a flow in each direction.  A flow reads from its end while it has room and writes to the other
 * end; when its end has said all and all is written, the other end is told (shutdown).  An end for which there is nothing
 * to do is not watched at all, since epoll would tell of its hang-up again and again.
 *
 * The proxy may answer and end before it has read all, so its end does not end the pair before the program has had a moment
 * to read: what the program still sends is read and thrown away.
 */
#include "forward.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "protocol.h"

enum { EVENTS = 32, PREFACE_MAX = 64 };

enum { PROGRAM, PROXY, N_ENDS }; /* the two ends of a pair */

struct end {
    struct pair *pair; /* NULL: the listening socket */
    int fd;
    uint32_t watched; /* events; 0 = not at all */
};

/* From the end of the same index to the other one. */
struct flow {
    uint8_t data[FORWARD_BUFFER];
    size_t begin, end;
    bool ended; /* nothing more comes in */
    bool shut;  /* nothing more goes out; what comes in is thrown away */
};

struct pair {
    struct end ends[N_ENDS];
    struct flow flows[N_ENDS];
    int64_t deadline_ms;
    bool dead;
    struct pair *next;
};

struct forward {
    int epoll;
    struct end listener;
    struct pair *pairs;
    unsigned n;
    int64_t
        credit_ms; /* when connections at the steady rate would have come up to those there were */
    char preface[PREFACE_MAX];
};

/* --- what is watched ---------------------------------------------------------------------- */

static void
watch(const struct forward *f, struct end *e, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = e};
    const int op = events == 0 ? EPOLL_CTL_DEL : e->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (events == e->watched)
        return;
    if (epoll_ctl(f->epoll, op, e->fd, &event) < 0)
        die(TCI_EXIT_SYSTEM, "cannot watch a connection: %s", strerror(errno));
    e->watched = events;
}

static bool
has_credit(const struct forward *f)
{
    return f->credit_ms - clock_ms() < FORWARD_BURST * FORWARD_INTERVAL_MS;
}

static void
watch_listener(struct forward *f)
{
    watch(f, &f->listener, f->n < FORWARD_MAX && has_credit(f) ? EPOLLIN : 0);
}

static void
watch_pair(const struct forward *f, struct pair *p)
{
    for (int i = 0; i < N_ENDS; i++) {
        const struct flow *in = &p->flows[i], *out = &p->flows[!i];
        const bool reads = !in->ended && (in->shut || in->end < FORWARD_BUFFER);
        const bool writes = !out->shut && out->end > out->begin;

        watch(f, &p->ends[i], (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U));
    }
}

/* --- bytes -------------------------------------------------------------------------------- */

/* True when something came or ended. */
static bool
flow_read(struct flow *flow, int fd)
{
    ssize_t n;

    if (flow->shut)
        flow->begin = flow->end = 0;
    if (flow->ended || flow->end == FORWARD_BUFFER)
        return false;
    n = recv(fd, flow->data + flow->end, FORWARD_BUFFER - flow->end, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0)
        flow->ended = true;
    else
        flow->end += (size_t)n;
    return true;
}

/* -1: the other end takes nothing any more. */
static int
flow_write(struct flow *flow, int fd)
{
    ssize_t n;

    if (flow->shut || flow->begin == flow->end)
        return 0;
    n = send(fd, flow->data + flow->begin, flow->end - flow->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    flow->begin += (size_t)n;
    if (flow->begin == flow->end)
        flow->begin = flow->end = 0;
    return 0;
}

/* Tells the other end that this was all, once it has all. */
static void
flow_end(struct flow *flow, int fd)
{
    if (!flow->ended || flow->shut || flow->begin < flow->end)
        return;
    shutdown(fd, SHUT_WR);
    flow->shut = true;
}

static void
carry(struct pair *p)
{
    struct flow *to_proxy = &p->flows[PROGRAM], *to_program = &p->flows[PROXY];
    const int program = p->ends[PROGRAM].fd, proxy = p->ends[PROXY].fd;
    const bool was_shut = to_program->shut;
    bool moved = flow_read(to_proxy, program);

    moved |= flow_read(to_program, proxy);
    if (flow_write(to_proxy, proxy) < 0)
        to_proxy->shut = true; /* it may have answered all the same */
    if (flow_write(to_program, program) < 0)
        p->dead = true;
    flow_end(to_proxy, proxy);
    flow_end(to_program, program);
    p->dead |= to_program->shut && to_proxy->ended;
    if (to_program->shut && !was_shut)
        p->deadline_ms = clock_ms() + FORWARD_LINGER_MS;
    else if (moved && !to_program->shut)
        p->deadline_ms = clock_ms() + FORWARD_IDLE_MS;
}

/* --- connections -------------------------------------------------------------------------- */

/* -1 when the proxy cannot be reached.  Its socket's queue is the gateway's, so that takes more than its restart. */
static int
dial(void)
{
    const struct sockaddr_un addr = {.sun_family = AF_UNIX,
                                     .sun_path = TCI_PATH_PROXY_DIR "/" TCI_PATH_PROXY_SOCKET};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void
turn_away(int program)
{
    static const char text[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";

    (void)!send(program, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(program, SHUT_WR);
    close(program);
}

static void
pair_new(struct forward *f, int program, int proxy)
{
    struct pair *p = calloc(1, sizeof(*p));
    struct flow *to_proxy;

    if (p == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    p->ends[PROGRAM] = (struct end){.pair = p, .fd = program};
    p->ends[PROXY] = (struct end){.pair = p, .fd = proxy};
    p->deadline_ms = clock_ms() + FORWARD_IDLE_MS;
    to_proxy = &p->flows[PROGRAM];
    to_proxy->end = strlen(f->preface);
    memcpy(to_proxy->data, f->preface, to_proxy->end);
    p->next = f->pairs;
    f->pairs = p;
    f->n++;
    watch_pair(f, p);
}

static void
pair_free(struct pair *p)
{
    close(p->ends[PROGRAM].fd); /* epoll forgets them by itself */
    close(p->ends[PROXY].fd);
    free(p);
}

/* Those that are over, and those whose time is. */
static void
sweep(struct forward *f)
{
    const int64_t now = clock_ms();

    for (struct pair **at = &f->pairs; *at;) {
        struct pair *p = *at;

        if (!p->dead && now < p->deadline_ms) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pair_free(p);
        f->n--;
    }
}

static void
take_one(struct forward *f)
{
    const int64_t now = clock_ms();
    const int yes = 1;
    const int program = accept4(f->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int proxy;

    if (program < 0)
        return;
    f->credit_ms = (f->credit_ms > now ? f->credit_ms : now) + FORWARD_INTERVAL_MS;
    setsockopt(program, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    proxy = dial();
    if (proxy < 0)
        turn_away(program);
    else
        pair_new(f, program, proxy);
}

void
forward_run(struct forward *f)
{
    struct epoll_event events[EVENTS];
    int n;

    if (f == NULL)
        return;
    n = epoll_wait(f->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct pair *p = ((struct end *)events[i].data.ptr)->pair;

        if (p == NULL) {
            take_one(f);
        } else if (!p->dead) {
            carry(p);
            watch_pair(f, p);
        }
    }
    sweep(f);
    watch_listener(f);
}

int64_t
forward_due_ms(const struct forward *f)
{
    int64_t at = CLOCK_NEVER;

    if (f == NULL)
        return at;
    if (f->n < FORWARD_MAX && f->listener.watched == 0)
        at = f->credit_ms - FORWARD_BURST * FORWARD_INTERVAL_MS + 1;
    for (const struct pair *p = f->pairs; p; p = p->next)
        at = p->deadline_ms < at ? p->deadline_ms : at;
    return at;
}

int
forward_fd(const struct forward *f)
{
    return f ? f->epoll : -1;
}

/* --- life --------------------------------------------------------------------------------- */

static int
listen_on_loopback(void)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons(TCI_PROXY_PORT),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, FORWARD_MAX) == 0)
        return fd;
    close(fd);
    return -1;
}

struct forward *
forward_new(const struct frame *session)
{
    struct forward *f = calloc(1, sizeof(*f));

    if (f == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    snprintf(f->preface, sizeof(f->preface), "SESSION %.*s\n", (int)session->len,
             (const char *)session->data);
    f->listener.fd = listen_on_loopback();
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->listener.fd < 0 || f->epoll < 0) {
        note("there is no way out: cannot listen on port %d: %s", TCI_PROXY_PORT, strerror(errno));
        forward_free(f);
        return NULL;
    }
    watch_listener(f);
    return f;
}

void
forward_free(struct forward *f)
{
    if (f == NULL)
        return;
    for (struct pair *p = f->pairs, *next; p; p = next) {
        next = p->next;
        pair_free(p);
    }
    if (f->listener.fd >= 0)
        close(f->listener.fd);
    if (f->epoll >= 0)
        close(f->epoll);
    free(f);
}
