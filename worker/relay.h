/*
 * relay.h - carries messages between the kernel's channels and the gateway, and the kernel's raw
 * output with them.
 */
#ifndef WORKER_RELAY_H
#define WORKER_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "changes.h"
#include "channels.h"
#include "limits.h"
#include "message.h"
#include "request.h"
#include "spawn.h"
#include "tail.h"
#include "uplink.h"

enum { RELAY_CHUNK = 64 << 10 }; /* bytes of one OUTPUT at most; what a pipe holds */

struct relay {
    struct uplink *uplink; /* borrowed */
    struct channel channels[CHANNELS_COUNT];
    int pipes[SPAWN_PIPES]; /* -1 = the kernel's end is closed */
    struct limits limits;

    struct message received; /* being looked at */

    /*
     * What has been read and waits to go over the link.  Messages that come close together go together, before what is read
     * of a pipe then.
     */
    struct message batch; /* as RELAY's frames */
    int64_t batch_due_ms; /* no later than then, unless it is empty */
    char chunk[RELAY_CHUNK];
    struct tail tail;
    bool tail_due; /* the idle status is in the batch: the tail goes before it */

    /*
     * What the execution does to files, which goes before the idle status as well.  An idle status may be another request's (an
     * interrupt's): so there may be several looks at it, of which the last counts.
     */
    struct changes *changes;
    unsigned looks; /* that are left */
    bool changes_due, changes_told,
        disk_due; /* told: of this execution, so that what comes later has to be told, too */
    struct frame changes_frames[2];

    /*
     * Until an execution's idle status is here, the reply right before it is of no use to anybody: so shell is held,
     * and looked at now and then only.  Both then go over the link together.
     */
    bool executing; /* EXECUTE went to the kernel, no idle status has come since */

    /*
     * Output over the limits is read slowly (limits.h), but not while something else waits behind it; and none is read while the
     * link is late.  A kernel without flow control would drop what is not read, the idle status among it: of that, only pipes
     * are left unread, until the link is full.  Then nothing of any kernel is read.
     */
    bool flow_control;
    int64_t hurry_until_ms;

    unsigned long n_bad; /* messages of the kernel that were none */
    const char *give_up; /* why the kernel is not worth listening to any more; NULL = it is */
};

/* Connects the channels and takes the pipes.  flow_control is what CONFIG says of the kernel. */
void relay_open(struct relay *, struct uplink *, const struct spawned *, bool flow_control);
void
relay_close(struct relay *); /* accepts one that was never opened, with its pipes -1; idempotent */

/*
 * EXECUTE or RELAY: sends it to its channel and grants what it grants.  Moves the message's frames.
 */
void relay_request(struct relay *, const struct request *, struct message *);

/* What ends the execution is expected: for a while all output is read at once, whatever the limits say. */
void relay_hurry(struct relay *);

/* Whether to poll for input of the channel, or of the pipes. */
bool relay_hears(const struct relay *, const struct channel *);
bool relay_hears_pipes(const struct relay *);

/* Whether relay_channel is to be called: the channel is pending, or has been held for long enough. */
bool relay_is_ready(const struct channel *);

/*
 * When a channel that is held is to be looked at, output is to be read again, or relay_flush will have something to do;
 * CLOCK_NEVER = not at all.
 */
int64_t relay_due_ms(const struct relay *);

/*
 * Carry what there is, up to a budget (of a pipe, one chunk); true if there was anything.  Without
 * a link everything is read and dropped, so that what runs comes to its end.  A channel that has not
 * been read empty stays pending.
 */
bool relay_channel(struct relay *, struct channel *);
bool relay_pipe(struct relay *, int which);

/* Sends the messages that were read, unless more is about to come. */
void relay_flush(struct relay *);

/* Whether something is left unread because the link takes too little. */
bool relay_is_held_up(const struct relay *);

/* Whether relay_channel has something to do though no descriptor tells. */
bool relay_is_pending(const struct relay *);

#endif
