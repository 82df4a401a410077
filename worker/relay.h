/* relay.h - carries messages between the kernel's channels and the gateway, and the kernel's raw output with them. */
#ifndef WORKER_RELAY_H
#define WORKER_RELAY_H

#include <stdbool.h>

#include "channels.h"
#include "limits.h"
#include "message.h"
#include "request.h"
#include "spawn.h"
#include "uplink.h"

struct relay {
    struct uplink *uplink; /* borrowed */
    struct channel channels[CHANNELS_COUNT];
    int pipes[SPAWN_PIPES]; /* -1 = the kernel's end is closed */
    struct limits limits;
    bool owes_truncated; /* TRUNCATED could not be sent yet */
    bool blocked;        /* the link takes nothing now: nothing of the kernel is read */
    unsigned long n_bad; /* messages of the kernel that were none */
    const char *give_up; /* why the kernel is not worth listening to any more; NULL = it is */
};

/* Connects the channels and takes the pipes.  */
void relay_open(struct relay *, void *context, struct uplink *, const struct spawned *);
void relay_close(struct relay *); /* accepts all-zero ones; idempotent */

/* EXECUTE or RELAY: sends it to its channel and grants what it grants.  Moves the message's frames. */
void relay_request(struct relay *, const struct request *, struct message *);

/*
 * Carry what there is, up to a budget; call again for more.  True if there was anything.  Without a link everything
 * is read and dropped, so that what runs comes to its end.  When the link takes nothing they stop and set
 * `blocked`.
 */
bool relay_channel(struct relay *, struct channel *);
bool relay_pipe(struct relay *, int which);

/* The link was lost, found, or has become writable. */
void relay_unblock(struct relay *);

#endif
