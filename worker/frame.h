/* frame.h - the bytes of one frame, borrowed: what the pure parsers look at. */
#ifndef WORKER_FRAME_H
#define WORKER_FRAME_H

#include <stddef.h>

struct frame {
    const void *data;
    size_t len;
};

#endif
