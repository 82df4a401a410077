/*
 * forward.h - the way out of a session that may have one: takes connections on the container's loopback, where programs
 * look for a proxy, and carries their bytes to the gateway's one, over its unix socket.
 *
 * Sandboxed code decides how many connections there are, how fast, and who does not read: so there is a bound for each.
 */
#ifndef WORKER_FORWARD_H
#define WORKER_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum {
    FORWARD_MAX = 64,          /* connections; others wait to be accepted */
    FORWARD_BURST = 64,        /* new ones at once ... */
    FORWARD_INTERVAL_MS = 50,  /* ... and then one in this time */
    FORWARD_IDLE_MS = 180000,  /* without a byte a connection ends; the proxy's limit is shorter */
    FORWARD_LINGER_MS = 2000,  /* to take the end of an answer that came before it was asked for */
    FORWARD_BUFFER = 16 << 10, /* bytes in each direction of a connection */
};

struct forward;

/* session is what the proxy is to call it in its log; copied.  NULL, with a note, when it cannot listen. */
struct forward *forward_new(const struct frame *session);
void forward_free(struct forward *); /* accepts NULL */

/* Readable when forward_run has something to do; -1 for NULL. */
int forward_fd(const struct forward *);

/* Does what can be done now; never waits.  Accepts NULL. */
void forward_run(struct forward *);

/* When to call it though the descriptor is silent; CLOCK_NEVER for NULL. */
int64_t forward_due_ms(const struct forward *);

#endif
