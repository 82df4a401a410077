/* pool_admit.c - see pool_admit.h. */
#include "pool_admit.h"

#include <string.h>

#include "caller.h"
#include "config.h"
#include "kernels.h"
#include "pool_refill.h"
#include "pool_state.h"
#include "pool_user.h"

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
    if (user_is_settled(u) && wanted != NETWORK_UNSAID &&
        u->network != (wanted == NETWORK_ALLOWLIST))
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
    if (user_is_settled(u) && strcmp(u->kind->name, wish->kind->name) != 0)
        return err_field(err, ERR_CONFLICT, "kernel",
                         "kernel: the session has the kernel %s; end it first", u->kind->name);
    if (!user_is_settled(u) && wish->kind->why_not)
        return err_field(err, ERR_UNSUPPORTED, "kernel", "kernel: %s cannot be used: %.300s",
                         wish->kind->name, wish->kind->why_not);
    return 0;
}

static int
admit_terms(const struct user *u, const struct pool_wish *wish, struct err *err)
{
    const char *field = NULL;

    if (wish->terms == NULL || !user_is_settled(u))
        return 0;
    const struct terms had = user_terms(u);

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

int
pool_admit_running(const struct pool *pool, const struct caller *who, const struct user *u,
                   struct err *err)
{
    static const struct pool_wish none;

    if (kernel_kind_check(user_kind_for(pool, u, &none), err) < 0)
        return -1;
    if (pool->draining)
        return err_set(err, ERR_NO_WORKER, "%s", pool_shutting_down);
    return u->session ? 0 : admit_session(pool, who, err);
}

int
pool_admit_wish(const struct pool *pool, const struct user *u, const struct pool_wish *wish,
                struct err *err)
{
    if (admit_network(pool, u, wish->network, err) < 0 || admit_kernel(u, wish, err) < 0 ||
        admit_terms(u, wish, err) < 0)
        return -1;
    return kernel_kind_check(user_kind_for(pool, u, wish), err);
}

int
pool_admit(const struct pool *pool, const struct caller *who, const struct user *u,
           const struct pool_wish *wish, struct err *err)
{
    const struct kernel_kind *kind = user_kind_for(pool, u, wish);
    unsigned jobs = u && u->session ? session_jobs(u->session) : 0;

    if (pool_admit_wish(pool, u, wish, err) < 0)
        return -1;
    if (pool->draining)
        return err_set(err, ERR_NO_WORKER, "%s", pool_shutting_down);
    if (pool_refill_has_failed(kind) && pool_lists_alive_of(&pool->lists, kind) == 0)
        return err_set(err, ERR_NO_WORKER, "No worker can be started: %s", kind->starts.error);
    if (jobs >= pool->env->config->queue_limit)
        return err_set(err, ERR_BUSY, "%u executions of this user are waiting or running already",
                       jobs);
    return u && u->session ? 0 : admit_session(pool, who, err);
}
