/* worker_end.h - how a worker ended, as a sentence for those who used it. */
#ifndef GATEWAY_WORKER_END_H
#define GATEWAY_WORKER_END_H

#include <jansson.h>

#include "err.h"

struct container;
struct container_exit;

struct worker_end {
    const struct container *container;
    const struct container_exit *exit;
    unsigned memory_mb; /* its limit where nothing else is known */
};

/* What the worker said about the kernel's end.  Foreign bytes: anything may be missing. */
void worker_end_of_kernel(const struct worker_end *, const json_t *said, struct err *why);

/* The container is gone and said nothing. */
void worker_end_of_container(const struct worker_end *, struct err *why);

#endif
