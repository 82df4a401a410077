/*
 * link.h - the unix socket that every worker dials (worker/protocol.h has what is said on it).  A worker is known
 * by its routing id, a secret drawn for it; who comes with another is hung up on.
 */
#ifndef GATEWAY_LINK_H
#define GATEWAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"
#include "wire.h"

struct event_base;
struct link;
struct link_peer;

/*
 * One message of a peer: verb and the frames behind it, borrowed for the call; each message in a RELAY by itself, as
 * channel and Jupyter frames.  The callee may free any peer, its own included.
 */
typedef void link_message_fn(void *owner, char verb, const struct wire_frame *, size_t n);

struct link_options {
    const char *dir;       /* holds the socket TCI_PATH_LINK_SOCKET; made if need be, 0711 */
    size_t max_message;    /* bytes; a longer one ends the connection it came on */
    unsigned introduce_ms; /* by when a connection must have said who it is */
    gid_t group;           /* connections of other primary groups are refused, root's too */
};

/*
 * Binds it, mode 0666: containers' users are nobody's on the host, so the group is what tells them from others.
 */
struct link *link_new(struct event_base *, const struct link_options *, struct err *) must_check;
void link_free(struct link *); /* accepts NULL; all peers must be gone */

/* Hears the peer with that routing id from now on.  Copies the id; owner must outlive the peer, which ends its connection. */
struct link_peer *link_peer_new(struct link *, const char *routing_id, link_message_fn *,
                                void *owner);
void link_peer_free(struct link_peer *); /* accepts NULL */

/* What the peer sends is left where it is, until it is resumed or connects anew: the peer's own sends will not go through. */
void link_peer_pause(struct link_peer *, bool paused);

/*
 * Sends verb and frames (copied; fewer than TCI_MAX_FRAMES).  Never blocks: -1 with ERR_PEER when the peer is not
 * connected, or does not read.
 */
int link_send(struct link_peer *, char verb, const struct wire_frame *, size_t n,
              struct err *) must_check;

#endif
