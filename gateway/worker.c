/* worker.c - see worker.h, and worker_state.h for its phases. */
#include "worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <event2/event.h>

#include "clock.h"
#include "config.h"
#include "execution.h"
#include "kernel.h"
#include "kernels.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "transfer.h"
#include "worker_container.h"
#include "worker_end.h"
#include "worker_link.h"
#include "worker_state.h"
#include "worker/protocol.h"

/* Adoption to HELLO, on a machine where all of them are busy.  One whose container has ended is known sooner. */
enum { RECALL_LIMIT_MS = 30000 };

static const char *const phase_name[] = {"BOOTING", "RECALLED", "CONFIGURED", "PROBING",
                                         "WARMING", "READY",    "EXPIRED",    "DYING"};

static void on_timer(evutil_socket_t fd, short what, void *arg);

void
worker_set_phase(struct worker *w, enum worker_phase next)
{
    log_debug("worker %s: %s -> %s", w->who.id, phase_name[w->phase], phase_name[next]);
    assert(w->phase <= next); /* a worker only ever moves forward */
    w->phase = next;
}

/* --- the beginning ------------------------------------------------------------------------ */

static void
draw_hex(char *out, size_t size)
{
    uint8_t random[32];

    assert(size / 2 <= sizeof(random));
    randombytes_buf(random, size / 2);
    sodium_bin2hex(out, size, random, size / 2);
    sodium_memzero(random, sizeof(random));
}

static struct worker *
worker_new(const struct worker_env *env, const struct worker_spec *spec,
           const struct worker_ops *ops, void *owner)
{
    struct worker *w = xcalloc(1, sizeof(*w));

    w->env = env;
    w->kind = kernel_kind_ref(spec->kind);
    if (spec->limits)
        w->limits = *spec->limits;
    w->variables = json_incref(spec->env);
    w->installer = spec->installer;
    w->ops = ops;
    w->owner = owner;
    w->timer = xnotnull(evtimer_new(env->base, on_timer, w));
    w->started = clock_now();
    return w;
}

static void
meet(struct worker *w)
{
    w->peer = link_peer_new(w->env->link, w->who.routing_id, worker_on_link, w);
    w->files = transfers_new(w->env->base, w->peer);
}

struct worker *
worker_start(const struct worker_env *env, unsigned slot, const struct worker_spec *spec,
             const struct worker_ops *ops, void *owner, struct err *err)
{
    struct worker *w = worker_new(env, spec, ops, owner);

    draw_hex(w->who.id, sizeof(w->who.id));
    draw_hex(w->who.routing_id, sizeof(w->who.routing_id));
    draw_hex(w->who.key, sizeof(w->who.key));
    w->who.slot = slot;
    w->phase = BOOTING;
    if (worker_start_container(w, err) < 0) {
        worker_free(w);
        return NULL;
    }
    meet(w);
    clock_arm(w->timer, WORKER_START_LIMIT_MS);
    return w;
}

struct worker *
worker_adopt(const struct worker_env *env, const struct worker_identity *who,
             const struct worker_spec *spec, const struct worker_ops *ops, void *owner,
             struct err *err)
{
    struct worker *w = worker_new(env, spec, ops, owner);

    w->who = *who;
    w->phase = RECALLED;
    w->adopted = true;
    if (worker_adopt_container(w, err) < 0) {
        worker_free(w);
        return NULL;
    }
    meet(w);
    clock_arm(w->timer, RECALL_LIMIT_MS);
    return w;
}

/* --- in use ------------------------------------------------------------------------------- */

void
worker_prefer(struct worker *w)
{
    if (w->phase != DYING)
        container_prefer(w->container);
}

void
worker_defer(struct worker *w)
{
    if (w->phase != DYING)
        container_defer(w->container);
}

enum worker_state
worker_state(const struct worker *w)
{
    if (w->phase == READY)
        return WORKER_READY;
    return w->phase < READY ? WORKER_STARTING : WORKER_DYING;
}

const struct worker_identity *
worker_identity(const struct worker *w)
{
    return &w->who;
}

bool
worker_is_adopted(const struct worker *w)
{
    return w->adopted;
}

int
worker_execute(struct worker *w, struct execution *x, struct err *err)
{
    if (w->phase != READY)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return kernel_execute(w->kernel, x, err);
}

int
worker_limit(struct worker *w, const struct allowance *to, worker_limited_fn *limited, void *owner,
             struct err *err)
{
    if (w->phase != READY)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return container_limit(w->container, to, limited, owner, err);
}

