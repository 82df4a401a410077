/*
 * pool.c - see pool.h.
 *
 *   a worker:  starting ──▶ warm ──▶ assigned ──▶ dying ──▶ gone       (from any state to dying)
 *   a user:    waiting ⇄ active ──▶ lost                               (from any state forgotten: release)
 *
 * on_refill() alone decides how many containers start; it runs as an event of its own, after whatever changed
 * the counts.  on_sweep() is the only clock for users: it ends waits that are too long and idle sessions.
 */
#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "config.h"
#include "kernelspec.h"
#include "log.h"
#include "metrics.h"
#include "pool_lists.h"
#include "pool_status.h"
#include "runtime.h"
#include "store.h"

enum {
    SWEEP_MS = 250,
    WAIT_LIMIT_S = 60,    /* of a user for a worker */
    REFILL_DELAY_MS = 30, /* after an assignment: the user's first answer goes first */
    BACKOFF_MIN_MS = 250,
    BACKOFF_MAX_MS = 4000, /* the pool is full again soon after what was wrong is mended */
    FAILURES_TO_TELL = 3,  /* failed starts in a row before waiting users are told */
    YOUNG_S = 5,           /* a warm worker that ends before this age counts as a failed start */
    MAX_LOST = 10000,      /* users remembered without a session */
};

static const char shutting_down[] = "The server is shutting down";

struct pool {
    const struct worker_env *env;
    struct store *store;
    bool in_doubt; /* who is not known may have had a session */
    struct pool_lists lists;
    unsigned max_starting;
    struct event *refill_event, *sweep_event;
    bool started, filled;
    unsigned n_failures; /* starts in a row that failed */
    char last_start_error[400];
    bool draining;
    void (*drained)(void *owner); /* once the last job has been answered */
    void *drain_owner;
};

/* Soon, but no sooner than a back-off or an assignment's delay that is pending already. */
static void
want_refill(struct pool *pool, unsigned ms)
{
    if (pool->started && !evtimer_pending(pool->refill_event, NULL))
        clock_arm(pool->refill_event, ms);
}

/* --- users -------------------------------------------------------------------------------- */

static void
user_forget(struct user *u)
{
    store_remove_session(u->pool->store, u->name);
    user_free(&u->pool->lists, u);
}

/* worker NULL: the session has none. */
static void
put_session(const struct user *u, const struct worker *worker)
{
    store_put_session(u->pool->store, u->name, worker ? worker_identity(worker)->id : NULL,
                      u->created, u->network);
}

static void on_session_spent(void *owner);

static void
open_session(struct user *u, bool restarted, bool network)
{
    u->network = network;
    u->ended = false;
    u->session = session_new(u->pool->env->base, restarted, on_session_spent, u);
}

/* The user has no environment any more.  Whoever had one is remembered, so that the next answer can tell. */
static void
user_lose(struct user *u)
{
    struct pool *pool = u->pool;

    u->executions += session_executions(u->session);
    session_free(u->session, NULL);
    u->session = NULL;
    if (!u->had_worker) {
        user_free(&pool->lists, u);
        return;
    }
    user_move(&pool->lists, u, LOST);
    put_session(u, NULL);
    if (pool->lists.n_users[LOST] > MAX_LOST)
        user_forget(pool->lists.user_lists[LOST]);
}

/* --- workers ------------------------------------------------------------------------------ */

static void
member_doom(struct member *m)
{
    if (m->list == DYING)
        return;
    m->user = NULL;
    member_move(&m->pool->lists, m, DYING);
    store_remove_worker(m->pool->store, worker_identity(m->worker)->id);
    worker_destroy(m->worker);
    want_refill(m->pool, REFILL_DELAY_MS);
}

/* Once as many are warm as are wanted, or as there is room for beside those in use. */
static void
check_filled(struct pool *pool)
{
    const struct config *config = pool->env->config;
    unsigned in_use = pool->lists.n_members[ASSIGNED], room, wanted;
    const struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        in_use += m->user != NULL;
    room = config->max_total_workers > in_use ? config->max_total_workers - in_use : 0;
    wanted = config->min_idle_workers < room ? config->min_idle_workers : room;
    if (pool->filled || !pool->started || pool->lists.n_members[WARM] < wanted)
        return;
    pool->filled = true;
    log_info("pool: %u workers are warm, %u in use", pool->lists.n_members[WARM], in_use);
}

