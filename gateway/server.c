/*
 * server.c - see server.h.
 *
 * The order of setting up matters: the lock and the token come before anything that others could see, and the socket that
 * clients connect to when all that answers them is there.
 */
#include "server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sodium.h>

#include "api.h"
#include "audit.h"
#include "auth.h"
#include "clock.h"
#include "database.h"
#include "egress.h"
#include "files.h"
#include "history.h"
#include "http.h"
#include "kernels.h"
#include "kept.h"
#include "keystore.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "outfit.h"
#include "packages.h"
#include "pool.h"
#include "pool_recall.h"
#include "route.h"
#include "runs.h"
#include "runtime.h"
#include "scan.h"
#include "statedir.h"
#include "store.h"

enum {
    LAG_PERIOD_MS = 250,
    DRAIN_POLL_MS = 20,
    DRAIN_EXTRA_S = 5,          /* over the execution time limit */
    CUT_S = 1,                  /* for the answers that are given then to go out */
    INTRODUCE_LIMIT_MS = 10000, /* for a worker on a busy machine to say who it is */
    LINK_SLACK = 8 << 20, /* of what an execution sends over the output limit: replies, statuses */
    /* Of each worker: its pidfd and link, two at its start, and connections that call it. */
    DESCRIPTORS_PER_WORKER = 16,
    SPARE_DESCRIPTORS = 512,
    /* What connections leave of the process's limit: for each worker, and for files, programs and their pipes. */
    KEPT_PER_WORKER = 5,
    KEPT_DESCRIPTORS = 64,
    BODY_SLACK = 64 << 10,  /* of a body over its code */
    BODY_PER_CODE_BYTE = 6, /* \u001b is one byte of code */
};

enum signal_event { ON_TERM, ON_INT, ON_HUP, N_SIGNALS };

struct server {
    struct config *config;
    int argc;
    char *const *argv;
    int lock_fd;
    char *token;
    struct files files;
    struct event_base *base;
    struct kernels *kernels;
    struct worker_env env; /* what the pool's workers share */
    struct egress *egress; /* NULL: nothing may have a network */
    struct store *store;
    struct scan *scan;
    struct pool *pool;
    struct packages *packages;
    struct outfits *outfits;
    struct runs *runs;
    struct kept *kept;
    struct auth *auth;
    struct audit *audit;
    struct api *api;
    struct http *http;
    struct event *signals[N_SIGNALS], *lag_timer, *drain_timer;
    double lag_due, drain_deadline; /* clock_now */
    bool drained, cut;
};

/* --- signals and timers ------------------------------------------------------------------- */

/* Up to where descriptors may be taken for connections; half of them may be, whatever the limit. */
static unsigned
http_descriptors(const struct config *c)
{
    const rlim_t wanted = SPARE_DESCRIPTORS + DESCRIPTORS_PER_WORKER * (rlim_t)c->max_total_workers;
    const rlim_t kept = KEPT_DESCRIPTORS + KEPT_PER_WORKER * (rlim_t)c->max_total_workers;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted + kept)
        return (unsigned)wanted;
    if (limit.rlim_cur >= 2 * kept)
        return (unsigned)(limit.rlim_cur - kept);
    log_warn("%llu open files are too few for %u workers: raise the limit (ulimit -n, LimitNOFILE)",
             (unsigned long long)limit.rlim_cur, c->max_total_workers);
    return (unsigned)(limit.rlim_cur / 2);
}

static struct http_options
http_options(const struct server *s)
{
    const struct config *c = s->config;

    return (struct http_options){
        .listen = c->listen,
        .cors_origin = c->cors_origin,
        .tls_cert = c->tls_cert,
        .tls_key = c->tls_key,
        .max_descriptors = http_descriptors(c),
        .max_body = BODY_PER_CODE_BYTE * c->max_code_bytes + BODY_SLACK,
        .peers = {.per_address = c->max_connections_per_address, .seconds = c->client_timeout},
    };
}

static int
load_scan_rules(struct server *s, struct err *err)
{
    const char *own = s->config->scan_rules;

    return scan_load(s->scan, own[0] ? own : s->files.scan_rules, err);
}

/* Nothing is waited for any more but that the answers go out; the second time, not even that. */
static void
cut(struct server *s)
{
    if (s->cut) {
        event_base_loopbreak(s->base);
        return;
    }
    s->cut = true;
    s->drain_deadline = clock_now() + CUT_S;
    packages_stop(s->packages);
    pool_cut(s->pool);
}

