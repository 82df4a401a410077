/*
 * session.c - see session.h.
 *
 * The head of the queue is the running job while BUSY.  A cancelled running job stays at the head without an
 * owner until its execution ends, and what it has done is undone: the kernel is still busy with it.
 *
 * A job with limits of its own has the worker curbed before its execution begins, which may take a while (LIMITING), and freed
 * of that when it is over, however it ended.
 */
#include "session.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "clock.h"
#include "execution.h"
#include "log.h"
#include "metrics.h"
#include "output.h"
#include "worker.h"

/* What the worker has of the running job's limits. */
enum limiting { UNLIMITED, LIMITING, LIMITED };

enum {
    NAG_MS = 300,
    LONG_MS = 250, /* from the beginning of an execution until its worker stands back for others */
    HEED_MS =
        5000, /* the same from an interrupt on: what is interrupted has an exception to handle */
    UNDO_MS = 10000,
    UNDO_OUTPUT = 4096,
    UNDO_TRIES = 3, /* an interrupt of what it takes back can hit it, too */
};

struct job {
    struct session *session;
    struct execution *execution;
    struct allowance limits;
    double begun;                   /* clock_now; 0: it has not */
    bool interrupted;               /* by somebody's wish */
    bool aside;                     /* job_spec.aside */
    unsigned long long memory_peak; /* of what has ended */
    job_next_fn *more;              /* NULL: there is nothing more to run */
    const char *undo;               /* NULL: there is nothing to undo */
    unsigned n_undone;              /* so often it has been tried */
    job_done_fn *done;              /* NULL: cancelled */
    void *owner;
    struct job *prev, *next;
};

struct session {
    struct event_base *base;
    enum session_state state;
    enum limiting limiting; /* UNLIMITED but while BUSY */
    struct worker *worker;  /* NULL while WAITING */
    struct job *jobs;
    unsigned n_jobs;
    unsigned long n_executions;
    bool restarted;     /* to be told with the next answer */
    bool single_use;    /* a worker is for one job */
    struct event *kick; /* runs the next job in a turn of its own */
    struct event
        *nag;    /* interrupts what was cancelled, or has run for long enough, again and again */
    bool paused; /* the worker's output is not read */
    struct event *late; /* LONG_MS after the last job began, still running or not */
    bool deferred;      /* the worker, since then */
    bool nagged;        /* what runs */
    struct visits *visits;
    session_spent_fn *spent;
    void *owner;
};

static void run_next(struct session *);
static void on_execution_done(void *owner, struct execution *, enum execution_result);

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    run_next(arg);
}

/* A flood, work for minutes, threads left behind: they can wait a little longer, and short answers cannot. */
static void
on_late(evutil_socket_t fd, short what, void *arg)
{
    struct session *s = arg;

    (void)fd, (void)what;
    worker_defer(s->worker);
    s->deferred = true;
}

/* Who waits for an answer waits for it: the worker has its full part of the processors again. */
static void
come_forward(struct session *s)
{
    if (s->deferred)
        worker_prefer(s->worker);
    s->deferred = false;
}

/*
 * In the background what is interrupted would not get to its exception while others compute, and its time would be up.  For a
 * while only: it may not heed it.
 */
static void
interrupt(struct session *s)
{
    come_forward(s);
    clock_arm(s->late, HEED_MS);
    worker_interrupt(s->worker);
}

/* Again, because an interrupt that comes before the code does is lost, and code may catch one. */
static void
nag(struct session *s)
{
    if (s->nagged)
        worker_interrupt(s->worker);
    else
        interrupt(s);
    s->nagged = true;
    clock_arm(s->nag, NAG_MS);
}

static void
on_nag(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    nag(arg);
}

struct session *
session_new(struct event_base *base, bool restarted, session_spent_fn *spent, void *owner)
{
    struct session *s = xcalloc(1, sizeof(*s));

    s->base = base;
    s->restarted = restarted;
    s->spent = spent;
    s->owner = owner;
    s->kick = xnotnull(event_new(base, -1, 0, on_kick, s));
    s->nag = xnotnull(evtimer_new(base, on_nag, s));
    s->late = xnotnull(evtimer_new(base, on_late, s));
    s->visits = visits_new(base);
    return s;
}

