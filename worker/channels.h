/* channels.h - the kernel's Jupyter channels: sockets in TCI_PATH_KERNEL_DIR, as its connection file names them. */
#ifndef WORKER_CHANNELS_H
#define WORKER_CHANNELS_H

#include "channel.h"
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
 * Opens all channels; the kernel may come later.  The order in the array is that in which they are served: what ends an
 * execution first.
 */
void channels_open(struct channel[CHANNELS_COUNT]);
void channels_close(struct channel[CHANNELS_COUNT]); /* accepts what never was opened (all zero) */

#endif