static void
on_drain_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;

    (void)fd, (void)what;
    if ((s->drained || s->cut) && http_pending(s->http) == 0)
        event_base_loopbreak(s->base);
    else if (clock_now() > s->drain_deadline)
        cut(s);
}

static void
on_drained(void *owner)
{
    struct server *s = owner;

    s->drained = true;
}

/* The second signal does not wait. */
static void
on_terminate(evutil_socket_t signal, short what, void *arg)
{
    struct server *s = arg;

    (void)what;
    if (evtimer_pending(s->drain_timer, NULL)) {
        cut(s);
        return;
    }
    log_info("%s: finishing what runs, then stopping", strsignal((int)signal));
    s->drain_deadline = clock_now() + s->config->exec_timeout + DRAIN_EXTRA_S;
    http_drain(s->http);
    pool_drain(s->pool, on_drained, s);
    clock_arm(s->drain_timer, DRAIN_POLL_MS);
}

static void
on_reload(evutil_socket_t signal, short what, void *arg)
{
    struct server *s = arg;
    struct http_options options;
    struct audit_options audit = {.db_path = ""};
    struct err err = ERR_INIT;
    unsigned changed = 0;

    (void)signal, (void)what;
    if (config_reload(s->config, s->argc, s->argv, &changed, &err) < 0) {
        log_error("configuration not reloaded: %s", err.msg);
        return;
    }
    log_setup(s->config->log_level, s->config->log_format);
    audit.log_path = s->config->audit_log;
    audit.days = s->config->audit_days;
    options = http_options(s);
    if (http_reconfigure(s->http, &options, &err) < 0)
        log_error("certificate not reloaded: %s", err.msg);
    if (load_scan_rules(s, &err) < 0)
        log_error("rules of the scan not reloaded: %s", err.msg);
    if (audit_reconfigure(s->audit, &audit, &err) < 0)
        log_error("%s", err.msg);
    egress_reconfigure(s->egress);
    kernels_reload(s->kernels);
    pool_reconfigure(s->pool);
    log_info("configuration reloaded: %u settings changed", changed);
}

static void
aim_lag_timer(struct server *s)
{
    s->lag_due = clock_now() + LAG_PERIOD_MS / 1000.0;
    clock_arm(s->lag_timer, LAG_PERIOD_MS);
}

static void
on_lag_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    double lag = clock_now() - s->lag_due;

    (void)fd, (void)what;
    metrics_observe(METRIC_LOOP_LAG_SECONDS, lag > 0 ? lag : 0);
    aim_lag_timer(s);
}

static void
add_events(struct server *s)
{
    static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

    for (int i = 0; i < N_SIGNALS; i++) {
        s->signals[i] =
            xnotnull(evsignal_new(s->base, numbers[i], i == ON_HUP ? on_reload : on_terminate, s));
        event_add(s->signals[i], NULL);
    }
    s->lag_timer = xnotnull(evtimer_new(s->base, on_lag_timer, s));
    s->drain_timer = xnotnull(event_new(s->base, -1, EV_PERSIST, on_drain_timer, s));
    aim_lag_timer(s);
}

/* --- up and down -------------------------------------------------------------------------- */

static void
raise_to_hard_limit(int resource)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

/* The second are those that hold, as they are here, for all containers together; the worker sets what each may have. */
static void
raise_limits(void)
{
    static const struct rlimit infinite = {RLIM_INFINITY, RLIM_INFINITY};
    static const int shared[] = {RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING};

    raise_to_hard_limit(RLIMIT_NOFILE);
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        if (setrlimit(shared[i], &infinite) < 0)
            raise_to_hard_limit(shared[i]);
}

/*
 * Every answer passes this process twice, and for a moment only; as one among others it would wait each time until
 * whoever computes has used up a time slice.  The lowest real-time priority ends that: p95 of 20 users beside two floods is 7 ms
 * in the place of 13.  Children have the usual one.  The kernel keeps a part of each processor for the rest, whatever we do.
 */
static void
ask_for_priority(void)
{
    const struct sched_param lowest = {.sched_priority = 1};
    const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;

    if (policy != SCHED_RR && policy != SCHED_FIFO && /* as whoever started it wants it */
        sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) < 0)
        log_info("No real-time priority (%s): answers take longer while code computes",
                 strerror(errno));
}

static int
find_token(struct server *s, struct err *err)
{
    const char *own = s->config->auth_token;

    s->token = own[0] ? xstrdup(own) : statedir_token(s->config->state_dir, err);
    return s->token ? 0 : -1;
}

