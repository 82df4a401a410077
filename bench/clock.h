/* clock.h - the clocks of a measurement, in seconds. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <time.h>

static inline double
clock_read(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double
clock_now(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* CPU time of this process, all threads. */
static inline double
clock_cpu(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
