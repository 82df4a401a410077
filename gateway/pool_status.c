#include "pool_status.h"

#include <time.h>
#include <utlist.h>

#include "caller.h"
#include "kernels.h"
#include "metrics.h"
#include "requirement.h"
#include "session.h"
#include "timestamp.h"
#include "worker.h"

static json_t *
iso8601(time_t t)
{
    char text[32];
    struct tm tm;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    return json_string(text);
}

static json_t *
key_of(const struct user *u)
{
    size_t len = (size_t)(user_short_name(u) - u->name);

    return len ? json_stringn(u->name, len - 1) : json_null();
}

static json_t *
user_status(const struct user *u)
{
    static const char *const state_name[] = {"starting", "idle", "busy"};
    enum session_state state = session_state(u->session);

    return xnotnull(json_pack(
        "{s:s,s:o,s:s,s:s,s:i,s:o,s:o,s:I}", "user_uuid", user_short_name(u), "key", key_of(u),
        "state", state_name[state], "network", u->network ? "allowlist" : "none", "queued",
        session_jobs(u->session) - (state == SESSION_BUSY), "created",
        iso8601(u->created_ms / 1000), "last_used", iso8601(u->last_used_ms / 1000), "executions",
        (json_int_t)(u->executions + session_executions(u->session))));
}

static const char *
state_of(const struct user *u)
{
    static const char *const name[] = {"starting", "idle", "busy"};

    if (u->session)
        return name[session_state(u->session)];
    return u->terms.strategy == TERMS_EXECUTION ? "idle" : "stopped";
}

static unsigned long
executions_of(const struct user *u)
{
    return u->executions + (u->session ? session_executions(u->session) : 0);
}

static json_t *
names_of(const json_t *env)
{
    json_t *names = xnotnull(json_array()), *value;
    const char *name;

    json_object_foreach ((json_t *)env, name, value) {
        json_array_append_new(names, json_string(name));
    }
    return names;
}

static json_t *
container_of(const struct user *u)
{
    if (u->container[0] == '\0')
        return json_null();
    return xnotnull(
        json_pack("{s:s,s:o}", "id", u->container, "started_at", timestamp_json(u->container_ms)));
}

static json_t *
usage_of(const struct user *u)
{
    if (u->list != ACTIVE)
        return json_null();
    const struct consumption usage = worker_usage(u->member->worker);
    const struct disk disk = worker_disk(u->member->worker);
    json_t *known =
        disk.told_ms == 0
            ? json_null()
            : xnotnull(json_pack("{s:I,s:I,s:o}", "bytes", (json_int_t)disk.used, "bytes_total",
                                 (json_int_t)disk.size, "as_of", timestamp_json(disk.told_ms)));

    return xnotnull(json_pack("{s:f,s:I,s:I,s:o}", "cpu_seconds", usage.cpu_seconds, "memory_bytes",
                              (json_int_t)usage.memory, "memory_peak_bytes",
                              (json_int_t)usage.memory_peak, "disk", known));
}

static void
add_detail(json_t *session, const struct user *u, const struct terms *terms)
{
    json_object_set_new(session, "limits", terms_show_limits(terms));
    json_object_set_new(session, "env", names_of(u->terms.env));
    json_object_set_new(session, "packages", requirement_all(u->terms.packages));
    json_object_set_new(session, "idle_timeout", json_real(terms->idle_timeout));
    json_object_set_new(session, "container", container_of(u));
    json_object_set_new(session, "usage", usage_of(u));
    json_object_set_new(session, "history",
                        u->history ? json_deep_copy(u->history) : xnotnull(json_array()));
}

json_t *
pool_status_session(const struct user *u, const struct terms *terms, bool in_full)
{
    const bool busy = u->session && session_state(u->session) == SESSION_BUSY;
    const unsigned jobs = u->session ? session_jobs(u->session) : 0;
    const char *language = u->kind->spec.language;
    json_t *session = xnotnull(json_pack(
        "{s:s,s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:i,s:I,s:o,s:o,s:o}", "id", user_short_name(u),
        "user_uuid", user_short_name(u), "key", key_of(u), "kernel", u->kind->name, "language",
        language ? language : "", "strategy", terms_strategy_name(terms->strategy), "state",
        state_of(u), "network", u->network ? "allowlist" : "none", "queued", jobs - busy,
        "executions", (json_int_t)executions_of(u), "created_at", timestamp_json(u->created_ms),
        "last_used_at", timestamp_json(u->last_used_ms), "expires_at",
        timestamp_json(terms->expires_ms)));

    if (in_full)
        add_detail(session, u, terms);
    return session;
}

json_t *
pool_status_kernel(const struct pool_lists *lists, const struct kernel_kind *kind, bool standard,
                   bool source, unsigned warm_target)
{
    const struct kernelspec *spec = &kind->spec;

    return xnotnull(json_pack("{s:s,s:s,s:s,s:b,s:b,s:s?,s:O?,s:b,s:i,s:i}", "name", kind->name,
                              "language", spec->language ? spec->language : "", "display_name",
                              spec->display_name ? spec->display_name : kind->name, "default",
                              standard, "available", kind->why_not == NULL, "why_not",
                              kind->why_not, "package", spec->package, "packages",
                              source && spec->packages, "warm", pool_lists_warm(lists, kind),
                              "warm_target", warm_target));
}

json_t *
pool_status_sessions(const struct pool_lists *lists, const struct caller *who)
{
    static const enum user_list with_session[] = {WAITING, ACTIVE};
    json_t *list = xnotnull(json_array());
    const struct user *u;

    for (int i = 0; i < 2; i++)
        DL_FOREACH (lists->user_lists[with_session[i]], u)
            if (!u->installer && (caller_is_master(who) || user_is_of(u, who)))
                json_array_append_new(list, user_status(u));
    return list;
}

static unsigned
count_queued(const struct pool_lists *lists)
{
    const struct user *u;
    unsigned n = 0;

    for (u = lists->users; u; u = u->hh.next)
        if (u->session)
            n += session_jobs(u->session) - (session_state(u->session) == SESSION_BUSY);
    return n;
}

void
pool_status_gauge(const struct pool_lists *lists)
{
    metrics_set(METRIC_WORKERS_STARTING, lists->n_members[STARTING]);
    metrics_set(METRIC_WORKERS_WARM, lists->n_members[WARM]);
    metrics_set(METRIC_WORKERS_ASSIGNED, lists->n_members[ASSIGNED]);
    metrics_set(METRIC_WORKERS_DYING, lists->n_members[DYING]);
    metrics_set(METRIC_SESSIONS, lists->n_users[WAITING] + lists->n_users[ACTIVE]);
    metrics_set(METRIC_QUEUED, count_queued(lists));
}
