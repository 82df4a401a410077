/* worker_ready.c - see worker_ready.h; worker_renew of worker.h is the same way, gone again. */
#include "worker_ready.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
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
#include "packagetool.h"
#include "pythonenv.h"
#include "worker_container.h"
#include "worker_state.h"
#include "worker/protocol.h"

enum {
    /* On top of the execution time limit, for an adopted kernel that is busy. */
    PROBE_EXTRA_MS = 15000,
    SANDBOX_ID = 1000, /* uid and gid of the kernel in the container */
};

static void on_kernel_ready(void *owner);

/* Where programs look for a proxy; whether there is one depends on the session, which nobody knows yet. */
static void
add_proxy(json_t *env)
{
    static const char *const names[] = {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"};
    static const char *const except[] = {"NO_PROXY", "no_proxy"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        json_object_set_new(env, names[i], json_sprintf("http://127.0.0.1:%d", TCI_PROXY_PORT));
    for (size_t i = 0; i < sizeof(except) / sizeof(except[0]); i++)
        json_object_set_new(env, except[i], json_string("localhost,127.0.0.1"));
}

static json_t *
config_message(const struct worker *w)
{
    const struct kernelspec *spec = &w->kind->spec;
    json_t *env = xnotnull(json_copy(spec->env));

    if (w->env->config->network == NETWORK_ALLOWLIST)
        add_proxy(env);
    if (worker_has_packages(w))
        packagetool_add_env(spec->packages, env);
    if (w->variables)
        json_object_update(env, w->variables);
    return xnotnull(json_pack("{s:O,s:o,s:s,s:i,s:i,s:s,s:s,s:b}", "argv", spec->argv, "env", env,
                              "cwd", TCI_PATH_WORKSPACE, "uid", SANDBOX_ID, "gid", SANDBOX_ID,
                              "key", w->who.key, "kernel_name", spec->name, "flow_control",
                              (int)spec->flow_control));
}

/* before: what comes in front of the message; NULL: nothing. */
static int
send_config(struct worker *w, char verb, const char *before, struct err *err)
{
    json_auto_t *message = config_message(w);
    char *text = xnotnull(json_dumps(message, JSON_COMPACT));
    const struct wire_frame frames[] = {{before, 1}, {text, strlen(text)}};
    int rc = link_send(w->peer, verb, before ? frames : frames + 1, before ? 2 : 1, err);

    sodium_memzero(text, strlen(text));
    free(text);
    return rc;
}

void
worker_configure(struct worker *w)
{
    struct err err = ERR_INIT;

    if (send_config(w, TCI_CONFIG, NULL, &err) < 0)
        worker_lose(w, &err);
    else
        worker_set_phase(w, CONFIGURED);
}

int
worker_renew(struct worker *w, bool wipe, struct err *err)
{
    const char what = wipe ? TCI_RENEW_WIPE : TCI_RENEW_KERNEL;

    if (w->phase != READY)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    if (send_config(w, TCI_RENEW, &what, err) < 0)
        return -1;
    kernel_free(w->kernel);
    w->kernel = NULL;
    w->n_warmed = 0;
    w->warm = w->adopted = false;
    w->started = clock_now();
    log_debug("worker %s: READY -> CONFIGURED", w->who.id);
    w->phase = CONFIGURED;
    clock_arm(w->timer, WORKER_START_LIMIT_MS);
    return 0;
}

void
worker_probe(struct worker *w)
{
    assert(w->kernel == NULL);
    w->kernel = kernel_new(w->env->base, w->peer, w->who.key, w->kind->spec.interrupt_message,
                           on_kernel_ready, w);
    if (w->adopted)
        clock_arm(w->timer, (unsigned)(w->env->config->exec_timeout * 1000) + PROBE_EXTRA_MS);
    worker_set_phase(w, PROBING);
    kernel_probe(w->kernel);
}

void
worker_become_ready(struct worker *w)
{
    double seconds = clock_now() - w->started;

    event_del(w->timer);
    worker_set_phase(w, READY);
    if (w->adopted)
        container_unlimit(w->container); /* what it ran may have had limits of its own */
    else
        metrics_observe(METRIC_WORKER_START_SECONDS, seconds);
    log_debug("worker %s: ready after %.0f ms", w->who.id, seconds * 1000);
    w->ops->on_ready(w->owner);
}

static void warm_next(struct worker *w);

static void
on_warmed(void *owner, struct execution *x, enum execution_result result)
{
    struct worker *w = owner;

    kernel_forget(w->kernel);
    if (result != EXECUTION_OK)
        log_warn("kernelspec %s: warm-up string %zu raised an exception", w->kind->spec.name,
                 w->n_warmed);
    w->warmup = NULL;
    execution_free(x);
    w->n_warmed++;
    if (w->phase == WARMING) /* not so if the container has ended in the meantime */
        warm_next(w);
}

static void
warm_next(struct worker *w)
{
    const json_t *code = json_array_get(w->kind->spec.warmup, w->n_warmed);
    struct execution_spec spec = {.silent = true, .max_output = 1 << 16};
    struct err err = ERR_INIT;

    if (code == NULL) {
        w->warm = true;
        if (w->who.pid != 0) /* else on_container_started goes on from here */
            worker_become_ready(w);
        return;
    }
    spec.code = json_string_value(code);
    spec.code_len = json_string_length(code);
    w->warmup = execution_new(&spec, on_warmed, w);
    if (kernel_execute(w->kernel, w->warmup, &err) < 0)
        worker_lose(w, &err);
}

static void
on_undone(void *owner, struct execution *x, enum execution_result result)
{
    struct worker *w = owner;

    (void)result;
    kernel_forget(w->kernel);
    w->warmup = NULL;
    execution_free(x);
    if (w->phase == WARMING) /* not so if the container has ended in the meantime */
        worker_become_ready(w);
}

/* What ran when its gateway ended may have had an environment of its own. */
static void
undo(struct worker *w)
{
    const struct execution_spec spec = {.code = pythonenv_undo,
                                        .code_len = strlen(pythonenv_undo),
                                        .silent = true,
                                        .max_output = 1 << 16};
    struct err err = ERR_INIT;

    w->warmup = execution_new(&spec, on_undone, w);
    if (kernel_execute(w->kernel, w->warmup, &err) < 0)
        worker_lose(w, &err);
}

static void
on_kernel_ready(void *owner)
{
    struct worker *w = owner;

    if (w->phase != PROBING)
        return;
    if (w->adopted && strcasecmp(w->kind->spec.language, "python") != 0) {
        worker_become_ready(w);
        return;
    }
    worker_set_phase(w, WARMING);
    if (w->adopted)
        undo(w);
    else
        warm_next(w);
}
