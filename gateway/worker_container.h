/* worker_container.h - a worker's container: what it is started with, and what becomes of it.  Part of worker.h. */
#ifndef GATEWAY_WORKER_CONTAINER_H
#define GATEWAY_WORKER_CONTAINER_H

#include <stdbool.h>

#include "err.h"
#include "mem.h"

struct worker;

/* From here on on_started comes, and then on_gone. */
int worker_start_container(struct worker *, struct err *) must_check;

/* That of an earlier gateway; the err says that it does not run any more. */
int worker_adopt_container(struct worker *, struct err *) must_check;

/* Whether its session can have some. */
bool worker_has_packages(const struct worker *);

#endif
