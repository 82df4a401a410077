#include "pool_record.h"

#include <stdio.h>
#include <string.h>

#include "kernels.h"
#include "timestamp.h"

void
pool_record_began(struct user *u, const char *container)
{
    if (strcmp(u->container, container) == 0)
        return; /* taken back after a restart */
    snprintf(u->container, sizeof(u->container), "%s", container);
    u->container_ms = timestamp_now();
}

void
pool_record_ended(struct user *u, const char *reason)
{
    if (u->container[0] == '\0')
        return;
    if (u->history == NULL)
        u->history = xnotnull(json_array());
    if (json_array_size(u->history) == POOL_RECORD_HISTORY)
        json_array_remove(u->history, 0);
    json_array_append_new(u->history,
                          xnotnull(json_pack("{s:s,s:o,s:o,s:s}", "id", u->container, "started_at",
                                             timestamp_json(u->container_ms), "ended_at",
                                             timestamp_json(timestamp_now()), "reason", reason)));
    u->container[0] = '\0';
}

char *
pool_record_save(const struct user *u)
{
    json_auto_t *record = xnotnull(json_pack(
        "{s:o,s:s,s:b,s:b,s:I,s:I,s:I,s:I,s:s,s:I,s:O*}", "terms", terms_save(&u->terms), "kernel",
        u->kind ? u->kind->name : "", "kept", u->kept, "ended", u->ended, "serial",
        (json_int_t)u->serial, "created_ms", (json_int_t)u->created_ms, "last_used_ms",
        (json_int_t)u->last_used_ms, "executions", (json_int_t)u->executions, "container",
        u->container, "container_ms", (json_int_t)u->container_ms, "history", u->history));

    return xnotnull(json_dumps(record, JSON_COMPACT));
}

static int64_t
number(const json_t *record, const char *key, int64_t standard)
{
    const json_t *value = json_object_get(record, key);

    return json_is_integer(value) ? json_integer_value(value) : standard;
}

void
pool_record_load(struct user *u, const char *saved, const struct kernels *kernels)
{
    json_auto_t *record = json_loads(saved, 0, NULL);
    const char *kernel = json_string_value(json_object_get(record, "kernel"));
    const char *container = json_string_value(json_object_get(record, "container"));
    struct kernel_kind *kind = kernel ? kernels_find(kernels, kernel) : NULL;

    terms_load(&u->terms, json_object_get(record, "terms"));
    if (kind)
        user_set_kind(u, kind);
    u->kept = json_is_true(json_object_get(record, "kept"));
    u->ended = json_is_true(json_object_get(record, "ended"));
    u->created_ms = number(record, "created_ms", u->created_ms);
    u->last_used_ms = number(record, "last_used_ms", u->last_used_ms);
    u->executions = (unsigned long)number(record, "executions", 0);
    u->container_ms = number(record, "container_ms", 0);
    if (container && strlen(container) < sizeof(u->container))
        strcpy(u->container, container);
    if (json_is_array(json_object_get(record, "history")))
        u->history = json_incref(json_object_get(record, "history"));
}
