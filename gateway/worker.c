/*
 * worker.c - see worker.h.  The phases in order, and what ends each:
 *
 *   BOOTING      the container starts and its worker dials home          HELLO "new"
 *   RECALLED     (adopted) the worker of an earlier gateway dials home    HELLO "running"
 *   CONFIGURED   it knows what to run                                     STARTED
 *   PROBING      the kernel is asked for kernel_info                      reply and idle
 *   WARMING      the kernelspec's warm-up code runs                       the last string's end
 *   READY        in use                                                RENEW, which leads back to CONFIGURED
 *   EXPIRED      the container ended; its last words may be on the way    EXITED, or a short timer
 *   DYING        the container is being removed                           on_removed
 *
 * One timer serves all phases that wait.  The race to know: a container's exit (pidfd) and the worker's
 * EXITED (link) come in either order, and only the latter knows how the kernel ended.
 */
#include "worker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "changes.h"
#include "clock.h"
#include "config.h"
#include "execution.h"
#include "kernel.h"
#include "kernels.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "packagetool.h"
#include "reader.h"
#include "runtime.h"
#include "timestamp.h"
#include "transfer.h"
#include "worker_end.h"
#include "worker/protocol.h"

enum {
    START_LIMIT_MS = 60000, /* container start to READY */
    RECALL_LIMIT_MS = 5000, /* adoption to HELLO */
    LAST_WORDS_MS = 200,    /* container exit to EXITED */
    /* On top of the execution time limit, for an adopted kernel that is busy. */
    PROBE_EXTRA_MS = 5000,
    SANDBOX_ID = 1000, /* uid and gid of the kernel in the container */
};

enum phase { BOOTING, RECALLED, CONFIGURED, PROBING, WARMING, READY, EXPIRED, DYING };

static const char *const phase_name[] = {"BOOTING", "RECALLED", "CONFIGURED", "PROBING",
                                         "WARMING", "READY",    "EXPIRED",    "DYING"};

struct worker {
    const struct worker_env *env;
    const struct worker_ops *ops;
    void *owner;
    struct worker_identity who;
    struct kernel_kind *kind; /* a reference */
    struct portion limits;    /* what is said of them for this one */
    json_t *variables;        /* over the kernelspec's environment; NULL: none */
    enum phase phase;
    bool adopted;
    bool installer; /* worker_spec.installer */
    struct container *container;
    struct link_peer *peer;     /* NULL once DYING */
    struct kernel *kernel;      /* from CONFIGURED or RECALLED on */
    struct transfers *files;    /* as the peer */
    struct execution *warmup;   /* while WARMING */
    size_t n_warmed;            /* warm-up strings done */
    bool warm;                  /* all of them */
    struct disk disk;           /* as the worker said last */
    struct container_exit exit; /* from EXPIRED on */
    struct event *timer;
    double started; /* clock_now */
};

static void on_link(void *owner, char verb, const struct wire_frame *, size_t n);
static void on_kernel_ready(void *owner);
static void on_timer(evutil_socket_t fd, short what, void *arg);
static void become_ready(struct worker *);
static void lose(struct worker *, const struct err *);

static void
set_phase(struct worker *w, enum phase next)
{
    log_debug("worker %s: %s -> %s", w->who.id, phase_name[w->phase], phase_name[next]);
    assert(w->phase <= next); /* a worker only ever moves forward */
    w->phase = next;
}

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
end_files(struct worker *w)
{
    struct transfers *files = w->files;
    struct err why = ERR_INIT;

    w->files = NULL;
    err_set(&why, ERR_WORKER_DIED,
            "The session's environment ended while the files were worked on");
    transfers_free(files, &why);
}

static void
meet(struct worker *w)
{
    w->peer = link_peer_new(w->env->link, w->who.routing_id, on_link, w);
    w->files = transfers_new(w->env->base, w->peer);
}

static void
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
    set_phase(w, DYING);
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