static void
assign(struct member *m, struct user *u)
{
    worker_prefer(m->worker);
    u->had_worker = true;
    m->user = u;
    u->member = m;
    member_move(&m->pool->lists, m, ASSIGNED);
    user_move(&m->pool->lists, u, ACTIVE);
    u->idle_since = clock_now();
    if (u->network)
        worker_open_network(m->worker);
    session_attach(u->session, m->worker);
    put_session(u, m->worker);
    check_filled(m->pool);
    want_refill(m->pool, REFILL_DELAY_MS);
}

static void
serve_waiting(struct pool *pool)
{
    struct user *u;

    while (pool->lists.members[WARM] && (u = pool_lists_first_waiting(&pool->lists)) != NULL)
        assign(pool->lists.members[WARM], u);
}

/* The user's worker ended.  Who has more to run waits for another; who has not is remembered as lost. */
static void
part(struct user *u, const struct err *why)
{
    u->member = NULL;
    session_detach(u->session, why);
    if (session_jobs(u->session) == 0) {
        user_lose(u);
        return;
    }
    user_move(&u->pool->lists, u, WAITING); /* also from there: his wait begins now */
    serve_waiting(u->pool);
}

/* What runs is waited for; what waits, now or after its worker ended, will not run any more. */
static void
drain(struct pool *pool)
{
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "%s", shutting_down);
    for (struct user *u = pool->lists.users; u; u = u->hh.next)
        if (u->session)
            session_fail_queue(u->session, &why);
    for (struct user *u = pool->lists.users; u; u = u->hh.next)
        if (u->session && session_jobs(u->session) > 0)
            return;
    pool->drained(pool->drain_owner);
}

static void
on_session_spent(void *owner)
{
    struct user *u = owner;
    struct member *m = u->member;
    struct err why = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "The worker died");
    log_info("worker %s: taken from its session and destroyed", worker_identity(m->worker)->id);
    /* First: in the store, too, a worker without its user must not be there to be adopted. */
    member_doom(m);
    part(u, &why);
}

static void
fail_all_waiting(struct pool *pool, const char *reason)
{
    struct user *u, *next;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "No worker can be started: %s", reason);
    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next) {
        if (u->member == NULL) {
            session_fail_queue(u->session, &why);
            user_lose(u);
        }
    }
}

static void
note_failed_start(struct pool *pool, const char *reason)
{
    unsigned shift = pool->n_failures < 8 ? pool->n_failures : 8;
    unsigned ms = BACKOFF_MIN_MS << shift;

    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    pool->n_failures++;
    snprintf(pool->last_start_error, sizeof(pool->last_start_error), "%s", reason);
    log_warn("pool: a worker did not start (%u in a row, next try in %u ms): %s", pool->n_failures,
             ms, reason);
    evtimer_del(pool->refill_event);
    want_refill(pool, ms);
    if (pool->n_failures >= FAILURES_TO_TELL)
        fail_all_waiting(pool, reason);
}

static void
put_worker(const struct member *m)
{
    store_put_worker(m->pool->store, worker_identity(m->worker), m->pool->env->kernelspec->name);
}

static void
on_worker_started(void *owner)
{
    put_worker(owner);
}

static void
on_worker_ready(void *owner)
{
    struct member *m = owner;
    struct pool *pool = m->pool;

    if (m->user) { /* recalled */
        metrics_add(METRIC_SESSIONS_RECOVERED, 1);
        assign(m, m->user);
        return;
    }
    pool->n_failures = 0;
    pool->last_start_error[0] = '\0';
    member_move(&pool->lists, m, WARM);
    serve_waiting(pool);
    check_filled(pool);
    want_refill(pool, 0);
}

