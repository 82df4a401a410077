/* worker_container.c - see worker_container.h. */
#include "worker_container.h"

#include <string.h>
#include <sodium.h>

#include "clock.h"
#include "config.h"
#include "kernels.h"
#include "log.h"
#include "metrics.h"
#include "packagesource.h"
#include "worker_ready.h"
#include "worker_state.h"
#include "worker/protocol.h"

enum { LAST_WORDS_MS = 200 }; /* container exit to EXITED */

static void
on_container_started(void *owner, pid_t init)
{
    struct worker *w = owner;

    metrics_add(METRIC_CONTAINER_STARTS, 1);
    w->who.pid = init;
    w->who.start_ticks = runtime_start_ticks(init);
    if (w->phase == DYING)
        return;
    w->ops->on_started(w->owner);
    if (w->phase == WARMING && w->warm)
        worker_become_ready(w);
}

static void
on_container_start_failed(void *owner, const struct err *err)
{
    struct worker *w = owner;

    metrics_add(METRIC_CONTAINER_FAILURES, 1);
    if (w->phase != DYING)
        worker_lose(w, err);
}

static void
on_container_exited(void *owner, const struct container_exit *exit)
{
    struct worker *w = owner;

    if (w->phase == DYING)
        return;
    w->exit = *exit;
    worker_pause(w, false); /* for its last words */
    worker_set_phase(w, EXPIRED);
    clock_arm(w->timer, LAST_WORDS_MS);
}

static void
on_container_removed(void *owner)
{
    struct worker *w = owner;

    w->container = NULL;
    log_debug("worker %s: gone", w->who.id);
    w->ops->on_gone(w->owner);
    worker_free(w);
}

static const struct container_ops container_ops = {
    on_container_started,
    on_container_start_failed,
    on_container_exited,
    on_container_removed,
};

static char *
boot_record(const struct worker *w)
{
    json_auto_t *boot = xnotnull(json_pack(
        "{s:s,s:s,s:f}", "endpoint", "unix://" TCI_PATH_LINK_DIR "/" TCI_PATH_LINK_SOCKET,
        "routing_id", w->who.routing_id, "orphan_timeout", w->env->config->orphan_timeout));

    return xnotnull(json_dumps(boot, JSON_COMPACT));
}

static double
first_said(double a, double b, double c)
{
    return a > 0 ? a : b > 0 ? b : c;
}

static struct portion
limits_of(const struct worker *w)
{
    const struct config *c = w->env->config;
    const struct portion *own = &w->limits, *kind = &w->kind->spec.limits;

    return (struct portion){
        .cpu = first_said(own->cpu, kind->cpu, c->worker_cpu),
        .memory_mb = (unsigned)first_said(own->memory_mb, kind->memory_mb, c->worker_memory_mb),
        .disk_mb = (unsigned)first_said(own->disk_mb, kind->disk_mb, c->worker_disk_mb),
        .pids = (unsigned)first_said(own->pids, kind->pids, c->worker_pids),
    };
}

bool
worker_has_packages(const struct worker *w)
{
    return packagesource_is_there(w->env->config, w->kind->spec.packages);
}

int
worker_start_container(struct worker *w, struct err *err)
{
    const struct portion limits = limits_of(w);
    const char *package_dir = w->env->config->packages_dir;
    char *boot = boot_record(w);
    struct container_spec spec = {
        .id = w->who.id,
        .slot = w->who.slot,
        .boot = boot,
        .boot_len = strlen(boot),
        .cpu = limits.cpu,
        .memory_mb = limits.memory_mb,
        .disk_mb = limits.disk_mb,
        .pids = limits.pids,
        .kernelspec_dir = w->kind->spec.dir,
        .skel_dir = w->kind->skel_dir,
        .packages = worker_has_packages(w),
        .package_dir = package_dir[0] && w->installer ? package_dir : NULL,
    };

    w->container = container_start(w->env->runtime, &spec, &container_ops, w, err);

    sodium_memzero(boot, spec.boot_len);
    free(boot);
    return w->container ? 0 : -1;
}

int
worker_adopt_container(struct worker *w, struct err *err)
{
    const struct allowance most = {w->limits.cpu, w->limits.memory_mb};

    w->container = container_adopt(w->env->runtime, w->who.id, w->who.pid, w->who.start_ticks,
                                   &container_ops, w, err);
    if (w->container == NULL)
        return -1;
    /* What was taken from it when a session got it is in no config.json. */
    if (container_restrict(w->container, &most, true, err) < 0)
        log_debug("worker %s: %s", w->who.id, err->msg);
    return 0;
}