void
session_set_single_use(struct session *s)
{
    s->single_use = true;
}

static void
job_free(struct job *job)
{
    struct session *s = job->session;

    DL_DELETE(s->jobs, job);
    s->n_jobs--;
    execution_free(job->execution);
    free(job);
}

/* A cancelled job has been counted, and nobody waits for it. */
static void
answer(struct job *job, enum metric_counter outcome, const struct job_result *result)
{
    if (job->done == NULL)
        return;
    metrics_add(outcome, 1);
    job->done(job->owner, result);
}

static enum metric_counter
outcome_of(const struct err *why)
{
    if (why->code == ERR_TIMEOUT)
        return METRIC_EXECUTIONS_TIMEOUT;
    if (why->code == ERR_NO_WORKER || why->code == ERR_CONFLICT)
        return METRIC_EXECUTIONS_REJECTED;
    return METRIC_EXECUTIONS_DIED;
}

static void
answer_failure(struct job *job, const struct err *why)
{
    const struct job_result result = {
        .err = why, .execution_count = -1, .memory_peak = job->memory_peak};

    if (why)
        answer(job, outcome_of(why), &result);
}

static void
fail(struct job *job, const struct err *why)
{
    answer_failure(job, why);
    job_free(job);
}

void
session_fail_queue(struct session *s, const struct err *why)
{
    struct job *job, *next;

    DL_FOREACH_SAFE (s->jobs, job, next) {
        if (s->state != SESSION_BUSY || job != s->jobs)
            fail(job, why);
    }
}

void
session_fail_visits(struct session *s, const struct err *why)
{
    visits_fail(s->visits, why);
}

static void
unlimit(struct session *s)
{
    if (s->limiting != UNLIMITED)
        worker_unlimit(s->worker);
    s->limiting = UNLIMITED;
}

/* The running job ends here, whatever became of it. */
static void
stop_running(struct session *s)
{
    event_del(s->nag);
    if (execution_is_watched(s->jobs->execution))
        s->jobs->memory_peak = worker_peak(s->worker);
    unlimit(s);
    if (s->paused)
        worker_pause(s->worker, false);
    s->paused = false;
    if (execution_output(s->jobs->execution))
        metrics_add(METRIC_OUTPUT_BYTES, output_bytes(execution_output(s->jobs->execution)));
    worker_forget(s->worker);
    s->state = SESSION_IDLE;
    s->n_executions += !s->jobs->aside;
}

void
session_free(struct session *s, const struct err *why)
{
    if (s == NULL)
        return;
    if (s->state == SESSION_BUSY)
        stop_running(s);
    session_fail_queue(s, why);
    visits_free(s->visits, why);
    event_free(s->kick);
    event_free(s->nag);
    event_free(s->late);
    free(s);
}

static struct job_result
result_of(const struct session *s, const struct job *job, enum execution_result how)
{
    return (struct job_result){
        .raised = how == EXECUTION_RAISED,
        .execution_count = execution_count(job->execution),
        .duration_ms = (clock_now() - job->begun) * 1000,
        .memory_peak = job->memory_peak,
        .restarted = s->restarted,
    };
}

static void
succeed(struct session *s, struct job *job, enum execution_result how)
{
    struct output *collected = execution_output(job->execution);
    json_auto_t *output = collected ? output_take(collected) : NULL;
    struct job_result result = result_of(s, job, how);

    result.output = output;
    if (job->done && !job->aside)
        s->restarted = false;
    answer(job, how == EXECUTION_OK ? METRIC_EXECUTIONS_OK : METRIC_EXECUTIONS_RAISED, &result);
    job_free(job);
}

static void
replace_execution(struct job *job, const struct execution_spec *spec)
{
    execution_free(job->execution);
    job->execution = execution_new(spec, on_execution_done, job);
}

/* Whether there is something more to run for the job, which is still the head of the queue then. */
static bool
goes_on(struct session *s, struct job *job, enum execution_result how)
{
    const struct job_result result = result_of(s, job, how);
    struct execution_spec spec = {.code = ""};

    if (job->more == NULL || !job->more(job->owner, &result, &spec))
        return false;
    replace_execution(job, &spec);
    return true;
}

