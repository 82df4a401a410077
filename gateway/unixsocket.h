/* unixsocket.h - the sockets in the state directory that containers connect to. */
#ifndef GATEWAY_UNIXSOCKET_H
#define GATEWAY_UNIXSOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

/*
 * Listens on dir/name: a stream, not blocking, closed on exec.  The directory is made if need be, 0711, an old socket
 * removed; the socket's mode is 0666, for containers' users are nobody's on the host: who accepts must look at the peer.
 * A descriptor, or -1.
 */
int unixsocket_listen(const char *dir, const char *name, struct err *) must_check;

/* Whether who has connected is of this primary group; root is of root's. */
bool unixsocket_peer_is(int fd, gid_t group);

#endif
