/* clock.h - the monotonic clock, and timers in milliseconds. */
#ifndef GATEWAY_CLOCK_H
#define GATEWAY_CLOCK_H

#include <time.h>
#include <event2/event.h>

/* Seconds since some moment that stays the same while the system runs. */
static inline double
clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Has the event time out so much later; a persistent one again and again.  Replaces what it waited for. */
static inline void
clock_arm(struct event *event, unsigned ms)
{
    const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_add(event, &tv);
}

#endif