/* The same of one that has no owner any more: whether it is to be undone, for the first time or, if that failed, again. */
static bool
goes_back(struct job *job, bool failed)
{
    const struct execution_spec spec = {.code = job->undo,
                                        .code_len = job->undo ? strlen(job->undo) : 0,
                                        .timeout_ms = UNDO_MS,
                                        .max_output = UNDO_OUTPUT,
                                        .silent = true};

    if (job->undo == NULL || job->begun <= 0 || job->session->single_use ||
        job->n_undone == UNDO_TRIES || (job->n_undone > 0 && !failed))
        return false;
    job->n_undone++;
    job->aside = true;
    job->limits = (struct allowance){0};
    replace_execution(job, &spec);
    return true;
}

/* A timed-out execution becomes a 504 here: the answer goes out, and the owner replaces the worker. */
static void
time_out(struct session *s, struct job *job, enum execution_result how)
{
    struct err why = ERR_INIT;

    if (how == EXECUTION_BROKEN)
        err_set(&why, ERR_WORKER_DIED,
                "The kernel sent no reply; its environment has been recycled");
    else if (job->interrupted)
        err_set(&why, ERR_TIMEOUT,
                "The code did not end when it was interrupted; its environment has been recycled");
    else
        err_set(
            &why, ERR_TIMEOUT,
            "The code ran longer than %.10g s and was stopped; its environment has been recycled",
            execution_timeout_ms(job->execution) / 1000.0);
    fail(job, &why);
    s->spent(s->owner, &why);
}

/* A job is over, and its worker has done well. */
static void
go_on(struct session *s)
{
    if (s->single_use)
        s->spent(s->owner, NULL);
    else
        run_next(s);
}

static void
on_execution_done(void *owner, struct execution *x, enum execution_result how)
{
    struct job *job = owner;
    struct session *s = job->session;

    (void)x;
    stop_running(s);
    /* Where it was cancelled, our interrupt can have hit the kernel's own code, before or behind the user's. */
    if (how == EXECUTION_TIMEOUT || (how == EXECUTION_BROKEN && job->done)) {
        time_out(s, job, how);
        return;
    }
    if (job->done ? goes_on(s, job, how) : goes_back(job, how != EXECUTION_OK)) {
        run_next(s);
        return;
    }
    succeed(s, job, how);
    go_on(s);
}

/* The worker cannot be used. */
static void
give_up(struct session *s, const struct err *why)
{
    unlimit(s);
    s->state = SESSION_IDLE;
    fail(s->jobs, why);
    s->spent(s->owner, why);
}

static void
begin(struct session *s)
{
    struct job *job = s->jobs;
    struct err err = ERR_INIT;

    if (execution_is_watched(job->execution))
        worker_watch_peak(s->worker);
    job->begun = clock_now();
    s->state = SESSION_BUSY;
    if (worker_execute(s->worker, job->execution, &err) < 0) {
        give_up(s, &err);
        return;
    }
    s->nagged = false;
    clock_arm(s->late, LONG_MS);
    if (execution_interrupt_ms(job->execution) > 0)
        clock_arm(s->nag, execution_interrupt_ms(job->execution));
}

/* The head of the queue does not run, or not further, and the session goes on in a turn of its own. */
static void
pass_over(struct session *s, const struct err *why)
{
    struct job *job = s->jobs;

    unlimit(s);
    s->state = SESSION_IDLE;
    answer_failure(job, why);
    job->done = NULL;
    if (goes_back(job, false)) {
        begin(s);
        return;
    }
    job_free(job);
    event_active(s->kick, 0, 0);
}

static void
on_limited(void *owner, const struct err *err)
{
    struct session *s = owner;

    s->limiting = err == NULL ? LIMITED : UNLIMITED;
    if (err != NULL || s->jobs->done == NULL)
        pass_over(s, err);
    else
        begin(s);
}

static void
limit(struct session *s)
{
    struct err err = ERR_INIT;
    int rc = worker_limit(s->worker, &s->jobs->limits, on_limited, s, &err);

    s->state = SESSION_BUSY;
    s->limiting = rc < 0 ? UNLIMITED : rc > 0 ? LIMITED : LIMITING;
    if (rc > 0)
        begin(s);
    else if (rc < 0 && err.code == ERR_WORKER_DIED)
        give_up(s, &err);
    else if (rc < 0)
        pass_over(s, &err);
}

