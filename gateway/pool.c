/*
 * pool.c - see pool.h.
 *
 *   a worker:  starting ──▶ warm ──▶ assigned ──▶ dying ──▶ gone       (from any state to dying)
 *   a user:    waiting ⇄ active ──▶ lost                               (from any state forgotten: release)
 *
 * on_refill() alone decides how many containers start, and of which kernel; it runs as an event of its own, after whatever
 * changed the counts.  on_sweep() is the only clock for users: it ends waits that are too long and idle sessions.
 */
#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "config.h"
#include "kernels.h"
#include "log.h"
#include "metrics.h"
#include "pool_lists.h"
#include "pool_record.h"
#include "pool_status.h"
#include "runtime.h"
#include "store.h"
#include "timestamp.h"

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
    struct kernels *kernels;
    struct store *store;
    bool in_doubt; /* who is not known may have had a session */
    struct pool_lists lists;
    unsigned max_starting;
    struct event *refill_event, *sweep_event;
    struct event *retry_event; /* on_refill, when a kernel's back-off is over */
    bool started, filled;
    bool draining;
    void (*drained)(void *owner); /* once the last job has been answered */
    void *drain_owner;
};

/* Soon, but no sooner than an assignment's delay that is pending already. */
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
    cleanup_free char *details = pool_record_save(u);

    store_put_session(u->pool->store, u->name, worker ? worker_identity(worker)->id : NULL,
                      (time_t)(u->created_ms / 1000), u->network, details);
}

/* The worker that is the user's in the store: not one that is only being made for him. */
static const struct worker *
kept_worker(const struct user *u)
{
    const struct member *m = u->member;

    return m && (u->list == ACTIVE || m->adopted || m->renewing) ? m->worker : NULL;
}

static void on_session_spent(void *owner, const struct err *why);

static void
open_session(struct user *u, struct kernel_kind *kind, bool restarted, bool network)
{
    user_set_kind(u, kind);
    u->network = network;
    u->ended = false;
    u->session = session_new(u->pool->env->base, restarted, on_session_spent, u);
    if (u->terms.strategy != TERMS_SESSION)
        session_set_single_use(u->session);
    u->own = terms_need_own(&u->terms, runtime_limits_executions(u->pool->env->runtime));
}

/* The user has no environment any more.  Whoever had one is remembered, so that the next answer can tell. */
static void
user_lose(struct user *u)
{
    struct pool *pool = u->pool;

    u->executions += session_executions(u->session);
    session_free(u->session, NULL);
    u->session = NULL;
    if (!u->had_worker && !u->kept) {
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
    if (pool->filled || !pool->started ||
        pool_lists_warm(&pool->lists, kernels_standard(pool->kernels)) < wanted)
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
    pool_record_began(u, worker_identity(m->worker)->id);
    put_session(u, m->worker);
    check_filled(m->pool);
    want_refill(m->pool, REFILL_DELAY_MS);
}

/* Takes from a warm worker what the user's is not to have.  False: only one that is made for him will do. */
static bool
fit(struct member *m, struct user *u)
{
    const struct portion *l = &u->terms.limits;
    struct err err = ERR_INIT;

    if ((l->cpu <= 0 && l->memory_mb == 0) || worker_restrict(m->worker, l, &err) == 0)
        return true;
    log_debug("worker %s: not for a session with limits: %s", worker_identity(m->worker)->id,
              err.msg);
    u->own = true;
    want_refill(u->pool, 0);
    return false;
}

static void
serve_waiting(struct pool *pool)
{
    struct user *u, *next;
    struct member *m;

    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next)
        if (u->member == NULL && !u->own &&
            (m = pool_lists_first_warm(&pool->lists, u->kind)) != NULL && fit(m, u))
            assign(m, u);
}