static void
remove_store(const struct config *config)
{
    static const char *const names[] = {"tci.db", "tci.db-wal", "tci.db-shm"};
    cleanup_free char *history_dir = statedir_path(config->state_dir, "history");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cleanup_free char *path = statedir_path(config->state_dir, names[i]);

        unlink(path);
    }
    history_remove(history_dir);
}

static char *
unusable_store(const struct config *config)
{
    return statedir_path(config->state_dir, "tci.db.unusable");
}

/*
 * Without its store the gateway loses sessions, without starting it loses them all: what no other try could read is kept
 * aside.  One that is only locked, or on a full disk, holds sessions that the next start can have.
 */
static struct store *
open_store(const struct config *config, struct err *err)
{
    cleanup_free char *path = statedir_path(config->state_dir, "tci.db");
    bool unusable;
    struct store *store = store_open(path, &unusable, err);

    if (store || !unusable)
        return store;
    log_error("%s; its sessions are lost", err->msg);
    return database_set_aside(path, err) < 0 ? NULL : store_open(path, &unusable, err);
}

/* Nobody knows whose sessions were in a store that was set aside. */
static bool
is_in_doubt(const struct config *config)
{
    cleanup_free char *aside = unusable_store(config);

    if (access(aside, F_OK) < 0)
        return false;
    log_warn("users that are not known are told `restarted` while there is %s", aside);
    return true;
}

/* The database's path; "" = off. */
static char *
audit_db_path(const struct config *config)
{
    if (strcmp(config->audit_db, "on") == 0)
        return statedir_path(config->state_dir, "audit.db");
    return xstrdup(config->audit_db[0] == '/' ? config->audit_db : "");
}

static struct audit *
open_audit(const struct server *s, struct err *err)
{
    cleanup_free char *db_path = audit_db_path(s->config);
    const struct audit_options options = {
        .log_path = s->config->audit_log,
        .db_path = db_path,
        .days = s->config->audit_days,
    };

    return audit_new(s->base, &options, err);
}

static int
open_backends(struct server *s, struct err *err)
{
    const struct config *config = s->config;
    const bool network = config->network == NETWORK_ALLOWLIST || config->packages_index[0];
    cleanup_free char *link_dir = statedir_path(config->state_dir, "link");
    cleanup_free char *proxy_dir = statedir_path(config->state_dir, "proxy");
    /* Twice, because what one execution left may come with what the next one sent. */
    struct link_options link = {
        .dir = link_dir,
        .max_message = 2 * (config->max_output_bytes + LINK_SLACK),
        .introduce_ms = INTRODUCE_LIMIT_MS,
    };

    if (files_find(&s->files, err) < 0)
        return -1;
    s->kernels = kernels_new(s->base, s->files.kernelspecs, config->state_dir, config->kernel, err);
    if (s->kernels == NULL)
        return -1;
    const struct runtime_paths paths = {s->files.worker, link_dir, network ? proxy_dir : NULL,
                                        s->files.kernelspecs, s->files.kernel};
    s->env.runtime = runtime_new(s->base, config, &paths, err);
    if (s->env.runtime == NULL)
        return -1;
    link.group = runtime_link_gid(s->env.runtime);
    if (network &&
        (s->egress = egress_new(s->base, s->files.proxy, proxy_dir, config, err)) == NULL)
        return -1;
    s->env.link = link_new(s->base, &link, err);
    if (s->env.link == NULL)
        return -1;
    s->store = open_store(config, err);
    return s->store ? 0 : -1;
}

static int
open_packages(struct server *s, struct err *err)
{
    cleanup_free char *dir = statedir_path(s->config->state_dir, "packages");

    if (!config_has_packages(s->config))
        return 0;
    s->packages = packages_new(s->base, s->config, s->pool, dir, err);
    if (s->packages == NULL)
        return -1;
    s->outfits = outfits_new(s->base, s->packages);
    pool_set_outfitter(s->pool, &outfit_outfitter, s->outfits);
    return 0;
}

