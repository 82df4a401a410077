#include "terms.h"

#include <string.h>

#include "requirement.h"

static const char *const strategies[TERMS_N_STRATEGIES] = {"session", "execution", "pool"};

const char *
terms_strategy_name(enum terms_strategy strategy)
{
    return strategies[strategy];
}

int
terms_strategy_find(const char *name)
{
    for (int i = 0; i < TERMS_N_STRATEGIES; i++)
        if (strcmp(strategies[i], name) == 0)
            return i;
    return -1;
}

void
terms_clear(struct terms *t)
{
    json_decref(t->env);
    json_decref(t->packages);
    memset(t, 0, sizeof(*t));
}

void
terms_copy(struct terms *to, const struct terms *from)
{
    json_t *env = json_incref(from->env), *packages = json_incref(from->packages);

    terms_clear(to);
    *to = *from;
    to->env = env;
    to->packages = packages;
}

int
terms_add_packages(struct terms *t, json_t *group)
{
    json_t *groups;

    if (requirement_has(t->packages, group))
        return 0;
    if (json_array_size(t->packages) >= REQUIREMENT_GROUPS)
        return -1;
    groups =
        t->packages ? json_copy(t->packages) : json_array(); /* who copied the terms has the old */
    json_array_append(xnotnull(groups), group);
    json_decref(t->packages);
    t->packages = groups;
    return 0;
}

/* Whether all that was asked for is there. */
static bool
has_packages(const json_t *wished, const json_t *had)
{
    const json_t *group;
    size_t i;

    json_array_foreach (wished, i, group)
        if (!requirement_has(had, group))
            return false;
    return true;
}

static bool
is_other(double wished, double had)
{
    return wished > 0 && (wished > had || wished < had);
}

const char *
terms_differ(const struct terms *wished, const struct terms *had)
{
    const struct portion *w = &wished->limits, *h = &had->limits;

    if (is_other(w->cpu, h->cpu))
        return "limits.cpu";
    if (is_other(w->memory_mb, h->memory_mb))
        return "limits.memory_mb";
    if (is_other(w->disk_mb, h->disk_mb))
        return "limits.disk_mb";
    if (is_other(w->pids, h->pids))
        return "limits.pids";
    if (is_other(wished->timeout, had->timeout))
        return "limits.timeout";
    if (is_other(wished->idle_timeout, had->idle_timeout))
        return "idle_timeout";
    if (wished->env && (had->env == NULL || !json_equal(wished->env, had->env)))
        return "env";
    if (!has_packages(wished->packages, had->packages))
        return "packages";
    return NULL;
}

bool
terms_need_own(const struct terms *t, bool limits_can_change)
{
    return t->limits.disk_mb > 0 || t->limits.pids > 0 || json_object_size(t->env) > 0 ||
           (!limits_can_change && t->limits.memory_mb > 0);
}

static json_t *
whole(unsigned value)
{
    return value > 0 ? json_integer(value) : json_null();
}

static json_t *
real(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

json_t *
terms_show_limits(const struct terms *t)
{
    const struct portion *l = &t->limits;

    return xnotnull(json_pack("{s:o,s:o,s:o,s:o,s:o}", "cpu", real(l->cpu), "memory_mb",
                              whole(l->memory_mb), "disk_mb", whole(l->disk_mb), "pids",
                              whole(l->pids), "timeout", real(t->timeout)));
}

json_t *
terms_save(const struct terms *t)
{
    return xnotnull(json_pack("{s:o,s:f,s:I,s:s,s:O*,s:O*}", "limits", terms_show_limits(t),
                              "idle_timeout", t->idle_timeout, "expires_ms",
                              (json_int_t)t->expires_ms, "strategy", strategies[t->strategy], "env",
                              t->env, "packages", t->packages));
}

static unsigned
load_whole(const json_t *object, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 && value <= UINT32_MAX ? (unsigned)value : 0;
}

static double
load_real(const json_t *object, const char *key)
{
    const double value = json_number_value(json_object_get(object, key));

    return value > 0 ? value : 0;
}

void
terms_load(struct terms *t, const json_t *saved)
{
    const json_t *limits = json_object_get(saved, "limits");
    const char *strategy = json_string_value(json_object_get(saved, "strategy"));
    json_t *env = json_object_get(saved, "env");
    json_t *packages = json_object_get(saved, "packages");
    int known = strategy ? terms_strategy_find(strategy) : -1;

    terms_clear(t);
    t->limits.cpu = load_real(limits, "cpu");
    t->limits.memory_mb = load_whole(limits, "memory_mb");
    t->limits.disk_mb = load_whole(limits, "disk_mb");
    t->limits.pids = load_whole(limits, "pids");
    t->timeout = load_real(limits, "timeout");
    t->idle_timeout = load_real(saved, "idle_timeout");
    t->expires_ms = json_integer_value(json_object_get(saved, "expires_ms"));
    t->strategy = known < 0 ? TERMS_SESSION : (enum terms_strategy)known;
    t->env = json_is_object(env) ? json_incref(env) : NULL;
    t->packages = json_is_array(packages) ? json_incref(packages) : NULL;
}
