/* cgroup_usage.h - what a control group uses, and has used. */
#ifndef GATEWAY_CGROUP_USAGE_H
#define GATEWAY_CGROUP_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "allowance.h"

struct cgroup_host;

/* What a group uses, in bytes. */
struct cgroup_memory {
    uint64_t used;
    uint64_t cache; /* of that: file cache, which the kernel frees when memory is short */
};

/* Zeros where it cannot be read.  Reads two files, of which one takes the kernel some work. */
struct cgroup_memory cgroup_memory(const struct cgroup_host *, const char *id);

/* Processor time so far, memory now and at its peak (since cgroup_peak_watch, where that makes Linux forget it).  Reads three small files. */
struct consumption cgroup_usage(const struct cgroup_host *, const char *id);

/* Only what is used: one small file. */
uint64_t cgroup_memory_used(const struct cgroup_host *, const char *id);

/* The peak of a while. */
struct cgroup_peak {
    int fd; /* -1: never watched, or it cannot be; else open until cgroup_peak_clear */
    bool watched;
    unsigned long long forgotten; /* bytes: the peak before, which Linux does not tell any more */
};

/* The peak from now on; again: from then on.  Always of the same group.  Two small system calls, and one to open it. */
void cgroup_peak_watch(const struct cgroup_host *, const char *id, struct cgroup_peak *);

/* Bytes, and it is not watched any more; 0: it was not, or cannot be. */
unsigned long long cgroup_peak_take(struct cgroup_peak *);
void cgroup_peak_clear(struct cgroup_peak *); /* idempotent */

#endif
