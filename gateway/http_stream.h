/*
 * http_stream.h - an answer in pieces, for what is not known at once or is too large to be held.  Part of http.h.
 *
 * In chunks under HTTP/1.1, up to the end of the connection under HTTP/1.0; with a Content-Length, if http_add_header has given
 * it one.  To HEAD goes the head alone.
 *
 * A client that takes nothing at all for 30 s is cut.
 */
#ifndef GATEWAY_HTTP_STREAM_H
#define GATEWAY_HTTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct http_request;
struct http_stream;

/* The last thing that the stream does in its turn: the callee may end it. */
struct http_stream_ops {
    void (*on_drained)(void *owner); /* all that was written has been taken by the host's kernel */
    void (*on_gone)(void *owner);    /* the client hung up or was cut; the stream is no more */
};

/* The answer's head is on its way, and the request is gone.  ops is borrowed. */
struct http_stream *http_stream_start(struct http_request *, int status, const char *content_type,
                                      const struct http_stream_ops *, void *owner);

/* Never blocks: the writer looks at what is unsent, and waits for on_drained. */
void http_stream_write(struct http_stream *, const void *, size_t);
void http_stream_writev(struct http_stream *, const struct iovec *, size_t n);
size_t http_stream_unsent(const struct http_stream *); /* bytes */

/* Whether the client gets more than the head: not so after HEAD. */
bool http_stream_has_body(const struct http_stream *);

/* No more than about so many bytes are to wait in the host's kernel. */
void http_stream_bound(struct http_stream *, int bytes);

/* What is left, so many bytes, is ready: from now on the client is to take it in the time that any answer has. */
void http_stream_hasten(struct http_stream *, size_t left);

/* It lasts as long as the client stays: http_pending does not count it. */
void http_stream_let_last(struct http_stream *);

/* That was all.  The stream is no more; what is unsent goes out. */
void http_stream_end(struct http_stream *);

/* The answer cannot be finished: cuts the connection, so that the client can tell.  The stream is no more. */
void http_stream_abort(struct http_stream *);

#endif