/* The user's worker ended.  Who has more to run waits for another; who has not is remembered as lost. */
static void
part(struct user *u, const struct err *why, const char *reason)
{
    u->member = NULL;
    pool_record_ended(u, reason);
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

/* Starts the kernel of the user's worker anew; he waits for it meanwhile. */
static void
renew(struct user *u, bool wipe, const char *reason)
{
    struct member *m = u->member;
    struct pool *pool = u->pool;
    struct err why = ERR_INIT, err = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    session_detach(u->session, &why);
    user_move(&pool->lists, u, WAITING);
    member_move(&pool->lists, m, STARTING);
    m->renewing = true;
    if (worker_renew(m->worker, wipe, &err) == 0)
        return;
    member_doom(m);
    part(u, &err, err.msg);
}

static void
on_session_spent(void *owner, const struct err *reason)
{
    struct user *u = owner;
    struct member *m = u->member;
    struct err why = ERR_INIT;

    if (reason == NULL && u->terms.strategy == TERMS_POOL) {
        renew(u, true, "");
        return;
    }
    err_set(&why, ERR_WORKER_DIED, "The worker died");
    if (reason)
        log_info("worker %s: taken from its session and destroyed", worker_identity(m->worker)->id);
    /* First: in the store, too, a worker without its user must not be there to be adopted. */
    member_doom(m);
    part(u, &why, reason ? reason->msg : "It was for one execution");
}

static void
fail_all_waiting(struct pool *pool, const struct kernel_kind *kind)
{
    struct user *u, *next;
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "No worker can be started: %s", kind->starts.error);
    DL_FOREACH_SAFE (pool->lists.user_lists[WAITING], u, next) {
        if (u->member == NULL && u->kind == kind) {
            session_fail_queue(u->session, &why);
            user_lose(u);
        }
    }
}

static void
note_failed_start(struct pool *pool, struct kernel_kind *kind, const char *reason)
{
    unsigned shift = kind->starts.n_failures < 8 ? kind->starts.n_failures : 8;
    unsigned ms = BACKOFF_MIN_MS << shift;

    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    kind->starts.n_failures++;
    kind->starts.not_before = clock_now() + ms / 1000.0;
    snprintf(kind->starts.error, sizeof(kind->starts.error), "%s", reason);
    log_warn("pool: a worker of the kernel %s did not start (%u in a row, next try in %u ms): %s",
             kind->name, kind->starts.n_failures, ms, reason);
    want_refill(pool, 0);
    if (kind->starts.n_failures >= FAILURES_TO_TELL)
        fail_all_waiting(pool, kind);
}

