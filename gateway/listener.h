/*
 * listener.h - the socket that clients connect to: bound, and left alone for a while whenever descriptors run out, so that
 * those that are needed for answers are there.
 */
#ifndef GATEWAY_LISTENER_H
#define GATEWAY_LISTENER_H

#include "err.h"
#include "mem.h"

struct evconnlistener;
struct event_base;
struct listener;

/*
 * Listens on host:port (hostport.h; port 0 = any free one) and tells TCI_LISTEN by name where it cannot.  Beyond
 * max_descriptors of the process no connection is accepted.  May ask the resolver: for start-up only.
 */
struct listener *listener_new(struct event_base *, const char *address, unsigned max_descriptors,
                              struct err *) must_check;
void
listener_free(struct listener *); /* accepts NULL; after the evhttp that has taken its socket */
void listener_set_max_descriptors(struct listener *, unsigned);

/* For evhttp, which closes it when it ends. */
struct evconnlistener *listener_take(struct listener *);

/* To be called with every connection that is accepted: after this one, others may have to wait for their turn. */
void listener_accepted(struct listener *);

/* SCHEME://HOST:PORT as it is really bound; a new string. */
char *listener_url(const struct listener *, const char *scheme);

/* Connections that are open.  Asks the kernel, about every descriptor. */
unsigned listener_count_connections(const struct listener *);

#endif
