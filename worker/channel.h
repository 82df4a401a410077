/*
 * channel.h - our end of one of the kernel's Jupyter channels: a unix socket of the kernel's, spoken to in ZMTP.
 *
 *   DOWN ──▶ GREETING ──▶ READYING ──▶ UP
 *     ▲──────────┘────────────┘────────┘
 *
 * The kernel binds its sockets some time after it has started: until then a channel dials again and again.  What is sent
 * meanwhile waits.
 */
#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <poll.h>

#include "buffer.h"
#include "message.h"
#include "protocol.h"

enum channel_state { CHANNEL_DOWN, CHANNEL_GREETING, CHANNEL_READYING, CHANNEL_UP };

/* All zero but for path and socket_type after channel_open: nothing has been dialled yet. */
struct channel {
    enum tci_channel name;
    char path[64];
    bool subscribes; /* it is a SUB, of everything; else a DEALER */
    enum channel_state state;
    int fd;           /* -1 while DOWN */
    int64_t since_ms; /* not UP: since when */
    int64_t dial_ms;  /* DOWN: of the next attempt */

    /* What has been read: in->data[begin..end), of which `walked` bytes are the first n_walked frames of a message. */
    struct block *in;
    size_t begin, end, walked, n_walked;
    bool readable; /* there may be more to read than was */

    struct buffer unsent;
    unsigned n_unsent; /* messages put there since it was empty */

    bool pending;    /* look for messages though fd is silent */
    int64_t held_ms; /* not listened to before then (relay.h); 0 = not held */
};

/* path is the kernel's socket, which may come later. */
void channel_open(struct channel *, enum tci_channel name, const char *path, bool subscribes);

/* What has not been sent is not.  Accepts what was never opened (all zero); idempotent. */
void channel_close(struct channel *);

/* What to poll for; hears: for input, too.  Its fd is -1 when there is nothing. */
struct pollfd channel_item(const struct channel *, bool hears);

/* Call it with what poll(2) told.  What waits to be sent goes as far as the socket takes it. */
void channel_on_event(struct channel *, short revents);

/* Dials when it is time to. */
void channel_tick(struct channel *);
int64_t channel_due_ms(const struct channel *); /* when that is; CLOCK_NEVER = not at all */

/*
 * The next message.  1: one was there.  0: none now.  -1: one of more frames than fit was there, and is dropped. After
 * 0 and -1 there is nothing to clear.  Never waits.  Reads until the socket has no more, and then not before `readable` is
 * set again.
 */
int channel_recv(struct channel *, struct message *) __attribute__((warn_unused_result));

/* Sends the frames from `first` on, or keeps them until they can be sent.  -1: too much waits already.  Never waits. */
int channel_send(struct channel *, const struct message *, size_t first)
    __attribute__((warn_unused_result));

#endif