static void
put_worker(const struct member *m)
{
    store_put_worker(m->pool->store, worker_identity(m->worker), m->kind->name);
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

    if (!m->adopted) {
        m->kind->starts.n_failures = 0;
        m->kind->starts.error[0] = '\0';
    }
    if (m->user) {
        if (m->adopted && !m->renewing)
            metrics_add(METRIC_SESSIONS_RECOVERED, 1);
        m->renewing = false;
        assign(m, m->user);
        return;
    }
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
        !m->adopted && !m->renewing &&
        (m->list == STARTING || (m->list == WARM && clock_now() - m->since < YOUNG_S));

    log_info("worker %s: lost: %s", worker_identity(m->worker)->id, why->msg);
    if (u && u->list == WAITING && !m->adopted && !m->renewing) {
        u->member = NULL; /* it was being made for him; he waits on */
        u = NULL;
    }
    member_doom(m);
    if (start_failed)
        note_failed_start(pool, m->kind, why->msg);
    if (u)
        part(u, why, why->msg);
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

/* For the user, if he needs one of his own; u NULL: for nobody yet. */
static int
start_one(struct pool *pool, struct kernel_kind *kind, struct user *u, struct err *err)
{
    struct member *m = member_new(&pool->lists, kind, pool_lists_free_slot(&pool->lists));
    const struct worker_spec spec = {
        .kind = kind, .limits = u ? &u->terms.limits : NULL, .env = u ? u->terms.env : NULL};

    m->worker = worker_start(pool->env, m->slot, &spec, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return -1;
    }
    m->user = u;
    if (u)
        u->member = m;
    if (u || pool_lists_first_waiting(&pool->lists, kind))
        worker_prefer(m->worker);
    return 0;
}

static bool
is_current(const struct pool *pool, const struct kernel_kind *kind)
{
    return kernels_find(pool->kernels, kind->name) == kind;
}

/* How many of it are kept warm. */
static unsigned
wanted_warm(const struct pool *pool, const struct kernel_kind *kind)
{
    if (kind == kernels_standard(pool->kernels))
        return pool->env->config->min_idle_workers;
    return is_current(pool, kind) && kind->why_not == NULL ? kind->spec.warm : 0;
}

static bool
is_full(const struct pool *pool)
{
    return pool_lists_alive(&pool->lists) >= pool->env->config->max_total_workers;
}

static bool
may_go_on(const struct pool *pool)
{
    const struct config *config = pool->env->config;

    return !pool->draining && pool_lists_starting(&pool->lists) < pool->max_starting &&
           /* Dying ones go quickly; if they do not, others must not pile up on them. */
           pool_lists_alive(&pool->lists) + pool->lists.n_members[DYING] <
               2 * config->max_total_workers;
}

static bool
is_short(const struct pool *pool, const struct kernel_kind *kind, unsigned warm)
{
    return pool_lists_coming(&pool->lists, kind) + pool_lists_warm(&pool->lists, kind) <
           warm + pool_lists_waiting(&pool->lists, kind);
}

static bool
may_start(struct kernel_kind *kind)
{
    return clock_now() >= kind->starts.not_before && kernel_kind_is_prepared(kind);
}

/* Who waits while nothing that would do for him is coming; NULL: nobody. */
static struct user *
missed_user(const struct pool *pool)
{
    struct user *u;

    DL_FOREACH (pool->lists.user_lists[WAITING], u)
        if (u->member == NULL && (u->own || is_short(pool, u->kind, 0)) && may_start(u->kind))
            return u;
    return NULL;
}

/* The kernel of which the next worker should be, for whom nobody waits yet; NULL: there are enough of all. */
static struct kernel_kind *
next_kind(const struct pool *pool)
{
    struct kernel_kind *kind, *standard = kernels_standard(pool->kernels);

    if (is_short(pool, standard, wanted_warm(pool, standard)) && may_start(standard))
        return standard;
    for (kind = kernels_first(pool->kernels); kind; kind = kind->next)
        if (is_short(pool, kind, wanted_warm(pool, kind)) && may_start(kind))
            return kind;
    return NULL;
}

/* Where there are as many workers as there may be, one that nobody wants now goes for one that somebody waits for. */
static bool
make_room(struct pool *pool)
{
    struct member *m = pool_lists_first_warm(&pool->lists, NULL);

    if (m == NULL || missed_user(pool) == NULL)
        return false;
    log_info("worker %s: ended, to make room for one of another kernel",
             worker_identity(m->worker)->id);
    member_doom(m);
    return true;
}

/* When the first back-off is over. */
static void
arm_retry(struct pool *pool)
{
    const double now = clock_now();
    double soonest = 0;

    for (const struct kernel_kind *kind = kernels_first(pool->kernels); kind; kind = kind->next) {
        const double due = kind->starts.not_before;

        if (due > now && (soonest <= 0 || due < soonest))
            soonest = due;
    }
    if (soonest > 0)
        clock_arm(pool->retry_event, 1 + (unsigned)((soonest - now) * 1000));
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
    struct pool *pool = arg;
    struct err err = ERR_INIT;

    (void)fd, (void)what;
    while (may_go_on(pool) && (!is_full(pool) || make_room(pool))) {
        struct user *u = missed_user(pool);
        struct kernel_kind *kind = u ? u->kind : next_kind(pool);

        if (kind == NULL)
            break;
        if (start_one(pool, kind, u && u->own ? u : NULL, &err) < 0)
            note_failed_start(pool, kind, err.msg);
    }
    arm_retry(pool);
}

static void
on_kernel_prepared(void *owner)
{
    want_refill(owner, 0);
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

static double
idle_limit(const struct user *u)
{
    return u->terms.idle_timeout > 0 ? u->terms.idle_timeout
                                     : u->pool->env->config->worker_idle_timeout;
}

static void
sweep_idle(struct pool *pool, double now)
{
    struct user *u, *next;

    DL_FOREACH_SAFE (pool->lists.user_lists[ACTIVE], u, next) {
        if (session_jobs(u->session) > 0 || session_visits(u->session) > 0) {
            u->idle_since = now;
        } else if (now - u->idle_since > idle_limit(u)) {
            struct member *m = u->member;

            log_info("worker %s: idle for too long", worker_identity(m->worker)->id);
            metrics_add(METRIC_SESSIONS_REAPED, 1);
            u->ended = true;
            member_doom(m);
            part(u, NULL, "It was idle for too long");
        }
    }
}

/* A session without a worker: nobody comes back to it. */
static void
sweep_lost(struct pool *pool, double now)
{
    struct user *u, *next;

    DL_FOREACH_SAFE (pool->lists.user_lists[LOST], u, next) {
        if (u->ended || now - u->idle_since <= idle_limit(u))
            continue;
        u->ended = true;
        if (u->had_worker)
            put_session(u, NULL);
        else
            user_forget(u);
    }
}

static void
release(struct user *u, const char *reason)
{
    struct member *m = u->member;
    struct err why = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    session_free(u->session, &why);
    if (m)
        member_doom(m);
    user_forget(u);
}

static void
sweep_expired(struct pool *pool)
{
    const int64_t now = timestamp_now();
    struct user *u, *next;

    HASH_ITER (hh, pool->lists.users, u, next) {
        if (u->terms.expires_ms == 0 || now < u->terms.expires_ms)
            continue;
        log_info("a session has ended: its ttl is over");
        release(u, "The session has ended: its ttl is over");
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
        if (u->had_worker || u->kept)
            put_session(u, kept_worker(u));
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
    sweep_lost(pool, now);
    sweep_expired(pool);
    mend_store(pool);
    if (pool->draining)
        drain(pool);
}

/* --- life --------------------------------------------------------------------------------- */

struct pool *
pool_new(const struct worker_env *env, struct kernels *kernels, struct store *store, bool in_doubt)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    pool->lists.pool = pool;
    pool->env = env;
    pool->kernels = kernels;
    pool->store = store;
    pool->in_doubt = in_doubt;
    pool->max_starting = cores > 1 ? (unsigned)cores : 1;
    pool->refill_event = xnotnull(evtimer_new(env->base, on_refill, pool));
    pool->retry_event = xnotnull(evtimer_new(env->base, on_refill, pool));
    kernels_on_prepared(kernels, on_kernel_prepared, pool);
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
    kernels_on_prepared(pool->kernels, NULL, NULL);
    event_free(pool->refill_event);
    event_free(pool->retry_event);
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
adopt(struct pool *pool, const struct store_row *row, const struct user *u, struct err *err)
{
    struct kernel_kind *kind = kernels_find(pool->kernels, row->kernel);
    const struct worker_spec spec = {
        .kind = kind, .limits = u ? &u->terms.limits : NULL, .env = u ? u->terms.env : NULL};
    struct member *m;

    if (kind == NULL || kind->spec.name == NULL) {
        err_set(err, ERR_CONFIG, "it runs the kernel %s, which is not there any more", row->kernel);
        return NULL;
    }
    /* It may have been somebody's: a write can have failed, or not have been made when the gateway was killed. */
    if (row->user == NULL) {
        err_set(err, ERR_NO_WORKER, "it is nobody's");
        return NULL;
    }
    m = member_new(&pool->lists, kind, row->identity->slot);
    m->adopted = true;
    m->worker = worker_adopt(pool->env, row->identity, &spec, &worker_ops, m, err);
    if (m->worker == NULL) {
        member_free(&pool->lists, m);
        return NULL;
    }
    return m;
}

static struct user *
recall_user(struct pool *pool, const struct store_row *row)
{
    struct user *u = user_new(&pool->lists, row->user, (int64_t)row->created * 1000, LOST);

    user_set_kind(u, kernels_standard(pool->kernels));
    pool_record_load(u, row->details, pool->kernels);
    u->network = row->network;
    u->had_worker = row->identity != NULL || u->history != NULL || !u->kept;
    return u;
}

/* A worker that cannot be adopted leaves its user as lost; its remains are removed with the unknown ones. */
static void
recall(void *owner, const struct store_row *row)
{
    struct recall *r = owner;
    struct user *u = row->user ? recall_user(r->pool, row) : NULL;
    struct member *m;
    struct err err = ERR_INIT;

    if (row->identity == NULL)
        return;
    m = adopt(r->pool, row, u, &err);
    if (m == NULL) {
        log_info("worker %s: not taken back: %s", row->identity->id, err.msg);
        if (u)
            pool_record_ended(u, err.msg);
        r->dropped = xrealloc(r->dropped, (r->n_dropped + 1) * sizeof(*r->dropped));
        r->dropped[r->n_dropped++] = xstrdup(row->identity->id);
    } else if (u) {
        m->user = u;
        u->member = m;
        open_session(u, m->kind, false, row->network);
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

/* A kernelspec that has changed: who waits for a worker of it gets one of what it is now, if that can run. */
static void
renew_waiting(struct pool *pool)
{
    struct kernel_kind *kind;
    struct user *u;

    DL_FOREACH (pool->lists.user_lists[WAITING], u) {
        kind = kernels_find(pool->kernels, u->kind->name);
        if (u->member == NULL && kind && kind->why_not == NULL)
            user_set_kind(u, kind);
    }
}

/* Workers that nobody has, of a kernelspec that has changed, or more of them than wanted now. */
static void
doom_surplus(struct pool *pool)
{
    struct member *m, *next;

    DL_FOREACH_SAFE (pool->lists.members[STARTING], m, next)
        if (m->user == NULL && !is_current(pool, m->kind))
            member_doom(m);
    DL_FOREACH_SAFE (pool->lists.members[WARM], m, next)
        if (pool_lists_warm(&pool->lists, m->kind) > wanted_warm(pool, m->kind))
            member_doom(m);
}

/* More warm workers than wanted now are let go; too few are started. */
void
pool_reconfigure(struct pool *pool)
{
    renew_waiting(pool);
    doom_surplus(pool);
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

/* ... and what it is, is said: by whoever made it, or by the worker that it has or waits for. */
static bool
is_settled(const struct user *u)
{
    return is_session(u) && (u->session || u->kept);
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
    if (is_settled(u) && wanted != NETWORK_UNSAID && u->network != (wanted == NETWORK_ALLOWLIST))
        return err_field(err, ERR_CONFLICT, "network",
                         "network: this user's session was made with \"%s\"; release it first",
                         u->network ? "allowlist" : "none");
    return 0;
}

/* What a session is said to be must be what it is; a new one must be possible. */
static int
admit_kernel(const struct user *u, const struct pool_wish *wish, struct err *err)
{
    if (wish->kind == NULL)
        return 0;
    if (is_settled(u) && strcmp(u->kind->name, wish->kind->name) != 0)
        return err_field(err, ERR_CONFLICT, "kernel",
                         "kernel: the session has the kernel %s; end it first", u->kind->name);
    if (!is_settled(u) && wish->kind->why_not)
        return err_field(err, ERR_UNSUPPORTED, "kernel", "kernel: %s cannot be used: %.300s",
                         wish->kind->name, wish->kind->why_not);
    return 0;
}

/* What the session has where nothing was said. */
static struct terms
effective_terms(const struct pool *pool, const struct user *u)
{
    const struct config *c = pool->env->config;
    const struct portion *kind = &u->kind->spec.limits;
    struct terms t = u->terms; /* env is borrowed */

    if (t.limits.cpu <= 0)
        t.limits.cpu = kind->cpu > 0 ? kind->cpu : c->worker_cpu;
    if (t.limits.memory_mb == 0)
        t.limits.memory_mb = kind->memory_mb ? kind->memory_mb : c->worker_memory_mb;
    if (t.limits.disk_mb == 0)
        t.limits.disk_mb = kind->disk_mb ? kind->disk_mb : c->worker_disk_mb;
    if (t.limits.pids == 0)
        t.limits.pids = kind->pids ? kind->pids : c->worker_pids;
    if (t.timeout <= 0)
        t.timeout = c->exec_timeout;
    if (t.idle_timeout <= 0)
        t.idle_timeout = c->worker_idle_timeout;
    return t;
}

static int
admit_terms(const struct pool *pool, const struct user *u, const struct pool_wish *wish,
            struct err *err)
{
    const char *field = NULL;

    if (wish->terms == NULL || !is_settled(u))
        return 0;
    const struct terms had = effective_terms(pool, u);

    if (wish->has_strategy && wish->terms->strategy != had.strategy)
        field = "strategy";
    else
        field = terms_differ(wish->terms, &had);
    if (field == NULL)
        return 0;
    return err_field(
        err, ERR_CONFLICT, field,
        "%s: there is a session by that name, which was made with another; end it first", field);
}

/* What a session of the user would run, or runs. */
static struct kernel_kind *
kind_for(const struct pool *pool, const struct user *u, const struct pool_wish *wish)
{
    if (is_settled(u))
        return u->kind;
    return wish->kind ? wish->kind : kernels_standard(pool->kernels);
}

/* Without regard to what it is to be. */
static int
admit_running(const struct pool *pool, const struct caller *who, const struct user *u,
              struct err *err)
{
    if (pool->draining)
        return err_set(err, ERR_NO_WORKER, "%s", shutting_down);
    return u->session ? 0 : admit_session(pool, who, err);
}

static int
admit(const struct pool *pool, const struct caller *who, const struct user *u,
      const struct pool_wish *wish, struct err *err)
{
    const struct kernel_kind *kind = kind_for(pool, u, wish);
    unsigned jobs = u && u->session ? session_jobs(u->session) : 0;

    if (admit_network(pool, u, wish->network, err) < 0 || admit_kernel(u, wish, err) < 0 ||
        admit_terms(pool, u, wish, err) < 0)
        return -1;
    if (pool->draining)
        return err_set(err, ERR_NO_WORKER, "%s", shutting_down);
    if (kind->starts.n_failures >= FAILURES_TO_TELL && pool_lists_alive_of(&pool->lists, kind) == 0)
        return err_set(err, ERR_NO_WORKER, "No worker can be started: %s", kind->starts.error);
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

/* The kernelspec by that name as it is now, where it can run; who has lost his worker gets one of it. */
static struct kernel_kind *
renewed(const struct pool *pool, struct kernel_kind *kind)
{
    struct kernel_kind *now = kernels_find(pool->kernels, kind->name);

    return now && now->why_not == NULL ? now : kind;
}

/* A session of a user who is not known, or who is only remembered. */
static struct user *
new_user(struct pool *pool, struct user *old, const char *name, const struct pool_wish *wish)
{
    const bool had_worker = old && old->had_worker;
    const unsigned long executions = old && !old->ended ? old->executions : 0;
    struct user *u;

    if (old)
        user_free(&pool->lists, old);
    u = user_new(&pool->lists, name, timestamp_now(), LOST);
    u->had_worker = had_worker;
    u->executions = executions;
    u->network = wish->network == NETWORK_ALLOWLIST;
    user_set_kind(u, wish->kind ? wish->kind : kernels_standard(pool->kernels));
    if (wish->terms)
        terms_copy(&u->terms, wish->terms);
    u->kept = wish->terms != NULL;
    return u;
}

/* Without a worker it says `restarted`, if it had one before. */
static void
wake(struct pool *pool, struct user *u, bool is_new)
{
    const bool had = u->had_worker || (is_new && pool->in_doubt);

    user_move(&pool->lists, u, WAITING);
    open_session(u, renewed(pool, u->kind), had && u->terms.strategy == TERMS_SESSION, u->network);
    serve_waiting(pool);
    if (u->member == NULL)
        hurry(pool);
}

/* The user with a session: an old one, or a new one that has a worker or waits for one. */
static struct user *
user_with_session(struct pool *pool, struct user *u, const char *name, const struct pool_wish *wish)
{
    const bool is_new = !is_settled(u);

    if (u && u->session)
        return u;
    if (is_new)
        u = new_user(pool, u, name, wish);
    wake(pool, u, is_new);
    return u;
}

/* No longer than the session's executions may take. */
static struct job *
submit(struct user *u, const struct job_spec *spec, job_done_fn *done, void *owner)
{
    const double most_ms = u->terms.timeout * 1000;
    struct job_spec own = *spec;

    if (most_ms > 0 && spec->timeout_ms > most_ms)
        own.timeout_ms = most_ms < 1 ? 1 : (unsigned)most_ms;
    return session_submit(u->session, &own, done, owner);
}

struct job *
pool_submit(struct pool *pool, const struct caller *who, const char *user,
            const struct job_spec *spec, job_done_fn *done, void *owner, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);
    const struct pool_wish wish = {.network = spec->network};
    struct job *job = NULL;

    if (admit(pool, who, u, &wish, err) == 0) {
        u = user_with_session(pool, u, name, &wish);
        u->last_used_ms = timestamp_now();
        u->idle_since = clock_now();
        job = submit(u, spec, done, owner);
    }
    if (job == NULL)
        metrics_add(METRIC_EXECUTIONS_REJECTED, 1);
    return job;
}

int
pool_open(struct pool *pool, const struct caller *who, const char *user,
          const struct pool_wish *wish, bool *made, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    *made = !is_settled(u);
    if (admit(pool, who, u, wish, err) < 0)
        return -1;
    if (*made)
        u = new_user(pool, u, name, wish);
    if (pool->lists.n_users[LOST] > MAX_LOST + 1)
        user_forget(pool->lists.user_lists[LOST]);
    u->last_used_ms = timestamp_now();
    u->idle_since = clock_now();
    if (*made && u->terms.strategy != TERMS_EXECUTION) /* whose workers come with what it runs */
        wake(pool, u, true);
    if (u->list != ACTIVE) /* else it has been put with its worker */
        put_session(u, kept_worker(u));
    return 0;
}

struct visit *
pool_visit(struct pool *pool, const struct caller *who, const char *user, visit_fn *fn, void *owner,
           struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);
    const struct pool_wish wish = {.network = u && u->network ? NETWORK_ALLOWLIST : NETWORK_UNSAID};

    if (!(u && u->session) && admit(pool, who, u, &wish, err) < 0)
        return NULL;
    u = user_with_session(pool, u, name, &wish);
    u->last_used_ms = timestamp_now();
    return session_visit(u->session, fn, owner);
}

bool
pool_is_python(const struct pool *pool, const struct caller *who, const char *user)
{
    static const struct pool_wish none;
    cleanup_free char *name = user_full_name(who, user);

    return strcasecmp(kind_for(pool, user_find(&pool->lists, name), &none)->spec.language,
                      "python") == 0;
}

double
pool_most(const struct pool *pool, const struct caller *who, const char *user,
          struct allowance *most)
{
    const struct config *config = pool->env->config;
    cleanup_free char *name = user_full_name(who, user);
    const struct user *u = user_find(&pool->lists, name);
    struct terms terms;

    *most = (struct allowance){config->worker_cpu, config->worker_memory_mb};
    if (u == NULL)
        return config->exec_timeout;
    terms = effective_terms(pool, u);
    *most = (struct allowance){terms.limits.cpu, terms.limits.memory_mb};
    return terms.timeout < config->exec_timeout ? terms.timeout : config->exec_timeout;
}

bool
pool_limits_executions(const struct pool *pool)
{
    return runtime_limits_executions(pool->env->runtime);
}

int
pool_restart(struct pool *pool, const struct caller *who, const char *user, struct err *err)
{
    static const struct pool_wish none;
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (!is_session(u))
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    if (u->session == NULL && u->terms.strategy == TERMS_EXECUTION)
        return 0; /* each of its executions has a new one */
    if (admit_running(pool, who, u, err) < 0)
        return -1;
    u = user_with_session(pool, u, name, &none);
    u->idle_since = clock_now();
    if (u->list == ACTIVE && worker_state(u->member->worker) == WORKER_READY)
        renew(u, u->terms.strategy == TERMS_POOL, "The session was restarted");
    return 0;
}

int
pool_change(struct pool *pool, const struct caller *who, const char *user,
            const struct pool_change *change, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (!is_session(u))
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    if (change->forever)
        u->terms.expires_ms = 0;
    else if (change->ttl > 0)
        u->terms.expires_ms = timestamp_now() + (int64_t)(change->ttl * 1000);
    if (change->idle_timeout > 0)
        u->terms.idle_timeout = change->idle_timeout;
    u->idle_since = clock_now();
    put_session(u, kept_worker(u));
    return 0;
}

void
pool_release(struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (u)
        release(u, "The session was released");
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

    if (!is_session(u))
        return NULL;
    const struct terms terms = effective_terms(pool, u);

    return pool_status_session(u, &terms, true);
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
            const struct terms terms = effective_terms(pool, u);

            json_array_append_new(list, pool_status_session(u, &terms, false));
            last = u->serial;
        }
    }
    return list;
}

json_t *
pool_status(const struct pool *pool, const struct caller *who)
{
    const struct config *config = pool->env->config;
    const struct kernel_kind *standard = kernels_standard(pool->kernels);
    const char *error = standard->starts.error;

    return xnotnull(
        json_pack("{s:i,s:i,s:i,s:i,s:b,s:i,s:i,s:o,s:s,s:s,s:o,s:s?}", "total_workers",
                  pool_lists_alive(&pool->lists), "busy_workers", pool->lists.n_members[ASSIGNED],
                  "idle_workers_in_pool", pool->lists.n_members[WARM], "starting_workers",
                  pool->lists.n_members[STARTING], "is_initializing", !pool->filled,
                  "min_idle_workers", config->min_idle_workers, "max_total_workers",
                  config->max_total_workers, "sessions", pool_status_sessions(&pool->lists, who),
                  "kernel", standard->name, "runtime", config->runtime, "limits",
                  runtime_limits(pool->env->runtime), "last_start_error", error[0] ? error : NULL));
}

json_t *
pool_kernels(const struct pool *pool)
{
    const struct kernel_kind *standard = kernels_standard(pool->kernels);
    json_t *list = xnotnull(json_array());

    for (const struct kernel_kind *kind = kernels_first(pool->kernels); kind; kind = kind->next) {
        /* A broken file does not take the standard one's place. */
        const bool is_standard = strcmp(kind->name, standard->name) == 0;
        const struct kernel_kind *used = is_standard ? standard : kind;

        json_array_append_new(
            list, pool_status_kernel(&pool->lists, used, is_standard, wanted_warm(pool, used)));
    }
    return list;
}

void
pool_gauge(const struct pool *pool)
{
    pool_status_gauge(&pool->lists);
}
