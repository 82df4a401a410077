/*
 * main.c - tci-proxy: the way out for sessions that may have one, to the names on the operator's list.  A process of its
 * own, so that nothing that it reads endangers the gateway, which starts and ends it (gateway/egress.c).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <event2/dns.h>
#include <event2/event.h>

#include "confine.h"
#include "control.h"
#include "gateway/clock.h"
#include "gateway/ocispec.h"
#include "gateway/unixsocket.h"
#include "say.h"
#include "tunnel.h"

/* Of each tunnel two: where there were fewer, names of silent servers would keep others waiting. */
#define MAX_QUESTIONS "4096"

enum {
    MAX_TUNNELS = 2048,
    DESCRIPTORS = 2 * MAX_TUNNELS + 64,
    ACCEPT_BUDGET = 64, /* connections of one turn of the loop */
    ACCEPT_PAUSE_MS = 20,
};

struct proxy {
    struct tunnel_env env;
    struct netpolicy *policy, *install_policy;
    struct event *control, *acceptable, *resume;
};

/* --- connections -------------------------------------------------------------------------- */

/* Looks away: those that come wait in the socket's queue. */
static void
pause_accepting(struct proxy *p)
{
    event_del(p->acceptable);
    clock_arm(p->resume, ACCEPT_PAUSE_MS);
}

/* As the gateway's link, it is there for the containers' root only. */
static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct proxy *p = arg;

    (void)what;
    for (int i = 0; i < ACCEPT_BUDGET; i++) {
        const int peer =
            p->env.n < MAX_TUNNELS ? accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;

        if (peer < 0 && p->env.n < MAX_TUNNELS &&
            (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            return;
        if (peer < 0) {
            pause_accepting(p);
            return;
        }
        if (unixsocket_peer_is(peer, OCISPEC_LINK_GID))
            tunnel_start(&p->env, peer);
        else
            close(peer);
    }
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct proxy *p = arg;

    (void)fd, (void)what;
    event_add(p->acceptable, NULL);
}

/* --- the gateway -------------------------------------------------------------------------- */

static void
take_policies(struct proxy *p, const struct control_message *m)
{
    netpolicy_free(p->policy);
    netpolicy_free(p->install_policy);
    p->env.policy = p->policy = m->policy;
    p->env.install_policy = p->install_policy = m->install_policy;
}

static void
on_control(evutil_socket_t fd, short what, void *arg)
{
    struct proxy *p = arg;
    struct control_message m;
    struct err err = ERR_INIT;
    const int rc = control_read(fd, &m, &err);

    (void)what;
    if (rc == 0)
        return;
    if (rc < 0) {
        event_base_loopbreak(p->env.base);
        return;
    }
    if (m.listen_fd >= 0)
        close(m.listen_fd); /* there is one */
    take_policies(p, &m);
}

/* Blocks until the first message is there. */
static void
read_first(struct control_message *m)
{
    struct pollfd item = {.fd = STDIN_FILENO, .events = POLLIN};
    struct err err = ERR_INIT;
    int rc;

    while ((rc = control_read(STDIN_FILENO, m, &err)) == 0)
        poll(&item, 1, -1);
    if (rc < 0)
        say_and_exit("cannot start: %s", err.msg);
    if (m->listen_fd < 0)
        say_and_exit("cannot start: there is no socket to listen on");
}

/* --- names -------------------------------------------------------------------------------- */

/*
 * A name whose own servers are silent must not make the resolver look dead to other sessions, hence max-timeouts.  Search
 * domains would make other names of those on the list.
 */
static struct evdns_base *
open_resolver(struct event_base *base, const char *resolver)
{
    static const char *const options[][2] = {{"timeout:", "3"},
                                             {"attempts:", "2"},
                                             {"max-timeouts:", "255"},
                                             {"initial-probe-timeout:", "1"},
                                             {"max-inflight:", MAX_QUESTIONS}};
    struct evdns_base *dns = evdns_base_new(base, 0);
    int rc;

    if (dns == NULL)
        say_and_exit("cannot start: out of memory");
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        evdns_base_set_option(dns, options[i][0], options[i][1]);
    if (resolver[0])
        rc = evdns_base_nameserver_ip_add(dns, resolver);
    else
        rc = evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS, "/etc/resolv.conf");
    if (rc != 0)
        say("no name can be resolved: %s is not usable",
            resolver[0] ? resolver : "/etc/resolv.conf");
    return dns;
}

/* --- life --------------------------------------------------------------------------------- */

static void
run(struct proxy *p, const struct control_message *first)
{
    take_policies(p, first);
    p->control =
        xnotnull(event_new(p->env.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_control, p));
    p->acceptable =
        xnotnull(event_new(p->env.base, first->listen_fd, EV_READ | EV_PERSIST, on_acceptable, p));
    p->resume = xnotnull(evtimer_new(p->env.base, on_resume, p));
    event_add(p->control, NULL);
    event_add(p->acceptable, NULL);
    event_base_dispatch(p->env.base);
}

int
main(void)
{
    static struct proxy proxy;
    struct control_message first;

    signal(SIGPIPE, SIG_IGN);
    fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    /* The one file is read, and what the C library reads on the way, before that is not possible any more. */
    read_first(&first);
    proxy.env.base = event_base_new();
    if (proxy.env.base == NULL)
        say_and_exit("cannot start: out of memory");
    proxy.env.dns = open_resolver(proxy.env.base, first.resolver);
    confine(OCISPEC_PROXY_ID, DESCRIPTORS);
    say("ready");
    run(&proxy, &first);
    return 0;
}