static void
lose(struct worker *w, const struct err *why)
{
    metrics_add(METRIC_CONTAINER_EXITS, 1);
    doom(w);
    w->ops->on_lost(w->owner, why);
}

static void
lose_because(struct worker *w, const char *reason)
{
    struct err why = ERR_INIT;

    err_set(&why, ERR_WORKER_DIED, "%s", reason);
    lose(w, &why);
}

/* --- the container ------------------------------------------------------------------------ */

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
        become_ready(w);
}

static void
on_container_start_failed(void *owner, const struct err *err)
{
    struct worker *w = owner;

    metrics_add(METRIC_CONTAINER_FAILURES, 1);
    if (w->phase != DYING)
        lose(w, err);
}

static void
on_container_exited(void *owner, const struct container_exit *exit)
{
    struct worker *w = owner;

    if (w->phase == DYING)
        return;
    w->exit = *exit;
    worker_pause(w, false); /* for its last words */
    set_phase(w, EXPIRED);
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

/* Whether its session can have some. */
static bool
has_packages(const struct worker *w)
{
    return w->kind->spec.packages && config_has_packages(w->env->config);
}

static struct container *
start_container(struct worker *w, struct err *err)
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
        .packages = has_packages(w),
        .package_dir = package_dir[0] && w->installer ? package_dir : NULL,
    };
    struct container *container = container_start(w->env->runtime, &spec, &container_ops, w, err);

    sodium_memzero(boot, spec.boot_len);
    free(boot);
    return container;
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
    w->container = start_container(w, err);
    if (w->container == NULL) {
        worker_free(w);
        return NULL;
    }
    meet(w);
    clock_arm(w->timer, START_LIMIT_MS);
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
    w->container =
        container_adopt(env->runtime, who->id, who->pid, who->start_ticks, &container_ops, w, err);
    if (w->container == NULL) {
        worker_free(w);
        return NULL;
    }
    /* What was taken from it when a session got it is in no config.json. */
    if (container_restrict(w->container, &(struct allowance){w->limits.cpu, w->limits.memory_mb},
                           true, err) < 0)
        log_debug("worker %s: %s", w->who.id, err->msg);
    meet(w);
    clock_arm(w->timer, RECALL_LIMIT_MS);
    return w;
}

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

/* --- the way to READY --------------------------------------------------------------------- */

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
    if (has_packages(w))
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

static void
configure(struct worker *w)
{
    struct err err = ERR_INIT;

    if (send_config(w, TCI_CONFIG, NULL, &err) < 0)
        lose(w, &err);
    else
        set_phase(w, CONFIGURED);
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
    clock_arm(w->timer, START_LIMIT_MS);
    return 0;
}

static void
probe(struct worker *w)
{
    assert(w->kernel == NULL);
    w->kernel = kernel_new(w->env->base, w->peer, w->who.key, w->kind->spec.interrupt_message,
                           on_kernel_ready, w);
    if (w->adopted)
        clock_arm(w->timer, (unsigned)(w->env->config->exec_timeout * 1000) + PROBE_EXTRA_MS);
    set_phase(w, PROBING);
    kernel_probe(w->kernel);
}

static void
become_ready(struct worker *w)
{
    double seconds = clock_now() - w->started;

    event_del(w->timer);
    set_phase(w, READY);
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
            become_ready(w);
        return;
    }
    spec.code = json_string_value(code);
    spec.code_len = json_string_length(code);
    w->warmup = execution_new(&spec, on_warmed, w);
    if (kernel_execute(w->kernel, w->warmup, &err) < 0)
        lose(w, &err);
}

static void
on_kernel_ready(void *owner)
{
    struct worker *w = owner;

    if (w->phase != PROBING)
        return;
    if (w->adopted) {
        become_ready(w);
        return;
    }
    set_phase(w, WARMING);
    warm_next(w);
}

/* --- the end ------------------------------------------------------------------------------ */

