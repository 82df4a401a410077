/* http_stream.c - see http_stream.h. */
#include "http_stream.h"

#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>

#include "http_answer.h"
#include "mem.h"

struct http_stream {
    struct http_answer answer; /* first */
    struct evbuffer *piece;    /* for a moment: how evhttp takes it */
    const struct http_stream_ops *ops;
    void *owner;
};

static struct bufferevent *
bufferevent_of(const struct http_stream *s)
{
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(s->answer.ev));
}

static void
stream_free(struct http_stream *s)
{
    evbuffer_free(s->piece);
    free(s);
}

static void
on_lost(struct http_answer *answer)
{
    struct http_stream *s = (struct http_stream *)answer;
    const struct http_stream_ops *ops = s->ops;
    void *owner = s->owner;

    stream_free(s);
    ops->on_gone(owner);
}

static void
on_drained(struct evhttp_connection *connection, void *arg)
{
    const struct http_stream *s = arg;

    (void)connection;
    s->ops->on_drained(s->owner);
}

/*
 * evhttp takes a body of unknown length under HTTP/1.0 for an empty one if the client asked for a connection that stays.  Such
 * a body ends with the connection, whatever was asked for.
 */
static void
prepare_old_version(struct evhttp_request *ev)
{
    struct evkeyvalq *out = evhttp_request_get_output_headers(ev);

    if ((ev->major == 1 && ev->minor >= 1) || evhttp_find_header(out, "Content-Length"))
        return;
    evhttp_remove_header(evhttp_request_get_input_headers(ev), "Connection");
    evhttp_remove_header(out, "Connection");
    evhttp_add_header(out, "Connection", "close");
}

/* A small piece is not to wait until the one before has been acknowledged. */
static void
send_at_once(const struct http_stream *s)
{
    const int one = 1;

    setsockopt(bufferevent_getfd(bufferevent_of(s)), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct http_stream *
http_stream_start(struct http_request *r, int status, const char *content_type,
                  const struct http_stream_ops *ops, void *owner)
{
    struct http_stream *s = xcalloc(1, sizeof(*s));

    s->piece = xnotnull(evbuffer_new());
    s->ops = ops;
    s->owner = owner;
    s->answer.on_lost = on_lost;
    http_answer_begin(&s->answer, r, status, content_type);
    prepare_old_version(s->answer.ev);
    evhttp_send_reply_start(s->answer.ev, status, NULL);
    http_answer_guard(&s->answer);
    send_at_once(s);
    /* Nothing is read: it is how a client's end is seen.  evhooks.h bounds what one sends meanwhile. */
    bufferevent_enable(bufferevent_of(s), EV_READ);
    return s;
}

void
http_stream_writev(struct http_stream *s, const struct iovec *pieces, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (evbuffer_add(s->piece, pieces[i].iov_base, pieces[i].iov_len) < 0)
            abort(); /* out of memory */
    evhttp_send_reply_chunk_with_cb(s->answer.ev, s->piece, on_drained, s);
    http_answer_guard(&s->answer);
    evbuffer_drain(s->piece, evbuffer_get_length(s->piece)); /* what HEAD does not get */
}

void
http_stream_write(struct http_stream *s, const void *data, size_t len)
{
    const struct iovec piece = {(void *)data, len};

    http_stream_writev(s, &piece, 1);
}

size_t
http_stream_unsent(const struct http_stream *s)
{
    return evbuffer_get_length(bufferevent_get_output(bufferevent_of(s)));
}

bool
http_stream_has_body(const struct http_stream *s)
{
    return evhttp_request_get_command(s->answer.ev) != EVHTTP_REQ_HEAD;
}

void
http_stream_bound(struct http_stream *s, int bytes)
{
    setsockopt(bufferevent_getfd(bufferevent_of(s)), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void
http_stream_let_last(struct http_stream *s)
{
    s->answer.lasting = true;
}

void
http_stream_hasten(struct http_stream *s, size_t left)
{
    http_answer_hasten(&s->answer, left);
}

void
http_stream_end(struct http_stream *s)
{
    http_answer_end(&s->answer);
    stream_free(s);
}

void
http_stream_abort(struct http_stream *s)
{
    http_answer_abort(&s->answer);
    stream_free(s);
}
