/*
 * session.h - one user's REPL: the queue of code to run, and the worker that runs it.
 *
 *   WAITING ──attach──▶ IDLE ⇄ BUSY
 *      ▲                 │      │
 *      └─────detach──────┴──────┘
 *
 * Code runs in order of arrival, one at a time.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "allowance.h"
#include "err.h"
#include "execution.h"
#include "mem.h"
#include "netpolicy.h"
#include "visits.h"

struct event_base;
struct job;
struct session;
struct worker;

enum session_state { SESSION_WAITING, SESSION_IDLE, SESSION_BUSY };

/* Borrowed for the call. */
struct job_result {
    /*
     * NULL: it ran to its end; else ERR_TIMEOUT, ERR_WORKER_DIED, ERR_NO_WORKER, or ERR_CONFLICT: the session uses more memory
     * than the job's limit, and lives on
     */
    const struct err *err;
    json_t *output;      /* of output_take; NULL with an error, or where there is a sink */
    bool raised;         /* it ended with an exception, or the kernel refused it */
    int execution_count; /* the kernel's In[] number; -1 = not told */
    double duration_ms;  /* running time */
    /* Of a watched execution: bytes of memory at the peak; 0: cannot be told.  The last one's, where there are several. */
    unsigned long long memory_peak;
    bool restarted; /* the user's earlier state was lost before this ran */
};

/* Something to run next in the place of what has ended; see job_spec. */
typedef bool job_next_fn(void *owner, const struct job_result *, struct execution_spec *next);

struct job_spec {
    const char *code; /* UTF-8, may contain NUL; copied */
    size_t code_len;
    unsigned timeout_ms;       /* of running time */
    struct allowance limits;   /* less than the worker has, while this code runs */
    size_t max_output;         /* bytes */
    enum network_mode network; /* for the pool: what the session is to have */

    /* NULL: the code, timeout_ms and max_output are all there is to say of it; else these do not count. */
    const struct execution_spec *execution;
    bool aside; /* no execution of anybody's: neither counted, nor told that the state was lost */
    /*
     * NULL: there is nothing more to run.  Else it is called when the kernel has come to the end of what ran, before done,
     * and before any other job's turn; true: it has said what runs next.  Must not call into the session.
     */
    job_next_fn *next;
    /*
     * Static.  Code that takes back what the job has done so far, run silently when it has begun and next is not to be asked any
     * more, before any other job's turn, where the worker is to be used again.  NULL: there is nothing to take back.
     */
    const char *undo;
};

/*
 * At most once.  Must not call into the session or its pool.
 */
typedef void job_done_fn(void *owner, const struct job_result *);

/*
 * The worker must not be used again: code ran into its time limit, or it could not be reached, as why says; or (NULL) each job
 * has one of its own.  The job has been answered.  The owner detaches it; called as the session's last act in its turn.
 */
typedef void session_spent_fn(void *owner, const struct err *why);

/* A WAITING session.  restarted: this user had one before whose state was lost. */
struct session *session_new(struct event_base *, bool restarted, session_spent_fn *, void *owner);

/* Each job has a worker of its own: the one that the session has is spent when its first job is over. */
void session_set_single_use(struct session *);

/* All jobs are answered with why; if NULL, forgotten without an answer. */
void session_free(struct session *, const struct err *why); /* accepts NULL */

/* Queues code, and runs it when it is its turn.  Never calls done itself. */
struct job *session_submit(struct session *, const struct job_spec *, job_done_fn *done,
                           void *owner);

/*
 * Nobody waits for the answer any more; done will not be called.  A queued job is dropped, a running one interrupted and
 * undone.  The job is gone after this.
 */
void job_cancel(struct job *);

/* Whether it is its turn: it runs, or is about to. */
bool job_is_running(const struct job *);

/*
 * KeyboardInterrupt in what runs, which then has so much time left.  What does not end by then is a time-out.  It is not paused
 * any more: how it ends comes behind all of its output.
 */
void job_interrupt(struct job *, unsigned grace_ms);

/* Answers the running code that asks for input. */
int job_input(struct job *, const char *text, size_t len, struct err *) must_check;

/* The output of what runs is not wanted now, or wanted again: its kernel is to wait, unless it was interrupted. */
void job_pause(struct job *, bool paused);

/* Somebody is to work on the session's files, beside the queue, as soon as there is a worker. */
struct visit *session_visit(struct session *, visit_fn *, void *owner);
unsigned session_visits(const struct session *); /* that have not ended */

/* Gives a WAITING session a READY worker (borrowed until session_detach). */
void session_attach(struct session *, struct worker *);

/*
 * The worker is gone: answers the job that ran with why (if it has not been answered), keeps the others, and is WAITING
 * again.  The next answer will say restarted.
 */
void session_detach(struct session *, const struct err *why);

/* Answers all queued jobs with why. */
void session_fail_queue(struct session *, const struct err *why);

/* Tells those who wait for a worker, on files, why none will come. */
void session_fail_visits(struct session *, const struct err *why);

/* Both, and answers what runs, which goes on running without an owner. */
void session_fail_all(struct session *, const struct err *why);

enum session_state session_state(const struct session *);
unsigned session_jobs(const struct session *);            /* waiting and running */
unsigned long session_executions(const struct session *); /* ended ones */

#endif
