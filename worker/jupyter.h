/*
 * jupyter.h - the little that the worker has to know of a Jupyter wire message: where it begins,
 * and whether it is a status.  Pure.  It neither parses nor verifies the rest: that is the
 * gateway's part.
 */
#ifndef WORKER_JUPYTER_H
#define WORKER_JUPYTER_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

#define JUPYTER_DELIMITER "<IDS|MSG>"

enum {
    JUPYTER_MIN_FRAMES = 6
}; /* delimiter, signature, header, parent_header, metadata, content */

/* A status longer than this over all its frames is not treated as one. */
enum { JUPYTER_STATUS_MAX = 64 << 10 };

/*
 * Index of the delimiter; -1 when there is none, or fewer frames behind it than a message has. From
 * the delimiter on there are n - index frames.
 */
int jupyter_begin(const struct frame *, size_t n);

/* Frames from the delimiter on: is that a message of type "status", and of a status' size? */
bool jupyter_is_status(const struct frame *, size_t n);

/* Of a status: does it say idle? */
bool jupyter_says_idle(const struct frame *, size_t n);

#endif