static void
on_worker_lost(void *owner, const struct err *why)
{
    struct member *m = owner;
    struct pool *pool = m->pool;
    struct user *u = m->user;
    bool start_failed =
        !worker_is_adopted(m->worker) &&
        (m->list == STARTING || (m->list == WARM && clock_now() - m->since < YOUNG_S));

    log_info("worker %s: lost: %s", worker_identity(m->worker)->id, why->msg);
    member_doom(m);
    if (start_failed)
        note_failed_start(pool, why->msg);
    if (u)
        part(u, why);
}

static void
on_worker_gone(void *owner)
{
    struct member *m = owner;
    struct pool *pool = m->pool;

    member_free(&pool->lists, m);
    want_refill(pool, 0);
}

static const struct worker_ops worker_ops = {
    on_worker_started,
    on_worker_ready,
    on_worker_lost,
    on_worker_gone,
};

/* --- how many ----------------------------------------------------------------------------- */

static int
start_one(struct pool *pool, struct err *err)
{
    struct member *m = member_new(&pool->lists, pool_lists_free_slot(&pool->lists));

    m->worker = worker_start(pool->env, m->slot, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return -1;
    }
    if (pool_lists_first_waiting(&pool->lists))
        worker_prefer(m->worker);
    return 0;
}

static bool
is_short(const struct pool *pool)
{
    const struct config *config = pool->env->config;
    unsigned wanted = config->min_idle_workers + pool_lists_waiting(&pool->lists);
    unsigned coming = pool_lists_coming(&pool->lists);

    return coming < pool->max_starting && coming + pool->lists.n_members[WARM] < wanted &&
           pool_lists_alive(&pool->lists) < config->max_total_workers &&
           /* Dying ones go quickly; if they do not, others must not pile up on them. */
           pool_lists_alive(&pool->lists) + pool->lists.n_members[DYING] <
               2 * config->max_total_workers;
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
    struct pool *pool = arg;
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    while (!pool->draining && is_short(pool)) {
        if (start_one(pool, &err) < 0) {
            note_failed_start(pool, err.msg);
            return;
        }
    }
}

/* --- the clock of users ------------------------------------------------------------------- */

static void
sweep_waiting(struct pool *pool, double now)
{
    struct user *u, *next;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "No worker became ready within %d s", WAIT_LIMIT_S);
    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next) {
        if (u->member == NULL && now - u->since > WAIT_LIMIT_S) {
            session_fail_queue(u->session, &why);
            user_lose(u);
        }
    }
}

static void
sweep_idle(struct pool *pool, double now)
{
    struct user *u, *next;

    DL_FOREACH_SAFE (pool->lists.user_lists[ACTIVE], u, next) {
        if (session_jobs(u->session) > 0) {
            u->idle_since = now;
        } else if (now - u->idle_since > pool->env->config->worker_idle_timeout) {
            struct member *m = u->member;

            log_info("worker %s: idle for too long", worker_identity(m->worker)->id);
            metrics_add(METRIC_SESSIONS_REAPED, 1);
            u->ended = true;
            member_doom(m);
            part(u, NULL);
        }
    }
}

/* Some write has failed.  What should be in the store is what is here. */
static void
mend_store(struct pool *pool)
{
    const struct member *m;
    const struct user *u;

    if (!store_is_behind(pool->store) || store_begin(pool->store) < 0)
        return;
    for (int i = STARTING; i < DYING; i++)
        DL_FOREACH (pool->lists.members[i], m)
            if (worker_identity(m->worker)->pid != 0)
                put_worker(m);
    for (u = pool->lists.users; u; u = u->hh.next)
        if (u->had_worker)
            put_session(u, u->member ? u->member->worker : NULL);
    store_commit(pool->store);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct pool *pool = arg;
    double now = clock_now();

    (void)fd, (void)what;
    sweep_waiting(pool, now);
    sweep_idle(pool, now);
    mend_store(pool);
    if (pool->draining)
        drain(pool);
}

/* --- life --------------------------------------------------------------------------------- */

