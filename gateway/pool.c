/* pool.c - see pool.h, and for what the parts have in common pool_state.h. */
#include "pool.h"

#include <string.h>
#include <strings.h>
#include <uthash.h>
#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "config.h"
#include "kernels.h"
#include "metrics.h"
#include "pool_admit.h"
#include "pool_member.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "pool_status.h"
#include "pool_sweep.h"
#include "pool_user.h"
#include "requirement.h"
#include "runtime.h"
#include "timestamp.h"

enum { ASIDE_MS = 30000, ASIDE_OUTPUT = 4096 };

const char pool_shutting_down[] = "The server is shutting down";

struct pool *
pool_new(const struct worker_env *env, struct kernels *kernels, struct store *store, bool in_doubt)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));

    pool->lists.pool = pool;
    pool->env = env;
    pool->kernels = kernels;
    pool->store = store;
    pool->in_doubt = in_doubt;
    pool->refill = pool_refill_new(pool);
    pool->sweep = pool_sweep_new(pool);
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
    err_set(&why, ERR_NO_WORKER, "%s", pool_shutting_down);
    HASH_ITER (hh, pool->lists.users, u, next_user) {
        session_free(u->session, &why);
        user_free(&pool->lists, u);
    }
    for (int i = 0; i < N_MEMBER_LISTS; i++) {
        DL_FOREACH_SAFE (pool->lists.members[i], m, next) {
            member_cancel_outfit(m);
            worker_abandon(m->worker);
            member_free(&pool->lists, m);
        }
    }
    pool_refill_free(pool->refill);
    pool_sweep_free(pool->sweep);
    free(pool);
}

void
pool_set_outfitter(struct pool *pool, const struct pool_outfitter *outfitter, void *owner)
{
    pool->outfitter = outfitter;
    pool->outfitter_owner = owner;
}

void
pool_on_new_session(struct pool *pool, pool_new_session_fn *fn, void *owner)
{
    pool->on_new_session = fn;
    pool->on_new_session_owner = owner;
}

void
pool_start(struct pool *pool)
{
    pool_refill_start(pool->refill);
}

void
pool_reconfigure(struct pool *pool)
{
    pool_refill_reconfigure(pool->refill);
}

void
pool_drain(struct pool *pool, void (*idle)(void *owner), void *owner)
{
    pool->draining = true;
    pool_sweep_drain(pool->sweep, idle, owner);
}

void
pool_cut(struct pool *pool)
{
    struct err why = ERR_INIT;

    err_set(&why, ERR_NO_WORKER, "%s", pool_shutting_down);
    for (struct user *u = pool->lists.users; u; u = u->hh.next)
        if (u->session && !u->installer)
            session_fail_all(u->session, &why);
}

/* --- what is done in sessions -------------------------------------------------------------- */

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

    if (pool_admit(pool, who, u, &wish, err) == 0) {
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

    *made = !user_is_settled(u);
    if ((*made ? pool_admit(pool, who, u, wish, err) : pool_admit_wish(pool, u, wish, err)) < 0)
        return -1;
    if (*made)
        u = user_make(pool, u, name, wish);
    u->last_used_ms = timestamp_now();
    u->idle_since = clock_now();
    if (*made && u->terms.strategy != TERMS_EXECUTION) /* whose workers come with what it runs */
        user_wake(u, true);
    if (u->list != ACTIVE) /* else it has been put with its worker */
        user_save(u, user_kept_worker(u));
    return 0;
}

struct visit *
pool_visit(struct pool *pool, const struct caller *who, const char *user, visit_fn *fn, void *owner,
           struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);
    const bool network = u && u->network && pool->env->config->network == NETWORK_ALLOWLIST;
    const struct pool_wish wish = {.network = network ? NETWORK_ALLOWLIST : NETWORK_UNSAID};

    if (!(u && u->session) && pool_admit(pool, who, u, &wish, err) < 0)
        return NULL;
    u = user_with_session(pool, u, name, &wish);
    u->last_used_ms = timestamp_now();
    return session_visit(u->session, fn, owner);
}

static void
on_aside(void *owner, const struct job_result *result)
{
    (void)owner, (void)result;
}

/* Behind what runs and waits, and before what will come. */
static void
run_aside(struct user *u, const char *code)
{
    const struct execution_spec execution = {.code = code,
                                             .code_len = strlen(code),
                                             .timeout_ms = ASIDE_MS,
                                             .max_output = ASIDE_OUTPUT,
                                             .silent = true};
    const struct job_spec spec = {.execution = &execution, .aside = true};

    session_submit(u->session, &spec, on_aside, NULL);
}

