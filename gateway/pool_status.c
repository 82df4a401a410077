#include "pool_status.h"

#include <utlist.h>

#include "caller.h"
#include "kernels.h"
#include "metrics.h"
#include "session.h"
#include "timestamp.h"

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

    return xnotnull(json_pack("{s:s,s:o,s:s,s:s,s:i,s:o,s:o,s:I}", "user_uuid", user_short_name(u),
                              "key", key_of(u), "state", state_name[state], "network",
                              u->network ? "allowlist" : "none", "queued",
                              session_jobs(u->session) - (state == SESSION_BUSY), "created",
                              iso8601(u->created), "last_used", iso8601(u->last_used), "executions",
                              (json_int_t)(u->executions + session_executions(u->session))));
}

static json_t *
moment(time_t t)
{
    char text[TIMESTAMP_SIZE];

    timestamp_text((int64_t)t * 1000, text);
    return json_string(text);
}

static const char *
state_of(const struct user *u)
{
    static const char *const name[] = {"starting", "idle", "busy"};

    return u->session ? name[session_state(u->session)] : "stopped";
}

json_t *
pool_status_session(const struct user *u)
{
    const bool busy = u->session && session_state(u->session) == SESSION_BUSY;
    const unsigned jobs = u->session ? session_jobs(u->session) : 0;

    return xnotnull(json_pack(
        "{s:s,s:s,s:o,s:s,s:s,s:s,s:s,s:i,s:I,s:o,s:o}", "id", user_short_name(u), "user_uuid",
        user_short_name(u), "key", key_of(u), "kernel", u->kind->name, "language",
        u->kind->spec.language ? u->kind->spec.language : "", "state", state_of(u), "network",
        u->network ? "allowlist" : "none", "queued", jobs - busy, "executions",
        (json_int_t)(u->executions + (u->session ? session_executions(u->session) : 0)),
        "created_at", moment(u->created), "last_used_at", moment(u->last_used)));
}

json_t *
pool_status_kernel(const struct pool_lists *lists, const struct kernel_kind *kind, bool standard,
                   unsigned warm_target)
{
    const struct kernelspec *spec = &kind->spec;

    return xnotnull(json_pack("{s:s,s:s,s:s,s:b,s:b,s:s?,s:O?,s:i,s:i}", "name", kind->name,
                              "language", spec->language ? spec->language : "", "display_name",
                              spec->display_name ? spec->display_name : kind->name, "default",
                              standard, "available", kind->why_not == NULL, "why_not",
                              kind->why_not, "package", spec->package, "warm",
                              pool_lists_warm(lists, kind), "warm_target", warm_target));
}

json_t *
pool_status_sessions(const struct pool_lists *lists, const struct caller *who)
{
    static const enum user_list with_session[] = {WAITING, ACTIVE};
    json_t *list = xnotnull(json_array());
    const struct user *u;

    for (int i = 0; i < 2; i++)
        DL_FOREACH (lists->user_lists[with_session[i]], u)
            if (caller_is_master(who) || user_is_of(u, who))
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