void
worker_unlimit(struct worker *w)
{
    container_unlimit(w->container);
}

int
worker_restrict(struct worker *w, const struct portion *to, struct err *err)
{
    const struct allowance most = {to->cpu, to->memory_mb};

    if (w->phase != READY)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return container_restrict(w->container, &most, false, err);
}

struct consumption
worker_usage(const struct worker *w)
{
    return container_usage(w->container);
}

struct disk
worker_disk(const struct worker *w)
{
    return w->disk;
}

void
worker_watch_peak(struct worker *w)
{
    if (w->phase == READY)
        container_watch_peak(w->container);
}

unsigned long long
worker_peak(struct worker *w)
{
    return w->phase == READY ? container_peak(w->container) : 0;
}

/* What the worker does not get now will not be missed: what follows it will not get either. */
void
worker_open_network(struct worker *w)
{
    cleanup_free char *name =
        xasprintf("%s%s", w->installer ? TCI_INSTALLER_SESSION : "", w->who.id);
    const struct wire_frame session = {name, strlen(name)};
    struct err err = ERR_INIT;

    if (w->phase != READY)
        return;
    if (link_send(w->peer, TCI_NETWORK, &session, 1, &err) < 0)
        log_warn("worker %s: it has no network: %s", w->who.id, err.msg);
    else
        log_info("worker %s: its session has the network of the allowlist", w->who.id);
}

void
worker_forget(struct worker *w)
{
    if (w->kernel)
        kernel_forget(w->kernel);
}

struct transfers *
worker_files(const struct worker *w)
{
    return w->phase == READY ? w->files : NULL;
}

void
worker_interrupt(struct worker *w)
{
    struct err err = ERR_INIT;

    if (w->phase == READY && kernel_interrupt(w->kernel, &err) < 0)
        log_debug("worker %s: not interrupted: %s", w->who.id, err.msg);
}

int
worker_input(struct worker *w, const char *text, size_t len, struct err *err)
{
    if (w->phase != READY)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return kernel_input(w->kernel, text, len, err);
}

void
worker_pause(struct worker *w, bool paused)
{
    if (w->peer)
        link_peer_pause(w->peer, paused);
}

/* --- the end ------------------------------------------------------------------------------ */

static void
end_files(struct worker *w)
{
    struct transfers *files = w->files;
    struct err why = ERR_INIT;

    w->files = NULL;
    err_set(&why, ERR_WORKER_DIED,
            "The session's environment ended while the files were worked on");
    transfers_free(files, &why);
}

void
worker_free(struct worker *w)
{
    event_free(w->timer);
    kernel_free(w->kernel);
    execution_free(w->warmup);
    end_files(w);
    link_peer_free(w->peer);
    kernel_kind_unref(w->kind);
    json_decref(w->variables);
    sodium_memzero(&w->who, sizeof(w->who));
    free(w);
}

/* Stops hearing the worker and removes its container. */
static void
doom(struct worker *w)
{
    if (w->phase == DYING)
        return;
    worker_set_phase(w, DYING);
    event_del(w->timer);
    if (w->kernel)
        kernel_forget(w->kernel); /* its timer would send to a peer that is gone */
    execution_free(w->warmup);
    w->warmup = NULL;
    end_files(w);
    link_peer_free(w->peer);
    w->peer = NULL;
    container_destroy(w->container);
}

void
worker_lose(struct worker *w, const struct err *why)
{
    metrics_add(METRIC_CONTAINER_EXITS, 1);
    doom(w);
    w->ops->on_lost(w->owner, why);
}

void
worker_lose_because(struct worker *w, const char *reason)
{
    struct err why = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    worker_lose(w, &why);
}

void
worker_lose_ended(struct worker *w, const json_t *said)
{
    const struct worker_end end = {w->container, &w->exit, w->env->config->worker_memory_mb};
    struct err why = ERR_INIT;

    if (said)
        worker_end_of_kernel(&end, said, &why);
    else
        worker_end_of_container(&end, &why);
    worker_lose(w, &why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct err why = ERR_INIT;

    (void)fd, (void)what;
    if (w->phase == EXPIRED) {
        worker_lose_ended(w, NULL);
        return;
    }
    err_set(&why, ERR_WORKER_DIED, "The worker was not ready in time (it was %s)",
            phase_name[w->phase]);
    worker_lose(w, &why);
}

void
worker_destroy(struct worker *w)
{
    doom(w);
}

void
worker_abandon(struct worker *w)
{
    worker_free(w);
}