static void
run_next(struct session *s)
{
    if (s->jobs == NULL || s->state != SESSION_IDLE)
        return;
    come_forward(s);
    if (allowance_is_none(&s->jobs->limits))
        begin(s);
    else
        limit(s);
}

struct job *
session_submit(struct session *s, const struct job_spec *spec, job_done_fn *done, void *owner)
{
    const struct execution_spec plain = {
        .code = spec->code,
        .code_len = spec->code_len,
        .timeout_ms = spec->timeout_ms,
        .max_output = spec->max_output,
    };
    struct job *job = xcalloc(1, sizeof(*job));

    job->session = s;
    job->execution =
        execution_new(spec->execution ? spec->execution : &plain, on_execution_done, job);
    job->more = spec->next;
    job->undo = spec->undo;
    job->aside = spec->aside;
    job->limits = spec->limits;
    job->done = done;
    job->owner = owner;
    DL_APPEND(s->jobs, job);
    s->n_jobs++;
    event_active(s->kick, 0, 0); /* not run_next: it may fail, and a verb calls nobody back */
    return job;
}

void
job_cancel(struct job *job)
{
    struct session *s = job->session;

    metrics_add(METRIC_EXECUTIONS_CANCELLED, 1);
    if (job_is_running(job)) {
        job->done = NULL;
        execution_unplug(job->execution);
        job_pause(job, false);
        if (s->limiting != LIMITING)
            nag(s);
    } else {
        job_free(job);
    }
}

void
session_fail_all(struct session *s, const struct err *why)
{
    struct job *job = s->state == SESSION_BUSY ? s->jobs : NULL;
    const struct job_result result = {.err = why, .execution_count = -1};

    session_fail_queue(s, why);
    session_fail_visits(s, why);
    if (job == NULL || job->done == NULL)
        return;
    execution_unplug(job->execution);
    job_pause(job, false);
    answer(job, outcome_of(why), &result);
    job->done = NULL;
}

bool
job_is_running(const struct job *job)
{
    return job->session->state == SESSION_BUSY && job == job->session->jobs;
}

void
job_interrupt(struct job *job, unsigned grace_ms)
{
    struct session *s = job->session;

    if (!job_is_running(job) || s->limiting == LIMITING)
        return;
    job_pause(job, false);
    job->interrupted = true;
    execution_hasten(job->execution, grace_ms);
    interrupt(s);
}

int
job_input(struct job *job, const char *text, size_t len, struct err *err)
{
    if (!job_is_running(job))
        return err_set(err, ERR_CONFLICT, "The code does not run");
    return worker_input(job->session->worker, text, len, err);
}

void
job_pause(struct job *job, bool paused)
{
    struct session *s = job->session;

    if (!job_is_running(job) || s->limiting == LIMITING || s->paused == paused || job->interrupted)
        return;
    s->paused = paused;
    worker_pause(s->worker, paused);
}

void
session_attach(struct session *s, struct worker *worker)
{
    assert(s->state == SESSION_WAITING);
    s->worker = worker;
    s->deferred = worker_is_adopted(worker); /* maybe: an earlier gateway knew */
    s->state = SESSION_IDLE;
    event_active(s->kick, 0, 0);
    visits_attach(s->visits, worker);
}

struct visit *
session_visit(struct session *s, visit_fn *fn, void *owner)
{
    if (s->state == SESSION_IDLE)
        come_forward(s);
    return visits_add(s->visits, fn, owner);
}

unsigned
session_visits(const struct session *s)
{
    return visits_count(s->visits);
}

void
session_detach(struct session *s, const struct err *why)
{
    struct job *job = s->state == SESSION_BUSY ? s->jobs : NULL;

    if (job) {
        stop_running(s);
        fail(job, why);
    }
    event_del(s->late);
    visits_attach(s->visits, NULL);
    s->worker = NULL;
    s->state = SESSION_WAITING;
    s->restarted = !s->single_use;
}

enum session_state
session_state(const struct session *s)
{
    return s->state;
}

unsigned
session_jobs(const struct session *s)
{
    return s->n_jobs;
}

unsigned long
session_executions(const struct session *s)
{
    return s->n_executions;
}
