/*
 * worker_state.h - what the parts of a worker have in common: itself, its phases, its end.  Part of worker.h, and for its parts
 * alone.
 *
 * worker.c begins and ends it and has the verbs of one in use, worker_container is what becomes of its container, worker_link what
 * it says, worker_ready how it becomes READY.
 */
#ifndef GATEWAY_WORKER_STATE_H
#define GATEWAY_WORKER_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "changes.h"
#include "runtime.h"
#include "worker.h"

struct event;
struct kernel;
struct link_peer;

enum { WORKER_START_LIMIT_MS = 60000 }; /* container start to READY */

/*
 * The phases in order, and what ends each:
 *
 *   BOOTING      the container starts and its worker dials home          HELLO "new"
 *   RECALLED     (adopted) the worker of an earlier gateway dials home    HELLO "running"
 *   CONFIGURED   it knows what to run                                     STARTED
 *   PROBING      the kernel is asked for kernel_info                      reply and idle
 *   WARMING      the kernelspec's warm-up code runs, or (adopted)         the last string's end
 *                what takes an execution's environment back
 *   READY        in use                                                   RENEW, which leads back to CONFIGURED
 *   EXPIRED      the container ended; its last words may be on the way    EXITED, or a short timer
 *   DYING        the container is being removed                           on_removed
 *
 * One timer serves all phases that wait.  The race to know: a container's exit (pidfd) and the worker's
 * EXITED (link) come in either order, and only the latter knows how the kernel ended.
 */
enum worker_phase { BOOTING, RECALLED, CONFIGURED, PROBING, WARMING, READY, EXPIRED, DYING };

struct worker {
    const struct worker_env *env;
    const struct worker_ops *ops;
    void *owner;
    struct worker_identity who;
    struct kernel_kind *kind; /* a reference */
    struct portion limits;    /* what is said of them for this one */
    json_t *variables;        /* over the kernelspec's environment; NULL: none */
    enum worker_phase phase;
    bool adopted;
    bool installer; /* worker_spec.installer */
    struct container *container;
    struct link_peer *peer;     /* NULL once DYING */
    struct kernel *kernel;      /* from CONFIGURED or RECALLED on */
    struct transfers *files;    /* as the peer */
    struct execution *warmup;   /* while WARMING */
    size_t n_warmed;            /* warm-up strings done */
    bool warm;                  /* all of them */
    struct disk disk;           /* as the worker said last */
    struct container_exit exit; /* from EXPIRED on */
    struct event *timer;
    double started; /* clock_now */
};

/* To a later phase, logged. */
void worker_set_phase(struct worker *, enum worker_phase);

/* It is DYING from here on, and its owner is told: the caller's last act. */
void worker_lose(struct worker *, const struct err *why);
void worker_lose_because(struct worker *, const char *reason);

/* The same, its container or its kernel having ended; said: what the worker said of that, NULL: nothing. */
void worker_lose_ended(struct worker *, const json_t *said);

/* Nothing of its container is left, or is left alone. */
void worker_free(struct worker *);

#endif
