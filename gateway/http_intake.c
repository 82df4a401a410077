/*
 * http_intake.c - see http_intake.h.
 *
 * libevent reads 4 KiB at a time, which makes a gigabyte cost a second.  So where the length of the body is known, and the
 * connection is not encrypted, what else has come is read right behind it.
 *
 * evhttp reads on when its callback returns, whatever that has said: so the reading is stopped in a turn of its own.
 */
#include "http_intake.h"

#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>

#include "mem.h"

enum {
    MOST = 512 << 10, /* bytes that wait, from which on nothing is read ... */
    FEW = 128 << 10,  /* ... until there are no more than these */
    PIECE = 256 << 10,
};

struct http_intake {
    struct evhttp_request *ev;
    struct evbuffer *bytes;
    struct event *turn;
    bool direct, ended, paused, stopped;
    unsigned long long taken;
    void (*wake)(void *owner);
    void *owner;
};

static struct bufferevent *
bufferevent_of(const struct http_intake *in)
{
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(in->ev));
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct http_intake *in = arg;

    (void)fd, (void)what;
    if (!in->ended && !in->paused && evbuffer_get_length(in->bytes) >= MOST) {
        bufferevent_disable(bufferevent_of(in), EV_READ);
        in->paused = true;
    }
    in->wake(in->owner);
}

static void
read_directly(struct http_intake *in)
{
    const size_t have = evbuffer_get_length(in->bytes);
    size_t room = have < MOST ? MOST - have : 0;
    struct evbuffer_iovec piece;
    ssize_t n;

    if ((unsigned long long)in->ev->ntoread < room)
        room = (size_t)in->ev->ntoread;
    if (room > PIECE)
        room = PIECE;
    if (room == 0 || evbuffer_reserve_space(in->bytes, (ssize_t)room, &piece, 1) < 1)
        return;
    n = recv(bufferevent_getfd(bufferevent_of(in)), piece.iov_base, room, MSG_DONTWAIT);
    if (n <= 0)
        return; /* evhttp finds out why */
    piece.iov_len = (size_t)n;
    evbuffer_commit_space(in->bytes, &piece, 1);
    in->ev->ntoread -= n;
    in->ev->body_size += (size_t)n;
}

/* evhttp has its server as the argument of such callbacks; the one for the end of an answer is free until there is one. */
static struct http_intake *
intake_of(const struct evhttp_request *ev)
{
    return ev->on_complete_cb == NULL ? ev->on_complete_cb_arg : NULL;
}

static void
on_piece(struct evhttp_request *ev, void *server)
{
    struct http_intake *in = intake_of(ev);

    (void)server;
    if (in == NULL)
        return;
    if (in->stopped)
        return;
    evbuffer_add_buffer(in->bytes, evhttp_request_get_input_buffer(ev));
    if (in->direct && !ev->chunked && ev->ntoread > 0)
        read_directly(in);
    event_active(in->turn, 0, 0);
}

struct http_intake *
http_intake_new(struct event_base *base, struct evhttp_request *ev, bool direct,
                void (*wake)(void *owner), void *owner)
{
    struct http_intake *in = xcalloc(1, sizeof(*in));

    in->ev = ev;
    in->direct = direct;
    in->wake = wake;
    in->owner = owner;
    in->bytes = xnotnull(evbuffer_new());
    in->turn = xnotnull(event_new(base, -1, 0, on_turn, in));
    evhttp_request_set_chunked_cb(ev, on_piece);
    evhttp_request_set_on_complete_cb(ev, NULL, in);
    event_active(in->turn, 0, 0);
    return in;
}

void
http_intake_free(struct http_intake *in)
{
    if (in == NULL)
        return;
    if (intake_of(in->ev) == in)
        evhttp_request_set_on_complete_cb(in->ev, NULL, NULL);
    evhttp_request_set_chunked_cb(in->ev, NULL);
    event_free(in->turn);
    evbuffer_free(in->bytes);
    free(in);
}

void *
http_intake_owner(const struct evhttp_request *ev)
{
    const struct http_intake *in = intake_of(ev);

    return in ? in->owner : NULL;
}

void
http_intake_end(struct http_intake *in)
{
    in->ended = true;
    event_active(in->turn, 0, 0);
}

bool
http_intake_has_ended(const struct http_intake *in)
{
    return in->ended && evbuffer_get_length(in->bytes) == 0;
}

size_t
http_intake_peek(const struct http_intake *in, const char **data)
{
    struct evbuffer_iovec piece;

    if (evbuffer_peek(in->bytes, -1, NULL, &piece, 1) < 1)
        return 0;
    *data = piece.iov_base;
    return piece.iov_len;
}

void
http_intake_take(struct http_intake *in, size_t len)
{
    evbuffer_drain(in->bytes, len);
    in->taken += len;
    if (in->paused && !in->stopped && evbuffer_get_length(in->bytes) <= FEW) {
        in->paused = false;
        bufferevent_enable(bufferevent_of(in), EV_READ);
    }
}

void
http_intake_wake(struct http_intake *in)
{
    event_active(in->turn, 0, 0);
}

void
http_intake_stop(struct http_intake *in)
{
    in->stopped = true;
    if (!in->ended)
        bufferevent_disable(bufferevent_of(in), EV_READ);
}

unsigned long long
http_intake_taken(const struct http_intake *in)
{
    return in->taken;
}

bool
http_intake_is_reading(const struct http_intake *in)
{
    return !in->ended && !in->paused && !in->stopped;
}
