/* allowance.h - what a container may use of the host, or one execution in it. */
#ifndef GATEWAY_ALLOWANCE_H
#define GATEWAY_ALLOWANCE_H

#include <stdbool.h>

/* What a container is made with.  0: nothing is said of it. */
struct portion {
    double cpu;         /* cores */
    unsigned memory_mb; /* MiB, files in memory included */
    unsigned disk_mb;   /* MiB of /workspace; /tmp and the home are a quarter each */
    unsigned pids;      /* processes and threads */
};

/* What a container uses, or has used.  Zeros where it cannot be told. */
struct consumption {
    double cpu_seconds;
    unsigned long long memory, memory_peak; /* bytes, files in memory included */
};

/* 0: nothing is said of it. */
struct allowance {
    double cpu;         /* cores */
    unsigned memory_mb; /* MiB, files in memory included */
};

static inline bool
allowance_is_none(const struct allowance *a)
{
    return a->cpu <= 0 && a->memory_mb == 0;
}

#endif