int
pool_add_packages(struct pool *pool, const struct caller *who, const char *user, json_t *group,
                  const char *code, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (!user_has_session(u))
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    if (terms_add_packages(&u->terms, group) < 0)
        return err_field(err, ERR_CONFLICT, "packages",
                         "packages: the session has had packages added %d times already",
                         REQUIREMENT_GROUPS);
    u->kept = true;
    if (u->member)
        u->member->outfitted = true;
    if (code && u->list == ACTIVE && u->terms.strategy == TERMS_SESSION)
        run_aside(u, code);
    user_save(u, user_kept_worker(u));
    return 0;
}

struct kernel_kind *
pool_kind(const struct pool *pool, const struct caller *who, const char *user)
{
    static const struct pool_wish none;
    cleanup_free char *name = user_full_name(who, user);
    const struct user *u = user_find(&pool->lists, name);

    return user_has_session(u) ? user_kind_for(pool, u, &none) : NULL;
}

bool
pool_keeps_worker(const struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    const struct user *u = user_find(&pool->lists, name);

    return user_has_session(u) && (u->session || u->terms.strategy != TERMS_EXECUTION);
}

bool
pool_is_python(const struct pool *pool, const struct caller *who, const char *user)
{
    static const struct pool_wish none;
    cleanup_free char *name = user_full_name(who, user);

    const char *language = user_kind_for(pool, user_find(&pool->lists, name), &none)->spec.language;

    return language == NULL || strcasecmp(language, "python") == 0;
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
    terms = user_terms(u);
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

    if (!user_has_session(u))
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    if (u->session == NULL && u->terms.strategy == TERMS_EXECUTION)
        return 0; /* each of its executions has a new one */
    if (pool_admit_running(pool, who, u, err) < 0)
        return -1;
    u = user_with_session(pool, u, name, &none);
    u->idle_since = clock_now();
    if (u->list == ACTIVE && worker_state(u->member->worker) == WORKER_READY)
        user_renew(u, u->terms.strategy == TERMS_POOL, "The session was restarted");
    return 0;
}

int
pool_change(struct pool *pool, const struct caller *who, const char *user,
            const struct pool_change *change, struct err *err)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (!user_has_session(u))
        return err_set(err, ERR_NOT_FOUND, "There is no such session");
    if (change->forever)
        u->terms.expires_ms = 0;
    else if (change->ttl > 0)
        u->terms.expires_ms = timestamp_now() + (int64_t)(change->ttl * 1000);
    if (change->idle_timeout > 0)
        u->terms.idle_timeout = change->idle_timeout;
    u->kept = true;
    u->idle_since = clock_now();
    user_save(u, user_kept_worker(u));
    return 0;
}

void
pool_release(struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    struct user *u = user_find(&pool->lists, name);

    if (u)
        user_release(u, "The session was released");
}

/* --- what can be seen ---------------------------------------------------------------------- */

bool
pool_is_ready(const struct pool *pool)
{
    return pool_refill_is_filled(pool->refill) && !pool->draining;
}

bool
pool_has_session_named(const struct pool *pool, const char *full_name)
{
    return user_has_session(user_find(&pool->lists, full_name));
}

bool
pool_has_session(const struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);

    return pool_has_session_named(pool, name);
}

json_t *
pool_session(const struct pool *pool, const struct caller *who, const char *user)
{
    cleanup_free char *name = user_full_name(who, user);
    const struct user *u = user_find(&pool->lists, name);

    if (!user_has_session(u))
        return NULL;
    const struct terms terms = user_terms(u);

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
        if (u->serial <= after || !user_has_session(u) ||
            !(caller_is_master(who) || user_is_of(u, who)))
            continue;
        if (json_array_size(list) == limit) {
            *next = last;
        } else {
            const struct terms terms = user_terms(u);

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

    return xnotnull(json_pack(
        "{s:i,s:i,s:i,s:i,s:b,s:i,s:i,s:o,s:s,s:s,s:o,s:s?}", "total_workers",
        pool_lists_alive(&pool->lists), "busy_workers", pool->lists.n_members[ASSIGNED],
        "idle_workers_in_pool", pool->lists.n_members[WARM], "starting_workers",
        pool->lists.n_members[STARTING], "is_initializing", !pool_refill_is_filled(pool->refill),
        "min_idle_workers", config->min_idle_workers, "max_total_workers",
        config->max_total_workers, "sessions", pool_status_sessions(&pool->lists, who), "kernel",
        standard->name, "runtime", config->runtime, "limits", runtime_limits(pool->env->runtime),
        "last_start_error", error[0] ? error : NULL));
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

        json_array_append_new(list, pool_status_kernel(&pool->lists, used, is_standard,
                                                       config_has_packages(pool->env->config),
                                                       pool_refill_warm_target(pool, used)));
    }
    return list;
}

void
pool_gauge(const struct pool *pool)
{
    pool_status_gauge(&pool->lists);
}