static struct worker_end
end_of(const struct worker *w)
{
    return (struct worker_end){w->container, &w->exit, w->env->config->worker_memory_mb};
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    const struct worker_end end = end_of(w);
    struct err why = ERR_INIT;

    (void)fd, (void)what;
    if (w->phase == EXPIRED)
        worker_end_of_container(&end, &why);
    else
        err_set(&why, ERR_WORKER_DIED, "The worker was not ready in time (it was %s)",
                phase_name[w->phase]);
    lose(w, &why);
}

/* --- the link ----------------------------------------------------------------------------- */

static void
on_hello(struct worker *w, const json_t *hello)
{
    const char *state = json_string_value(json_object_get(hello, "state"));
    bool fresh = state && strcmp(state, "new") == 0;

    if (json_integer_value(json_object_get(hello, "protocol")) != TCI_PROTOCOL_VERSION)
        lose_because(w, "The worker speaks another version of the link protocol");
    else if (fresh && w->phase == BOOTING)
        configure(w);
    else if (!fresh && w->phase == RECALLED)
        probe(w);
    else if (w->phase != EXPIRED)
        /* The link broke and messages may be lost with it: nothing after this could be trusted. */
        lose_because(w, "The worker lost its link to the gateway");
}

static void
on_exited(struct worker *w, const json_t *said)
{
    const struct worker_end end = end_of(w);
    struct err why = ERR_INIT;

    worker_end_of_kernel(&end, said, &why);
    lose(w, &why);
}

static void
on_json(struct worker *w, char verb, const struct wire_frame *frame)
{
    struct err err = ERR_INIT;
    json_auto_t *object = reader_object(frame->data, frame->len, "HELLO or EXITED", &err);

    if (object == NULL) {
        metrics_add(METRIC_LINK_DROPPED, 1);
        log_debug("worker %s: %s", w->who.id, err.msg);
    } else if (verb == TCI_HELLO) {
        on_hello(w, object);
    } else {
        on_exited(w, object);
    }
}

static void
on_kernel_message(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    if (w->kernel == NULL)
        return; /* the old gateway's business */
    if (verb == TCI_RELAY && n >= 1 && f[0].len == 1)
        kernel_on_relay(w->kernel, *(const char *)f[0].data, f + 1, n - 1);
    else if (verb == TCI_OUTPUT && n == 2 && f[0].len == 1)
        kernel_on_output(w->kernel, *(const char *)f[0].data - '0', f[1].data, f[1].len);
    else if (verb == TCI_TRUNCATED && n == 0)
        kernel_on_truncated(w->kernel);
    else
        metrics_add(METRIC_LINK_DROPPED, 1);
}

static void
on_files_message(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    if (!transfers_on_link(w->files, verb, f, n))
        metrics_add(METRIC_LINK_DROPPED, 1);
}

static void
on_changes(struct worker *w, char verb, const struct wire_frame *f, size_t n)
{
    json_auto_t *changes = verb == TCI_CHANGES ? changes_parse(f, n) : NULL;

    if (verb == TCI_DISK ? !changes_parse_disk(f, n, timestamp_now(), &w->disk) : changes == NULL)
        metrics_add(METRIC_LINK_DROPPED, 1);
    else if (changes && w->kernel)
        kernel_on_changes(w->kernel, changes);
}

static void
on_link(void *owner, char verb, const struct wire_frame *f, size_t n)
{
    struct worker *w = owner;

    if ((verb == TCI_HELLO || verb == TCI_EXITED) && n == 1)
        on_json(w, verb, f);
    else if (verb == TCI_STARTED && n == 0 && w->phase == CONFIGURED)
        probe(w);
    else if (verb == TCI_DATA || verb == TCI_GRANT || verb == TCI_ENDED)
        on_files_message(w, verb, f, n);
    else if (verb == TCI_CHANGES || verb == TCI_DISK)
        on_changes(w, verb, f, n);
    else
        on_kernel_message(w, verb, f, n);
}

/* --- in use ------------------------------------------------------------------------------- */

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