struct pool *
pool_new(const struct worker_env *env, struct store *store, bool in_doubt)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    pool->lists.pool = pool;
    pool->env = env;
    pool->store = store;
    pool->in_doubt = in_doubt;
    pool->max_starting = cores > 1 ? (unsigned)cores : 1;
    pool->refill_event = xnotnull(evtimer_new(env->base, on_refill, pool));
    pool->sweep_event = xnotnull(event_new(env->base, -1, EV_PERSIST, on_sweep, pool));
    clock_arm(pool->sweep_event, SWEEP_MS);
    return pool;
}

void
pool_free(struct pool *pool)
{
    struct user *u, *next_user;
    struct member *m, *next;
    struct err why = ERR_INIT;

    if (pool == NULL)
        return;
    err_set(&why, ERR_NO_WORKER, "%s", shutting_down);
    HASH_ITER (hh, pool->lists.users, u, next_user) {
        session_free(u->session, &why);
        user_free(&pool->lists, u);
    }
    for (int i = 0; i < N_MEMBER_LISTS; i++) {
        DL_FOREACH_SAFE (pool->lists.members[i], m, next) {
            worker_abandon(m->worker);
            member_free(&pool->lists, m);
        }
    }
    event_free(pool->refill_event);
    event_free(pool->sweep_event);
    free(pool);
}

/* --- what an earlier gateway has left ----------------------------------------------------- */

/* What a recall is about: the pool, and the ids of workers that are not taken back. */
struct recall {
    struct pool *pool;
    char **dropped;
    size_t n_dropped;
};

static struct member *
adopt(struct pool *pool, const struct store_row *row, struct err *err)
{
    struct member *m;

    if (strcmp(row->kernel, pool->env->kernelspec->name) != 0) {
        err_set(err, ERR_CONFIG, "it runs the kernel %s", row->kernel);
        return NULL;
    }
    /* It may have been somebody's: a write can have failed, or not have been made when the gateway was killed. */
    if (row->user == NULL) {
        err_set(err, ERR_NO_WORKER, "it is nobody's");
        return NULL;
    }
    m = member_new(&pool->lists, row->identity->slot);
    m->worker = worker_adopt(pool->env, row->identity, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return NULL;
    }
    return m;
}

/* A worker that cannot be adopted leaves its user as lost; its remains are removed with the unknown ones. */
static void
recall(void *owner, const struct store_row *row)
{
    struct recall *r = owner;
    struct user *u = row->user ? user_new(&r->pool->lists, row->user, row->created, LOST) : NULL;
    struct member *m;
    struct err err = ERR_INIT;

    if (u)
        u->had_worker = true;
    if (row->identity == NULL)
        return;
    m = adopt(r->pool, row, &err);
    if (m == NULL) {
        log_info("worker %s: not taken back: %s", row->identity->id, err.msg);
        r->dropped = xrealloc(r->dropped, (r->n_dropped + 1) * sizeof(*r->dropped));
        r->dropped[r->n_dropped++] = xstrdup(row->identity->id);
    } else if (u) {
        m->user = u;
        u->member = m;
        open_session(u, false, row->network);
        user_move(&r->pool->lists, u, WAITING);
    }
}

static void
forget_dropped(struct recall *r)
{
    for (size_t i = 0; i < r->n_dropped; i++) {
        store_remove_worker(r->pool->store, r->dropped[i]);
        free(r->dropped[i]);
    }
    free(r->dropped);
}

static bool
is_adopted(const struct pool *pool, const char *id)
{
    const struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        if (strcmp(worker_identity(m->worker)->id, id) == 0)
            return true;
    return false;
}

static void
remove_strangers(struct pool *pool)
{
    char **ids = runtime_list(pool->env->runtime);
    struct err err = ERR_INIT;

    for (char **id = ids; *id; id++) {
        if (!is_adopted(pool, *id)) {
            log_info("container %s: left over, removing it", *id);
            if (runtime_remove(pool->env->runtime, *id, &err) < 0)
                log_error("container %s: %s", *id, err.msg);
        }
        free(*id);
    }
    free(ids);
}

