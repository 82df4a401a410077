/*
 * sse.h - an answer of server-sent events (WHATWG HTML, 9.2 "Server-sent events").
 *
 * While nothing is sent, a comment every 15 s keeps proxies from closing the connection, and shows whether it still stands.
 */
#ifndef GATEWAY_SSE_H
#define GATEWAY_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http_stream.h"

#define SSE_TYPE "text/event-stream"

struct event_base;
struct sse;

/* Whether an Accept header (NULL: none) names text/event-stream, and does not refuse it by q=0. */
bool sse_is_accepted(const char *accept);

/* The id that a Last-Event-ID header has; false: there is none, or it is not one of ours. */
bool sse_last_id(const char *header, uint64_t *id);

/* Answers the request with 200 and the events to come.  on_gone as http_stream.h has it: the sse is no more then. */
struct sse *sse_start(struct event_base *, struct http_request *, const struct http_stream_ops *,
                      void *owner);

/* Whether the client gets events; not so after HEAD, which is to be ended at once. */
bool sse_has_body(const struct sse *);

/* data is one line.  Never blocks: see http_stream_write. */
void sse_send(struct sse *, uint64_t id, const char *event, const char *data, size_t len);
size_t sse_unsent(const struct sse *);
void sse_let_last(struct sse *); /* as http_stream_let_last */
void sse_hasten(struct sse *, size_t left);

/* They end the answer, and the sse is no more: in good order, or so that the client can tell that it was cut. */
void sse_end(struct sse *);
void sse_abort(struct sse *);

#endif
