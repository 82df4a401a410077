/*
 * worker.h - one container and its kernel as one thing.
 *
 *   STARTING ──▶ READY ──▶ DYING ──▶ (gone)
 *       └──────────────────────┘
 *
 * A worker that times out, dies or breaks the protocol is never repaired: it is destroyed and replaced.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "allowance.h"
#include "changes.h"
#include "err.h"
#include "mem.h"

struct config;
struct event_base;
struct execution;
struct kernel_kind;
struct link;
struct runtime;
struct transfers;
struct worker;

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_DYING };

/* What makes a worker this one, and what a later gateway needs to take it back. */
struct worker_identity {
    char id[17];         /* name of its container: 16 hex digits */
    char routing_id[65]; /* secret: the name under which it may speak on the link, 64 hex digits */
    char key[65];        /* secret: HMAC key of its kernel, 64 hex digits */
    unsigned slot;       /* index of its host uid range */
    pid_t pid;           /* host pid of its init; 0 = not known yet */
    unsigned long long start_ticks; /* of that pid (runtime_start_ticks) */
};

/* What all workers share; borrowed, must outlive them. */
struct worker_env {
    struct event_base *base;
    const struct config *config;
    struct link *link;
    struct runtime *runtime;
};

/* What one worker is; borrowed for the call. */
struct worker_spec {
    struct kernel_kind *kind; /* that can run, and is prepared */
    const struct portion
        *limits;    /* over the kind's and the settings', where it says something; NULL: nothing */
    json_t *env;    /* over the kernelspec's; NULL: none */
    bool installer; /* packages are installed in it: it has their sources */
};

/*
 * Calls to the owner, who may call any verb in any of them; worker_destroy frees only after on_gone.  on_started always
 * comes before on_ready.
 */
struct worker_ops {
    void (*on_started)(void *owner); /* the container runs: worker_identity is complete */
    void (*on_ready)(void *owner);   /* the kernel answers and is warmed up */
    /* It ended without being told to, or never became ready: it is DYING now. */
    void (*on_lost)(void *owner, const struct err *why);
    void (*on_gone)(void *owner); /* nothing of it is left; the worker is freed after this call */
};

/* Draws an identity and starts a container for it. */
struct worker *worker_start(const struct worker_env *, unsigned slot, const struct worker_spec *,
                            const struct worker_ops *, void *owner, struct err *) must_check;

/*
 * Takes back one that an earlier gateway left: READY once it has dialled home and its kernel answers, which may be
 * as late as the end of what it was running.  Fails when its container does not run any more.
 */
struct worker *worker_adopt(const struct worker_env *, const struct worker_identity *,
                            const struct worker_spec *, const struct worker_ops *, void *owner,
                            struct err *) must_check;

/* Somebody waits for it or uses it: it starts and runs with its full part of the processors (container_prefer). */
void worker_prefer(struct worker *);

/* What it does takes long: others, who wait for short answers, go first (container_defer). */
void worker_defer(struct worker *);

/* A READY worker's session may have a way out (protocol.h, NETWORK).  Again has no effect. */
void worker_open_network(struct worker *);

/* In any state, any number of times; on_lost will not come any more, on_gone will. */
void worker_destroy(struct worker *);

/* Frees the memory and leaves the container running, for the next gateway to adopt.  No calls any more. */
void worker_abandon(struct worker *);

enum worker_state worker_state(const struct worker *);
const struct worker_identity *worker_identity(const struct worker *);
bool worker_is_adopted(const struct worker *);

/*
 * Runs it on the READY worker's kernel; ERR_WORKER_DIED when the worker cannot be reached.  The execution is borrowed
 * until worker_forget, which its owner calls once it is over or about to be freed.
 */
int worker_execute(struct worker *, struct execution *, struct err *) must_check;
void worker_forget(struct worker *);

/* err: as worker_limit has it, or NULL: the limits hold. */
typedef void worker_limited_fn(void *owner, const struct err *err);

/*
 * What the READY worker runs next gets less than the worker has, until worker_unlimit: container_limit.  ERR_WORKER_DIED when
 * it cannot be reached.
 */
int worker_limit(struct worker *, const struct allowance *, worker_limited_fn *limited, void *owner,
                 struct err *) must_check;

/* Its own limits hold again; limited will not be called any more. */
void worker_unlimit(struct worker *);

/* Answers the code that asks for input. */
int worker_input(struct worker *, const char *text, size_t len, struct err *) must_check;

/* What it sends is not read, so that sooner or later it waits, and its kernel with it; or read again. */
void worker_pause(struct worker *, bool paused);

/*
 * Ends all that runs in the READY worker's container and starts the kernel anew; wipe: in empty directories.  It is STARTING
 * then, and on_ready comes again, or on_lost.  What it ran is forgotten before (worker_forget).
 */
int worker_renew(struct worker *, bool wipe, struct err *) must_check;

/* As container_restrict, of processor and memory; a READY worker. */
int worker_restrict(struct worker *, const struct portion *, struct err *) must_check;

struct consumption worker_usage(const struct worker *);

/* As of when the worker said so last. */
struct disk worker_disk(const struct worker *);

/* The peak of memory from here to there, in bytes (container_peak); 0: cannot be told. */
void worker_watch_peak(struct worker *);
unsigned long long worker_peak(struct worker *);

/* Where operations on the files of the READY worker begin (transfer.h). */
struct transfers *worker_files(const struct worker *);

/* KeyboardInterrupt in what runs.  Best effort: code may ignore it. */
void worker_interrupt(struct worker *);

#endif
