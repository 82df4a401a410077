/*
 * egress.c - see egress.h.
 *
 * The proxy's standard input is a socket of which we hold the other end: the lists go there (proxy/control.h), and its end is
 * how the proxy learns of ours, however we end.
 */
#include "egress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "child.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "metrics.h"
#include "packageindex.h"
#include "unixsocket.h"
#include "worker/protocol.h"

enum {
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 5000,
    STEADY_S = 10,          /* after which an end is no sequel of the one before */
    LINE_MAX_BYTES = 4096,  /* of what the proxy says */
    READ_BUDGET = 16 << 10, /* bytes of that in a turn */
};

struct egress {
    struct event_base *base;
    const struct config *config;
    char *program;
    int listen_fd;
    int control_fd, output_fd; /* -1: no proxy */
    struct child *child;       /* NULL: none */
    struct event *start, *output_event;
    struct evbuffer *output;
    unsigned backoff_ms;
    double started; /* clock_now */
};

/* --- what it says ------------------------------------------------------------------------- */

static void
log_lines(struct egress *e)
{
    char *line;

    while ((line = evbuffer_readln(e->output, NULL, EVBUFFER_EOL_LF)) != NULL) {
        log_info("proxy: %s", line);
        free(line);
    }
    if (evbuffer_get_length(e->output) > LINE_MAX_BYTES)
        evbuffer_drain(e->output, evbuffer_get_length(e->output));
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
    struct egress *e = arg;
    const int n = evbuffer_read(e->output, fd, READ_BUDGET);

    (void)what;
    log_lines(e);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        event_del(e->output_event);
}

/* --- what it is told ---------------------------------------------------------------------- */

/* -1: it takes nothing. */
static int
send_lists(const struct egress *e, int listen_fd)
{
    const struct config *c = e->config;
    /* It may run for installations alone, beside sessions of a time when these had a network. */
    const char *allow = c->network == NETWORK_ALLOWLIST ? c->network_allow : "";
    cleanup_free char *install = packageindex_allow(c->packages_index, c->packages_hosts);
    cleanup_free char *text =
        xasprintf("%s\n%s\n%s\n%s\n", allow, c->network_permit, c->network_resolver, install);
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } ancillary = {.space = {0}};
    struct iovec iov = {text, strlen(text)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (listen_fd >= 0) {
        m.msg_control = ancillary.space;
        m.msg_controllen = sizeof(ancillary.space);
        ancillary.head.cmsg_level = SOL_SOCKET;
        ancillary.head.cmsg_type = SCM_RIGHTS;
        ancillary.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&ancillary.head), &listen_fd, sizeof(listen_fd));
    }
    return sendmsg(e->control_fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)iov.iov_len ? 0 : -1;
}

/* --- its life ----------------------------------------------------------------------------- */

static void
close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
let_go(struct egress *e)
{
    if (e->output_event)
        event_free(e->output_event);
    e->output_event = NULL;
    close_one(&e->control_fd);
    close_one(&e->output_fd);
}

static void
start_later(struct egress *e, const char *why)
{
    if (clock_now() - e->started > STEADY_S)
        e->backoff_ms = BACKOFF_MIN_MS;
    log_warn("proxy: %s; next start in %u ms", why, e->backoff_ms);
    clock_arm(e->start, e->backoff_ms);
    e->backoff_ms = e->backoff_ms * 2 < BACKOFF_MAX_MS ? e->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void
on_done(void *owner, bool ok, const char *why)
{
    struct egress *e = owner;

    e->child = NULL;
    on_output(e->output_fd, 0, e); /* its last words */
    let_go(e);
    start_later(e, ok ? "it ended" : why);
}

static struct child *
spawn(struct egress *e, int input, int output, struct err *err)
{
    const char *const argv[] = {e->program, NULL};
    const char *const env[] = {"LANG=C.UTF-8", NULL}; /* ours may hold the token */
    const struct child_spec spec = {.argv = argv,
                                    .env = env,
                                    .stdin_fd = input,
                                    .output_fd = output,
                                    .timeout_ms = CHILD_NO_TIMEOUT};

    return child_spawn(e->base, &spec, on_done, e, err);
}

static int
start(struct egress *e, struct err *err)
{
    int control[2] = {-1, -1}, output[2] = {-1, -1};

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return err_sys(err, "cannot make the proxy's socket");
    e->control_fd = control[0];
    if (pipe2(output, O_CLOEXEC) < 0) {
        err_sys(err, "cannot make the proxy's pipe");
        close_one(&control[1]);
        return -1;
    }
    e->output_fd = output[0];
    fcntl(e->output_fd, F_SETFL, O_NONBLOCK);
    e->child = spawn(e, control[1], output[1], err);
    close_one(&control[1]);
    close_one(&output[1]);
    if (e->child == NULL)
        return -1;
    e->output_event =
        xnotnull(event_new(e->base, e->output_fd, EV_READ | EV_PERSIST, on_output, e));
    event_add(e->output_event, NULL);
    return 0;
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
    struct egress *e = arg;
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    e->started = clock_now();
    metrics_add(METRIC_PROXY_STARTS, 1);
    if (start(e, &err) < 0) {
        let_go(e);
        start_later(e, err.msg);
    } else if (send_lists(e, e->listen_fd) < 0) {
        close_one(&e->control_fd); /* it ends, and is started again */
    }
}

/* One that takes nothing is not to go on with the old lists. */
void
egress_reconfigure(struct egress *e)
{
    if (e && e->control_fd >= 0 && send_lists(e, -1) < 0)
        close_one(&e->control_fd);
}

struct egress *
egress_new(struct event_base *base, const char *program, const char *dir,
           const struct config *config, struct err *err)
{
    struct egress *e = xcalloc(1, sizeof(*e));

    e->base = base;
    e->config = config;
    e->program = xstrdup(program);
    e->control_fd = e->output_fd = -1;
    e->backoff_ms = BACKOFF_MIN_MS;
    e->output = xnotnull(evbuffer_new());
    e->start = xnotnull(evtimer_new(base, on_start, e));
    e->listen_fd = unixsocket_listen(dir, TCI_PATH_PROXY_SOCKET, err);
    if (e->listen_fd < 0) {
        egress_free(e);
        return NULL;
    }
    clock_arm(e->start, 0);
    return e;
}

void
egress_free(struct egress *e)
{
    if (e == NULL)
        return;
    if (e->child)
        child_cancel(e->child);
    let_go(e);
    close_one(&e->listen_fd);
    event_free(e->start);
    evbuffer_free(e->output);
    free(e->program);
    free(e);
}
