#include "listener.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "clock.h"
#include "hostport.h"
#include "log.h"

enum {
    BACKLOG = 512,
    SEND_LOW = 128 << 10,  /* bytes not sent yet under which a socket takes more */
    ACCEPT_PAUSE_MS = 200, /* when descriptors have run out */
};

struct listener {
    struct listener *next;
    struct event_base *base;
    struct evconnlistener *socket;
    struct event *resume; /* accepting again after descriptors ran out */
    int max_descriptors;
};

/* evhttp has callbacks of the sockets that it takes called with an argument of its own, the one for errors, too. */
static struct listener *listeners;

static struct listener *
listener_of(const struct evconnlistener *socket)
{
    struct listener *l;

    LL_SEARCH_SCALAR(listeners, l, socket, socket);
    return l;
}

/* --- descriptors that run out ------------------------------------------------------------- */

static void
pause_accepting(struct listener *l)
{
    evconnlistener_disable(l->socket);
    clock_arm(l->resume, ACCEPT_PAUSE_MS);
}

/* Descriptors are given out from the lowest free number on, so a new one tells about how many are in use. */
static bool
are_descriptors_short(const struct listener *l)
{
    int probe = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    if (probe >= 0)
        close(probe);
    return probe < 0 || probe >= l->max_descriptors;
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;

    (void)fd, (void)what;
    if (are_descriptors_short(l))
        pause_accepting(l);
    else
        evconnlistener_enable(l->socket);
}

/* Out of descriptors: the waiting connection would wake the loop again and again, so look away for a while. */
static void
on_accept_error(struct evconnlistener *socket, void *arg)
{
    (void)arg;
    log_error("http: cannot accept a connection: %s", strerror(errno));
    pause_accepting(listener_of(socket));
}

void
listener_accepted(struct listener *l)
{
    if (are_descriptors_short(l))
        pause_accepting(l);
}

void
listener_set_max_descriptors(struct listener *l, unsigned max_descriptors)
{
    l->max_descriptors = (int)max_descriptors;
}

/* --- life --------------------------------------------------------------------------------- */

/* Accepted connections inherit these. */
static void
set_tcp_options(evutil_socket_t fd)
{
    const int one = 1, unsent = SEND_LOW;

    /* The end of a long answer must not wait for the client's delayed acknowledgement. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* A reader's progress shows only when room in the send buffer is reported, so let that be soon. */
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

static int
bind_to(struct listener *l, const char *address, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char host[256], service[8];
    uint16_t port;
    int rc;

    if (hostport_split(address, host, sizeof(host), &port) < 0)
        return err_field(err, ERR_CONFIG, "TCI_LISTEN", "TCI_LISTEN: \"%s\" is not host:port",
                         address);
    snprintf(service, sizeof(service), "%u", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        return err_field(err, ERR_CONFIG, "TCI_LISTEN", "TCI_LISTEN: %s: %s", host,
                         gai_strerror(rc));
    l->socket = evconnlistener_new_bind(
        l->base, NULL, NULL, LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE,
        BACKLOG, found->ai_addr, (int)found->ai_addrlen);
    freeaddrinfo(found);
    if (l->socket == NULL)
        return err_sys(err, "TCI_LISTEN: cannot listen on %s", address);
    set_tcp_options(evconnlistener_get_fd(l->socket));
    evconnlistener_set_error_cb(l->socket, on_accept_error);
    return 0;
}

struct listener *
listener_new(struct event_base *base, const char *address, unsigned max_descriptors,
             struct err *err)
{
    struct listener *l = xcalloc(1, sizeof(*l));

    l->base = base;
    l->max_descriptors = (int)max_descriptors;
    l->resume = xnotnull(evtimer_new(base, on_resume, l));
    LL_PREPEND(listeners, l);
    if (bind_to(l, address, err) == 0)
        return l;
    listener_free(l);
    return NULL;
}

void
listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    LL_DELETE(listeners, l);
    event_free(l->resume);
    free(l);
}

struct evconnlistener *
listener_take(struct listener *l)
{
    return l->socket;
}

/* --- what can be seen --------------------------------------------------------------------- */

char *
listener_url(const struct listener *l, const char *scheme)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    char host[INET6_ADDRSTRLEN] = "";

    memset(&ss, 0, sizeof(ss));
    getsockname(evconnlistener_get_fd(l->socket), (struct sockaddr *)&ss, &len);
    if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&ss;

        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        return xasprintf("%s://[%s]:%u", scheme, host, ntohs(v6->sin6_port));
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&ss;

    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
    return xasprintf("%s://%s:%u", scheme, host, ntohs(v4->sin_port));
}

static uint16_t
port_of(const struct sockaddr_storage *ss)
{
    return ntohs(ss->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)ss)->sin6_port
                                           : ((const struct sockaddr_in *)ss)->sin_port);
}

static bool
is_connection(int fd, const struct sockaddr_storage *listening)
{
    struct sockaddr_storage own, peer;
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

    memset(&own, 0, sizeof(own));
    if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0 ||
        getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0)
        return false;
    return own.ss_family == listening->ss_family && port_of(&own) == port_of(listening);
}

unsigned
listener_count_connections(const struct listener *l)
{
    struct sockaddr_storage listening;
    socklen_t len = sizeof(listening);
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    unsigned n = 0;

    memset(&listening, 0, sizeof(listening));
    getsockname(evconnlistener_get_fd(l->socket), (struct sockaddr *)&listening, &len);
    while (dir && (entry = readdir(dir)) != NULL)
        n += is_connection((int)strtol(entry->d_name, NULL, 10), &listening);
    if (dir)
        closedir(dir);
    return n;
}
