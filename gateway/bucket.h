/* bucket.h - a token bucket: so many a minute, saved up for a minute at most.  Pure. */
#ifndef GATEWAY_BUCKET_H
#define GATEWAY_BUCKET_H

#include <stdbool.h>

/* All zero: full. */
struct bucket {
    double taken; /* of what fits; flows back with time */
    double at;    /* seconds; when that was so */
};

/*
 * Takes one, now in seconds of a monotonic clock.  If there is none, false, and *wait gets the seconds until there is;
 * a refused attempt costs nothing.
 */
bool bucket_take(struct bucket *, unsigned per_minute, double now, double *wait);

#endif