int
pool_recall(struct pool *pool, struct err *err)
{
    struct recall r = {.pool = pool};
    int rc = store_each(pool->store, recall, &r, err);

    forget_dropped(&r);
    if (rc < 0)
        return -1;
    if (pool->lists.n_members[STARTING])
        log_info("pool: %u workers of an earlier gateway are being recalled",
                 pool->lists.n_members[STARTING]);
    remove_strangers(pool);
    return 0;
}

/* --- from the start to the end ------------------------------------------------------------ */

void
pool_start(struct pool *pool)
{
    pool->started = true;
    check_filled(pool);
    want_refill(pool, 0);
}

/* More warm workers than wanted now are let go; too few are started. */
void
pool_reconfigure(struct pool *pool)
{
    while (pool->lists.n_members[WARM] > pool->env->config->min_idle_workers)
        member_doom(pool->lists.members[WARM]);
    check_filled(pool);
    evtimer_del(pool->refill_event);
    want_refill(pool, 0);
}

/* --- admission, jobs ---------------------------------------------------------------------- */

/* There is a session, or what is left of one whose worker ended. */
static bool
is_session(const struct user *u)
{
    return u && !(u->list == LOST && u->ended);
}

/* A new session: is there room for one more, for this caller and at all? */
static int
admit_session(const struct pool *pool, const struct caller *who, struct err *err)
{
    unsigned n = pool->lists.n_users[WAITING] + pool->lists.n_users[ACTIVE];

    if (who->max_sessions && pool_lists_sessions_of(&pool->lists, who) >= who->max_sessions)
        return err_set(
            err, ERR_QUOTA,
            "The API key's limit of %u session%s is reached; release one or try again later",
            who->max_sessions, who->max_sessions == 1 ? "" : "s");
    if (n >= pool->env->config->max_total_workers)
        return err_set(err, ERR_NO_WORKER,
                       "All %u workers are in use; release a session or try again later", n);
    return 0;
}

/* A session's network is what its first request has said, for good: the code that ran before might mind. */
static int
admit_network(const struct pool *pool, const struct user *u, enum network_mode wanted,
              struct err *err)
{
    if (wanted == NETWORK_ALLOWLIST && pool->env->config->network != NETWORK_ALLOWLIST)
        return err_field(err, ERR_FORBIDDEN, "network",
                         "network: this server permits no session to have a network");
    if (u && u->session && wanted != NETWORK_UNSAID && u->network != (wanted == NETWORK_ALLOWLIST))
        return err_field(err, ERR_CONFLICT, "network",
                         "network: this user's session was made with \"%s\"; release it first",
                         u->network ? "allowlist" : "none");
    return 0;
}

static int
admit(const struct pool *pool, const struct caller *who, const struct user *u, struct err *err)
{
    unsigned jobs = u && u->session ? session_jobs(u->session) : 0;

    if (pool->draining)
        return err_set(err, ERR_NO_WORKER, "%s", shutting_down);
    if (pool->n_failures >= FAILURES_TO_TELL && pool_lists_alive(&pool->lists) == 0)
        return err_set(err, ERR_NO_WORKER, "No worker can be started: %s", pool->last_start_error);
    if (jobs >= pool->env->config->queue_limit)
        return err_set(err, ERR_BUSY, "%u executions of this user are waiting or running already",
                       jobs);
    return u && u->session ? 0 : admit_session(pool, who, err);
}

/* Somebody waits: what is starting already is for him. */
static void
hurry(struct pool *pool)
{
    struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        worker_prefer(m->worker);
    want_refill(pool, 0);
}

/* The user with a session: an old one, or a new one that has a worker or waits for one. */
static struct user *
user_with_session(struct pool *pool, struct user *u, const char *name, bool network)
{
    if (u && u->session)
        return u;
    if (u) {
        u->created = time(NULL);
        user_move(&pool->lists, u, WAITING);
        open_session(u, true, network);
    } else {
        u = user_new(&pool->lists, name, time(NULL), WAITING);
        open_session(u, pool->in_doubt, network);
    }
    serve_waiting(pool);
    if (u->member == NULL)
        hurry(pool);
    return u;
}

