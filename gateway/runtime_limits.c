/* runtime_limits.c - see runtime_limits.h. */
#include "runtime_limits.h"

#include "config.h"
#include "log.h"
#include "mem.h"
#include "rootless.h"

/* Every limit has a row, so that none is forgotten when another way of running containers comes. */
static const struct {
    const char *name;
    const char *root, *rootless; /* what it holds for */
    const char *warning;         /* of an ordinary user's gateway; NULL: it holds there, too */
} limits[] = {
    {"cpu", "container", "nothing",
     "TCI_WORKER_CPU: the processor time of a worker is not limited"},
    {"disk", "container", "container", NULL},
    {"memory", "container", "process",
     "TCI_WORKER_MEMORY_MB: limits the private memory of each process, not all of a worker's"},
    {"pids", "container", "user", NULL},
    {"socket_memory", "container", "nothing",
     "memory in the queues of a worker's sockets and pipes is not limited"},
};

json_t *
runtime_limits_json(bool rootless)
{
    json_t *object = xnotnull(json_object());

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        const char *what = rootless ? limits[i].rootless : limits[i].root;

        json_object_set_new(object, limits[i].name, json_string(what));
    }
    return object;
}

void
runtime_limits_warn(const struct rootless *rootless, const struct config *config)
{
    log_warn("runtime: not root: containers are an ordinary user's, without control groups");
    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        if (limits[i].warning != NULL)
            log_warn("runtime: not enforced: %s", limits[i].warning);
    }
    if (rootless_slots(rootless) < config->max_total_workers)
        log_warn("runtime: the subordinate ids are enough for %u workers; TCI_MAX_TOTAL_WORKERS = "
                 "%u takes %u ids in "
                 "/etc/subuid and in /etc/subgid",
                 rootless_slots(rootless), config->max_total_workers,
                 rootless_ids_for(config->max_total_workers));
}
