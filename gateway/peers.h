/*
 * peers.h - who is connected: how many connections an address has, and how long each may take to send a request or to
 * take an answer.  Without it one client could hold all descriptors, or an answer of megabytes for ever, by a byte
 * now and then.
 *
 * Nobody tells when a connection closes, so what is known of a descriptor is checked against the kernel (its peer's
 * address and port) wherever that matters.
 */
#ifndef GATEWAY_PEERS_H
#define GATEWAY_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

struct bufferevent;
struct event_base;
struct peers;

struct peers_limits {
    unsigned per_address; /* connections of one address; 0 = any number */
    /* For a request to arrive; for an answer to be taken, and 1 s more for each 64 KiB of it. */
    double seconds;
};

struct peers *peers_new(struct event_base *, const struct peers_limits *);
void peers_free(struct peers *); /* accepts NULL; before the event base goes */
void peers_set_limits(struct peers *, const struct peers_limits *);

/*
 * A connection was accepted; its descriptor will be in the bufferevent when the loop comes round again.  From then on
 * a request is expected of it.  Far beyond the limit of its address it is shut down.
 */
void peers_add(struct peers *, struct bufferevent *);

/* What the connection is doing now.  Unknown descriptors are ignored. */
void peers_reading(struct peers *, int fd);                /* a request is expected */
void peers_handling(struct peers *, int fd);               /* it is here; no clock runs */
void peers_receiving(struct peers *, int fd, size_t size); /* so many bytes of a body are to come */
void peers_sending(struct peers *, int fd,
                   size_t size); /* an answer of so many bytes is on its way */

/* It is one too many of its address: to be answered 429 and closed. */
bool peers_is_surplus(const struct peers *, int fd);

#endif