struct job *
pool_submit(struct pool *pool, const struct caller *who, const char *user,
            const struct job_spec *spec, job_done_fn *done, void *owner, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);
    struct job *job = NULL;

    if (admit_network(pool, u, spec->network, err) == 0 && admit(pool, who, u, err) == 0) {
        u = user_with_session(pool, u, name, spec->network == NETWORK_ALLOWLIST);
        u->last_used = time(NULL);
        u->idle_since = clock_now();
        job = session_submit(u->session, spec, done, owner);
    }
    if (job == NULL)
        metrics_add(METRIC_EXECUTIONS_REJECTED, 1);
    return job;
}

int
pool_open(struct pool *pool, const struct caller *who, const char *user, enum network_mode network,
          bool *made, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    *made = !is_session(u);
    if (admit_network(pool, u, network, err) < 0 || admit(pool, who, u, err) < 0)
        return -1;
    user_with_session(pool, u, name, network == NETWORK_ALLOWLIST)->last_used = time(NULL);
    return 0;
}

bool
pool_is_python(const struct pool *pool, const struct caller *who, const char *user)
{
    (void)who, (void)user; /* there is one kernel for all */
    return strcmp(pool->env->kernelspec->language, "python") == 0;
}

bool
pool_limits_executions(const struct pool *pool)
{
    return runtime_limits_executions(pool->env->runtime);
}

void
pool_release(struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);
    struct member *m = u ? u->member : NULL;
    struct err why = ERR_INIT;

    if (u == NULL)
        return;
    err_set(&why, ERR_WORKER_DIED, "The session was released");
    session_free(u->session, &why);
    if (m)
        member_doom(m);
    user_forget(u);
}

void
pool_drain(struct pool *pool, void (*idle)(void *owner), void *owner)
{
    pool->draining = true;
    pool->drained = idle;
    pool->drain_owner = owner;
}

/* --- what can be seen --------------------------------------------------------------------- */

bool
pool_is_ready(const struct pool *pool)
{
    return pool->filled && !pool->draining;
}

bool
pool_has_session(const struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);

    return is_session(user_find(&pool->lists, name));
}

json_t *
pool_session(const struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    const struct user *u = user_find(&pool->lists, name);

    return is_session(u) ? pool_status_session(u) : NULL;
}

json_t *
pool_sessions(const struct pool *pool, const struct caller *who, unsigned long long after,
              unsigned limit, unsigned long long *next)
{
    json_t *list = xnotnull(json_array());
    unsigned long long last = after;

    *next = 0;
    for (const struct user *u = pool->lists.users; u && *next == 0; u = u->hh.next) {
        if (u->serial <= after || !is_session(u) || !(caller_is_master(who) || user_is_of(u, who)))
            continue;
        if (json_array_size(list) == limit) {
            *next = last;
        } else {
            json_array_append_new(list, pool_status_session(u));
            last = u->serial;
        }
    }
    return list;
}

json_t *
pool_status(const struct pool *pool, const struct caller *who)
{
    const struct config *config = pool->env->config;
    const char *error = pool->last_start_error;

    return xnotnull(
        json_pack("{s:i,s:i,s:i,s:i,s:b,s:i,s:i,s:o,s:s,s:s,s:o,s:s?}", "total_workers",
                  pool_lists_alive(&pool->lists), "busy_workers", pool->lists.n_members[ASSIGNED],
                  "idle_workers_in_pool", pool->lists.n_members[WARM], "starting_workers",
                  pool->lists.n_members[STARTING], "is_initializing", !pool->filled,
                  "min_idle_workers", config->min_idle_workers, "max_total_workers",
                  config->max_total_workers, "sessions", pool_status_sessions(&pool->lists, who),
                  "kernel", pool->env->kernelspec->name, "runtime", config->runtime, "limits",
                  runtime_limits(pool->env->runtime), "last_start_error", error[0] ? error : NULL));
}

void
pool_gauge(const struct pool *pool)
{
    pool_status_gauge(&pool->lists);
}
