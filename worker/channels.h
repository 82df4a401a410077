/* channels.h - our ends of the kernel's Jupyter channels: ipc sockets in TCI_PATH_KERNEL_DIR. */
#ifndef WORKER_CHANNELS_H
#define WORKER_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

#define CHANNELS_IP                                                                                \
    TCI_PATH_KERNEL_DIR "/kernel" /* the connection file's "ip"; "-<port>" comes behind it */

/* The connection file's ports. */
enum channels_port {
    CHANNELS_PORT_SHELL = 1,
    CHANNELS_PORT_IOPUB = 2,
    CHANNELS_PORT_STDIN = 3,
    CHANNELS_PORT_CONTROL = 4,
    CHANNELS_PORT_HB = 5, /* unused: the kernel's end is seen as the end of its process */
};

enum { CHANNELS_COUNT = 4 };

/*
 * A ZeroMQ descriptor is edge-triggered, and any call on the socket may take the edge: so what may
 * be readable without its descriptor saying so is remembered.
 */
struct channel {
    enum tci_channel name;
    void *socket;
    int fd;          /* to poll for input */
    bool pending;    /* look for messages though fd is silent */
    int64_t held_ms; /* not listened to before then (relay.h); 0 = not held */
};

/*
 * Connects all channels; the kernel may come later.  Dies when ZeroMQ refuses.  The order in the
 * array is that in which they are served: what ends an execution first.  With flow_control little of iopub is
 * queued here, for the kernel waits rather than drop what does not fit.
 */
void channels_open(void *context, bool flow_control, struct channel[CHANNELS_COUNT]);

/* Nothing that is still queued is sent.  Accepts what never was opened (all zero). */
void channels_close(struct channel[CHANNELS_COUNT]);

#endif
