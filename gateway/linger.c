#include "linger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <utlist.h>

#include "clock.h"
#include "mem.h"

enum {
    LINGER_S = 5,
    LINGER_BYTES = 32 << 20,
    LINGER_CHUNK = 64 << 10,
    LINGER_MAX = 64, /* at once; more are closed the rude way */
};

struct lingering {
    int fd;
    struct event *event;
    double until; /* clock_now */
    size_t bytes;
    struct lingering *prev, *next;
};

static struct lingering *all;
static unsigned n_lingering;

static void
end(struct lingering *l)
{
    DL_DELETE(all, l);
    event_free(l->event);
    close(l->fd);
    free(l);
    n_lingering--;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
    static char chunk[LINGER_CHUNK];
    struct lingering *l = arg;
    ssize_t n = what & EV_TIMEOUT ? 0 : recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        l->bytes += (size_t)n;
    if (n <= 0 || l->bytes > LINGER_BYTES || clock_now() >= l->until)
        end(l);
}

void
linger(struct event_base *base, int fd)
{
    int copy = n_lingering < LINGER_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    struct lingering *l;

    if (copy < 0)
        return;
    shutdown(copy, SHUT_WR);
    l = xcalloc(1, sizeof(*l));
    l->fd = copy;
    l->until = clock_now() + LINGER_S;
    l->event = xnotnull(event_new(base, copy, EV_READ | EV_PERSIST, on_readable, l));
    clock_arm(l->event, LINGER_S * 1000);
    DL_APPEND(all, l);
    n_lingering++;
}

void
linger_end(void)
{
    while (all)
        end(all);
}
