/* worker_link.h - what a worker says over the link, and whom it concerns.  Part of worker.h. */
#ifndef GATEWAY_WORKER_LINK_H
#define GATEWAY_WORKER_LINK_H

#include <stddef.h>

struct wire_frame;

/* One message of its peer, owner being the worker: a link_message_fn. */
void worker_on_link(void *owner, char verb, const struct wire_frame *, size_t n);

#endif