static int
open_front(struct server *s, struct err *err)
{
    const struct http_options options = http_options(s);
    cleanup_free char *kept_dir = statedir_path(s->config->state_dir, "kept");
    cleanup_free char *history_dir = statedir_path(s->config->state_dir, "history");
    cleanup_free char *keys_path = statedir_path(s->config->state_dir, KEYSTORE_FILE);

    s->scan = scan_new("python");
    if (load_scan_rules(s, err) < 0)
        return -1;
    s->env.base = s->base;
    s->env.config = s->config;
    s->pool = pool_new(&s->env, s->kernels, s->store, is_in_doubt(s->config));
    if (open_packages(s, err) < 0 || pool_recall(s->pool, err) < 0)
        return -1;
    s->auth = auth_new(s->token, keys_path);
    s->audit = open_audit(s, err);
    if (s->audit == NULL)
        return -1;
    s->kept = kept_new(s->base, s->config, kept_dir, err);
    if (s->kept == NULL)
        return -1;
    const struct run_parts run_parts = {s->base, s->config, s->pool};
    s->runs = runs_new(&run_parts, history_dir, err);
    if (s->runs == NULL)
        return -1;
    const struct api_parts parts = {s->config,
                                    s->pool,
                                    s->kernels,
                                    s->auth,
                                    s->audit,
                                    s->scan,
                                    s->runs,
                                    s->base,
                                    s->kept,
                                    s->packages,
                                    {s->base, s->config, s->pool, s->packages, s->kernels}};
    s->api = api_new(&parts, s->files.web, err);
    if (s->api == NULL)
        return -1;
    s->http = http_new(s->base, &options, &route_handlers, s->api, err);
    return s->http ? 0 : -1;
}

static int
server_open(struct server *s, struct err *err)
{
    raise_limits();
    ask_for_priority();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that fails */
    s->lock_fd = statedir_open(s->config->state_dir, err);
    if (s->lock_fd < 0 || find_token(s, err) < 0)
        return -1;
    s->base = xnotnull(event_base_new());
    if (open_backends(s, err) < 0 || open_front(s, err) < 0)
        return -1;
    add_events(s);
    return statedir_publish(s->config->state_dir, http_url(s->http), err);
}

static void
server_close(struct server *s)
{
    for (int i = 0; i < N_SIGNALS; i++)
        if (s->signals[i])
            event_free(s->signals[i]);
    if (s->lag_timer)
        event_free(s->lag_timer);
    if (s->drain_timer)
        event_free(s->drain_timer);
    packages_stop(s->packages); /* first: they have answers to give */
    pool_free(s->pool);
    outfits_free(s->outfits);
    packages_free(s->packages);
    runs_free(s->runs); /* their connections are the HTTP server's */
    http_free(s->http);
    api_free(s->api);
    kept_free(s->kept);
    scan_free(s->scan);
    audit_free(s->audit);
    auth_free(s->auth);
    store_close(s->store);
    egress_free(s->egress);
    link_free(s->env.link);
    runtime_free(s->env.runtime);
    kernels_free(s->kernels);
    files_clear(&s->files);
    if (s->base)
        event_base_free(s->base);
    if (s->token)
        sodium_memzero(s->token, strlen(s->token));
    free(s->token);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
}

int
server_run(struct config *config, int argc, char *const argv[], struct err *err)
{
    struct server s = {.config = config, .argc = argc, .argv = argv, .lock_fd = -1};
    int rc = server_open(&s, err);

    if (rc == 0) {
        log_info("listening on %s", http_url(s.http));
        pool_start(s.pool);
        event_base_dispatch(s.base);
        log_info("stopped; containers stay for the next start");
        statedir_unpublish(config->state_dir);
    }
    server_close(&s);
    return rc;
}

static int
remove_all(struct runtime *runtime, unsigned *n, struct err *err)
{
    char **ids = runtime_list(runtime);
    int rc = 0;

    for (char **id = ids; *id; id++) {
        if (runtime_remove(runtime, *id, err) < 0)
            rc = -1;
        else
            ++*n;
        free(*id);
    }
    free(ids);
    return rc;
}

int
server_remove_containers(const struct config *config, unsigned *n, struct err *err)
{
    cleanup_free char *link_dir = statedir_path(config->state_dir, "link");
    struct files files = {.worker = NULL};
    cleanup_close int lock_fd = -1;
    struct event_base *base;
    struct runtime *runtime;
    int rc = -1;

    *n = 0;
    if (access(config->state_dir, F_OK) < 0 && errno == ENOENT)
        return 0; /* never started there */
    lock_fd = statedir_open(config->state_dir, err);

    if (lock_fd < 0 || files_find(&files, err) < 0)
        return -1;
    base = xnotnull(event_base_new());
    const struct runtime_paths paths = {files.worker, link_dir, NULL, NULL, NULL};
    runtime = runtime_new(base, config, &paths, err);
    if (runtime)
        rc = remove_all(runtime, n, err);
    if (rc == 0)
        remove_store(config);
    runtime_free(runtime);
    event_base_free(base);
    files_clear(&files);
    return rc;
}
