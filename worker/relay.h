/*
 * relay.h - carries messages between the kernel's channels and the gateway, and the kernel's raw
 * output with them.
 */
#ifndef WORKER_RELAY_H
#define WORKER_RELAY_H

#include <stdbool.h>

#include "channels.h"
#include "limits.h"
#include "message.h"
#include "request.h"
#include "spawn.h"
#include "uplink.h"

enum { RELAY_CHUNK = 64 << 10 }; /* bytes of one OUTPUT at most; what a pipe holds */

struct relay {
    struct uplink *uplink; /* borrowed */
    struct channel channels[CHANNELS_COUNT];
    int pipes[SPAWN_PIPES]; /* -1 = the kernel's end is closed */
    struct limits limits;

    /*
     * What has been read and waits for the link to take it, in this order; while there is any,
     * nothing else is read.
     */
    size_t chunk_len; /* of OUTPUT; 0 = none */
    int chunk_pipe;
    char chunk[RELAY_CHUNK];
    bool owes_truncated;
    struct message held;
    size_t held_first;               /* index of its delimiter */
    const struct channel *held_from; /* NULL = there is none, or it has yet to be judged */

    bool blocked;        /* the link takes nothing now: nothing of the kernel is read */
    unsigned long n_bad; /* messages of the kernel that were none */
    const char *give_up; /* why the kernel is not worth listening to any more; NULL = it is */
};

/* Connects the channels and takes the pipes. */
void relay_open(struct relay *, void *context, struct uplink *, const struct spawned *);
void
relay_close(struct relay *); /* accepts one that was never opened, with its pipes -1; idempotent */

/*
 * EXECUTE or RELAY: sends it to its channel and grants what it grants.  Moves the message's frames.
 */
void relay_request(struct relay *, const struct request *, struct message *);

/*
 * Carry what there is, up to a budget (of a pipe, one chunk); true if there was anything.  Without
 * a link everything is read and dropped, so that what runs comes to its end.  When the link takes
 * nothing they stop and set `blocked`.  A channel that has not been read empty stays pending.
 */
bool relay_channel(struct relay *, struct channel *);
bool relay_pipe(struct relay *, int which);

/* Goes on if the link has become writable, or was lost. */
void relay_unblock(struct relay *);

/* Whether relay_channel has something to do though no descriptor tells. */
bool relay_is_pending(const struct relay *);

#endif
