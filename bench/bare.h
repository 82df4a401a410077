/*
 * bare.h - one Jupyter kernel as a plain child process, and its client: no gateway, no worker, no container.
 * Started as the product starts it: the kernelspec's argv, environment and warm-up, ZeroMQ over ipc.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <event2/event.h>

#include "err.h"
#include "kernelspec.h"
#include "mem.h"
#include "workload.h"

struct bare;

/* Calls to the owner, from the event loop.  None may free the kernel. */
struct bare_ops {
    void (*on_ready)(void *owner); /* once: warmed up, and free */
    void (*on_answer)(void *owner,
                      const struct workload_answer *);  /* each bare_execute: done, and free */
    void (*on_failed)(void *owner, const struct err *); /* of no more use */
};

/*
 * Starts the kernel in the directory dir, which exists, is empty and has a short path.  Its home is a copy of
 * `home`, empty where that is NULL.  Everything is borrowed and must outlive it.
 */
struct bare *bare_start(struct event_base *, void *zmq_context, const struct kernelspec *,
                        const char *dir, const char *home, const struct bare_ops *, void *owner,
                        struct err *) must_check;
void bare_free(struct bare *); /* accepts NULL; kills the kernel and waits for its end */

/* The kernel must be free.  Done when both the reply and the idle status have come. */
int bare_execute(struct bare *, const char *code, struct err *) must_check;

/* Runs the kernelspec's preparation, if it has one, to make a home in the directory `home`.  Waits for it. */
int bare_prepare_home(const struct kernelspec *, const char *home, struct err *) must_check;

#endif
