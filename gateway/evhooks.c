/* evhooks.c - see evhooks.h. */
#include "evhooks.h"

#include <dlfcn.h>
#include <stdint.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "mem.h"

typedef void request_fn(struct evhttp_request *, void *);
typedef struct evhttp_request *request_new_fn(request_fn *, void *);
typedef void send_error_fn(struct evhttp_request *, int, const char *);

/* The library's functions have no room for more than what it gives them, so this is the process's. */
static struct {
    struct evhttp *server;
    const struct evhooks *hooks;
    void *owner;
    size_t bound;
} hooked = {.bound = SIZE_MAX};

void
evhooks_set(struct evhttp *server, const struct evhooks *hooks, void *owner)
{
    hooked.server = hooks ? server : NULL;
    hooked.hooks = hooks;
    hooked.owner = owner;
}

void
evhooks_bound(size_t bytes)
{
    hooked.bound = bytes;
}

/* A high watermark would not do: at it, libevent calls the reader again and again, and misses the connection's end. */
static void
on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *bev)
{
    (void)info;
    if (evbuffer_get_length(input) > hooked.bound && hooked.hooks &&
        !hooked.hooks->on_excess(bev, hooked.owner))
        shutdown(bufferevent_getfd(bev), SHUT_RDWR); /* evhttp finds its end */
}

static void
watch_input(struct bufferevent *bev)
{
    struct evbuffer *input = bufferevent_get_input(bev);

    evbuffer_remove_cb(input, on_input, bev); /* of the request before */
    xnotnull(evbuffer_add_cb(input, on_input, bev));
}

static int
on_headers(struct evhttp_request *ev, void *server)
{
    if (server == hooked.server) {
        watch_input(evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));
        hooked.hooks->on_headers(ev, hooked.owner);
    }
    return 0;
}

/* A server's requests have the server itself as the argument of their callback. */
struct evhttp_request *
evhttp_request_new(request_fn *fn, void *arg)
{
    static request_new_fn *original;
    struct evhttp_request *ev;

    if (original == NULL)
        original = (request_new_fn *)xnotnull(dlsym(RTLD_NEXT, "evhttp_request_new"));
    ev = original(fn, arg);
    if (ev && arg && arg == hooked.server)
        evhttp_request_set_header_cb(ev, on_headers);
    return ev;
}

void
evhttp_send_error(struct evhttp_request *ev, int status, const char *reason)
{
    static send_error_fn *original;

    if (evhttp_connection_get_server(evhttp_request_get_connection(ev)) == hooked.server) {
        hooked.hooks->on_error(ev, status, hooked.owner);
        return;
    }
    if (original == NULL)
        original = (send_error_fn *)xnotnull(dlsym(RTLD_NEXT, "evhttp_send_error"));
    original(ev, status, reason);
}
