/*
 * runtime.c - see runtime.h.  A container's phases, and what moves it on:
 *
 *   QUEUED ──turn──▶ STARTING ──driver──▶ RUNNING ──pidfd──▶ ENDED
 *      │                 └──failed──────────────────────────▶  │
 *      └──destroy──▶ CONDEMNED ◀──────────────────────destroy──┘
 *                      │  ▲
 *                    turn └──time── RESTING ◀──┐
 *                      ▼                       │ failed
 *                   REMOVING ──driver──────────┴──▶ on_removed, freed
 *
 * A container that is to be destroyed while STARTING or RUNNING is only marked (and killed): it comes to
 * CONDEMNED by the way that every end takes, so that nothing is removed under a process that still runs.
 *
 * Starts and removals cost processor time of the same cores that run the users' code: as many at once as there are
 * cores, removals first, because what is removed makes room.
 *
 * This process is the subreaper of its containers: an init whose runtime program is gone becomes our child, and only
 * a parent is told an exit status.
 */
#include "runtime.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <event2/event.h>
#include <utlist.h>

#include "child.h"
#include "config.h"
#include "log.h"
#include "ocispec.h"
#include "rootless.h"
#include "runtime_driver.h"
#include "runtime_limits.h"
#include "smallfile.h"

enum {
    FIRST_REST_MS = 20, /* before a failed removal is tried again; doubled each time */
    LAST_REST_MS = 2000,
    LOUD_ATTEMPTS = 8,    /* from here on a failed removal is a warning */
    KILL_LIMIT_MS = 5000, /* from SIGKILL to the end of init; then it is said, and sent again */
    MAX_BOOT = 4096,      /* fits a pipe, so that writing it never blocks */
};

enum phase { QUEUED, STARTING, RUNNING, ENDED, CONDEMNED, REMOVING, RESTING };

static const char *const phase_name[] = {"QUEUED",    "STARTING", "RUNNING", "ENDED",
                                         "CONDEMNED", "REMOVING", "RESTING"};

struct container {
    struct runtime *runtime;
    char id[33];
    enum phase phase;
    bool doomed;    /* container_destroy was called */
    bool preferred; /* container_prefer was called, and container_defer not since */
    bool told;      /* on_started was called (adopted: is taken as called) */
    void *box;      /* the driver's */
    pid_t init;     /* 0: none, or reaped */
    int pidfd;
    struct event *exit_event; /* while RUNNING */
    struct event *timer;      /* while RESTING, or RUNNING and doomed */
    unsigned attempts;        /* at removing it */
    struct container_exit exit;
    const struct container_ops *ops;
    void *owner;
    struct container *prev, *next;
};

struct runtime {
    struct event_base *base;
    const struct runtime_driver *driver;
    void *state;               /* the driver's */
    struct rootless *rootless; /* NULL: root's */
    struct event *turn;        /* active: look for something to start or to remove */
    struct event *child_event;
    unsigned busy, limit; /* starts and removals going on */
    struct container *containers;
};

static const struct runtime_driver *const drivers[] = {&runtime_crun, &runtime_runsc, NULL};

static void on_driver_started(void *owner, pid_t init, const struct err *);
static void on_driver_removed(void *owner, const struct err *);

static void
set_phase(struct container *c, enum phase next)
{
    log_debug("container %s: %s -> %s", c->id, phase_name[c->phase], phase_name[next]);
    c->phase = next;
}

/* --- processes ------------------------------------------------------------------------------ */

unsigned long long
runtime_start_ticks(pid_t pid)
{
    char path[32], text[1024], *save = NULL;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    smallfile_read(path, text, sizeof(text));
    /* The name, field 2, may contain anything; what follows its last parenthesis are numbers from field 3 on. */
    char *rest = strrchr(text, ')');
    const char *word = rest == NULL ? NULL : strtok_r(rest + 1, " ", &save);
    for (int field = 3; field < 22 && word != NULL; field++)
        word = strtok_r(NULL, " ", &save);
    return word == NULL ? 0 : strtoull(word, NULL, 10);
}

static bool
is_starting(const struct container *c)
{
    return c->phase == STARTING;
}

/* The init of a container that is being started may have ended before we were told that it is one. */
static bool
keep(void *arg, pid_t pid)
{
    const struct runtime *rt = arg;
    const struct container *c;
    bool starting = false;

    DL_FOREACH (rt->containers, c) {
        if (c->init == pid)
            return true;
        starting |= is_starting(c);
    }
    return starting && rt->driver->may_be_init(pid);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    child_reap_strays(keep, arg);
}

/* --- turns ---------------------------------------------------------------------------------- */

static void
poke(struct runtime *rt)
{
    event_active(rt->turn, 0, 0);
}

static struct container *
find_phase(const struct runtime *rt, enum phase phase)
{
    struct container *c;

    DL_FOREACH (rt->containers, c) {
        if (c->phase == phase)
            return c;
    }
    return NULL;
}

static void
condemn(struct container *c)
{
    set_phase(c, CONDEMNED);
    poke(c->runtime);
}

static void
arm(struct container *c, unsigned ms)
{
    const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_add(c->timer, &tv);
}

static void
rest(struct container *c, const struct err *err)
{
    unsigned ms = LAST_REST_MS;

    if (c->attempts < 7)
        ms = FIRST_REST_MS << c->attempts;
    c->attempts++;
    if (c->attempts >= LOUD_ATTEMPTS)
        log_warn("container %s: cannot be removed yet: %s", c->id, err->msg);
    else
        log_debug("container %s: cannot be removed yet: %s", c->id, err->msg);
    set_phase(c, RESTING);
    arm(c, ms);
}

static void
kill_init(struct container *c)
{
    pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    arm(c, KILL_LIMIT_MS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct container *c = arg;

    (void)fd, (void)what;
    if (c->phase == RESTING) {
        condemn(c);
    } else if (c->phase == RUNNING) {
        log_warn("container %s: was killed, but does not end", c->id);
        kill_init(c);
    }
}

static void
begin_remove(struct container *c)
{
    struct err err = ERR_INIT;

    set_phase(c, REMOVING);
    if (c->runtime->driver->remove(c->box, on_driver_removed, c, &err) == 0)
        c->runtime->busy++;
    else
        rest(c, &err);
}

static void
fail_start(struct container *c, const struct err *err)
{
    set_phase(c, ENDED);
    if (c->doomed)
        condemn(c);
    else
        c->ops->on_start_failed(c->owner, err);
}

static void
begin_start(struct container *c)
{
    struct err err = ERR_INIT;

    set_phase(c, STARTING);
    if (c->runtime->driver->start(c->box, on_driver_started, c, &err) == 0)
        c->runtime->busy++;
    else
        fail_start(c, &err);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct runtime *rt = arg;
    struct container *c;

    (void)fd, (void)what;
    while (rt->busy < rt->limit) {
        if ((c = find_phase(rt, CONDEMNED)) != NULL)
            begin_remove(c);
        else if ((c = find_phase(rt, QUEUED)) != NULL)
            begin_start(c);
        else
            return;
    }
}

/* --- a container's init --------------------------------------------------------------------- */

static void
container_free(struct container *c)
{
    DL_DELETE(c->runtime->containers, c);
    c->runtime->driver->forget(c->box);
    if (c->exit_event != NULL)
        event_free(c->exit_event);
    event_free(c->timer);
    if (c->pidfd >= 0)
        close(c->pidfd);
    free(c);
}

/* False if it has not ended, after all.  Not our child (adopted): its status is somebody else's. */
static bool
reap(struct container *c)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) < 0)
        return true;
    if (info.si_pid == 0)
        return false;
    c->exit.known = true;
    if (info.si_code == CLD_EXITED)
        c->exit.code = info.si_status;
    else
        c->exit.signal = info.si_status;
    return true;
}

static void
on_init_exit(evutil_socket_t fd, short what, void *arg)
{
    struct container *c = arg;

    (void)fd, (void)what;
    if (!reap(c))
        return;
    event_free(c->exit_event);
    c->exit_event = NULL;
    event_del(c->timer);
    c->init = 0;
    c->exit.oom = c->runtime->driver->was_oom(c->box);
    c->runtime->driver->last_words(c->box, c->doomed);
    child_reap_strays(keep, c->runtime); /* those that it hid */
    set_phase(c, ENDED);
    if (c->doomed)
        condemn(c);
    if (c->told)
        c->ops->on_exited(c->owner, &c->exit);
}

static int
watch(struct container *c, pid_t init, struct err *err)
{
    c->pidfd = pidfd_open(init, 0);
    if (c->pidfd < 0)
        return err_sys(err, "watch the container's init");
    c->init = init;
    c->exit_event =
        xnotnull(event_new(c->runtime->base, c->pidfd, EV_READ | EV_PERSIST, on_init_exit, c));
    event_add(c->exit_event, NULL);
    return 0;
}

static void
on_driver_started(void *owner, pid_t init, const struct err *failed)
{
    struct container *c = owner;
    struct err err = ERR_INIT;

    c->runtime->busy--;
    poke(c->runtime);
    event_active(c->runtime->child_event, EV_SIGNAL, 1); /* what was kept, and is not it */
    if (failed != NULL || watch(c, init, &err) < 0) {
        fail_start(c, failed != NULL ? failed : &err);
        return;
    }
    set_phase(c, RUNNING);
    if (c->doomed) {
        kill_init(c);
        return;
    }
    c->runtime->driver->set_background(c->box, !c->preferred);
    c->told = true;
    c->ops->on_started(c->owner, init);
}

static void
on_driver_removed(void *owner, const struct err *err)
{
    struct container *c = owner;
    const struct container_ops *ops = c->ops;
    void *upper = c->owner;

    c->runtime->busy--;
    poke(c->runtime);
    if (err != NULL) {
        rest(c, err);
        return;
    }
    container_free(c);
    ops->on_removed(upper);
}

/* --- containers ----------------------------------------------------------------------------- */

static bool
is_id(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");

    return n >= 1 && n <= 32 && id[n] == '\0';
}

static struct container *
container_new(struct runtime *rt, const char *id, void *box, const struct container_ops *ops,
              void *owner)
{
    struct container *c = xcalloc(1, sizeof(*c));

    c->runtime = rt;
    snprintf(c->id, sizeof(c->id), "%s", id);
    c->box = box;
    c->pidfd = -1;
    c->timer = xnotnull(evtimer_new(rt->base, on_timer, c));
    c->ops = ops;
    c->owner = owner;
    DL_APPEND(rt->containers, c);
    return c;
}

struct container *
container_start(struct runtime *rt, const struct container_spec *spec,
                const struct container_ops *ops, void *owner, struct err *err)
{
    assert(is_id(spec->id) && spec->slot < OCISPEC_MAX_SLOTS && spec->boot_len <= MAX_BOOT);
    void *box = rt->driver->create(rt->state, spec, err);
    if (box == NULL)
        return NULL;
    struct container *c = container_new(rt, spec->id, box, ops, owner);
    poke(rt);
    return c;
}

struct container *
container_adopt(struct runtime *rt, const char *id, pid_t init, unsigned long long start_ticks,
                const struct container_ops *ops, void *owner, struct err *err)
{
    if (!is_id(id) || init <= 1) {
        err_set(err, ERR_SYSTEM, "There is no container of that name");
        return NULL;
    }
    struct container *c = container_new(rt, id, rt->driver->adopt(rt->state, id), ops, owner);
    /* First hold on to whatever has this pid, then ask whether it is the right one. */
    int rc = watch(c, init, err);
    if (rc == 0 && (start_ticks == 0 || runtime_start_ticks(init) != start_ticks))
        rc = err_set(err, ERR_SYSTEM, "The container's init does not run any more");
    if (rc < 0) {
        container_free(c);
        return NULL;
    }
    set_phase(c, RUNNING);
    c->told = true;
    return c;
}

void
container_destroy(struct container *c)
{
    if (c == NULL || c->doomed)
        return;
    c->doomed = true;
    if (c->phase == QUEUED || c->phase == ENDED)
        condemn(c);
    else if (c->phase == RUNNING)
        kill_init(c);
}

void
container_prefer(struct container *c)
{
    c->preferred = true;
    if (c->phase == RUNNING)
        c->runtime->driver->set_background(c->box, false);
}

void
container_defer(struct container *c)
{
    c->preferred = false;
    if (c->phase == RUNNING)
        c->runtime->driver->set_background(c->box, true);
}

int
container_limit(struct container *c, const struct allowance *to, container_limited_fn *limited,
                void *owner, struct err *err)
{
    if (c->phase != RUNNING || c->doomed)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return c->runtime->driver->limit(c->box, to, limited, owner, err);
}

void
container_unlimit(struct container *c)
{
    c->runtime->driver->unlimit(c->box);
}

int
container_restrict(struct container *c, const struct allowance *most, bool in_force,
                   struct err *err)
{
    if (c->phase != RUNNING || c->doomed)
        return err_set(err, ERR_WORKER_DIED, "The worker died");
    return c->runtime->driver->restrict_to(c->box, most, in_force, err);
}

struct consumption
container_usage(const struct container *c)
{
    const struct consumption none = {.cpu_seconds = 0};

    return c->phase == RUNNING && !c->doomed ? c->runtime->driver->usage(c->box) : none;
}

void
container_watch_peak(struct container *c)
{
    if (c->phase == RUNNING && !c->doomed)
        c->runtime->driver->watch_peak(c->box);
}

unsigned long long
container_peak(struct container *c)
{
    return c->runtime->driver->peak(c->box);
}

unsigned
container_memory_mb(const struct container *c, bool *lowered)
{
    return c->runtime->driver->memory_mb(c->box, lowered);
}

bool
container_was_oom(const struct container *c)
{
    return c->exit.oom || c->runtime->driver->was_oom(c->box);
}

/* --- the runtime ---------------------------------------------------------------------------- */

static unsigned
count_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static const struct runtime_driver *
find_driver(const char *name)
{
    const struct runtime_driver *const *driver = drivers;

    while (*driver != NULL && strcmp((*driver)->name, name) != 0)
        driver++;
    return *driver;
}

json_t *
runtime_limits(const struct runtime *rt)
{
    return runtime_limits_json(rt->rootless != NULL);
}

bool
runtime_limits_executions(const struct runtime *rt)
{
    return rt->rootless == NULL;
}

gid_t
runtime_link_gid(const struct runtime *rt)
{
    return rt->rootless != NULL ? rootless_link_gid(rt->rootless) : OCISPEC_LINK_GID;
}

/*
 * What starts a container gets our hard limit and cannot raise it, nor can the container.  Said now, because all that is
 * heard of it later is how a program fails that finds no descriptor.
 */
static int
check_open_files(const struct runtime_driver *driver, struct err *err)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_max < driver->min_open_files)
        return err_set(err, ERR_CONFIG,
                       "The hard limit of open files is %llu, and it takes %u to start workers by "
                       "%s: raise it (ulimit -Hn, LimitNOFILE)",
                       (unsigned long long)limit.rlim_max, driver->min_open_files, driver->name);
    if (limit.rlim_max >= OCISPEC_OPEN_FILES)
        return 0;
    log_warn("runtime: the hard limit of open files is %llu: each process of a worker gets that in "
             "the place of %d (ulimit -Hn, LimitNOFILE)",
             (unsigned long long)limit.rlim_max, OCISPEC_OPEN_FILES);
    return 0;
}

static int
open_rootless(struct runtime *rt, const struct config *config, const struct runtime_paths *paths,
              struct err *err)
{
    const char *shown[5] = {config->state_dir, paths->worker};
    size_t n = 2;

    if (paths->kernelspec_dir != NULL)
        shown[n++] = paths->kernelspec_dir;
    if (paths->kernel != NULL)
        shown[n++] = paths->kernel;
    if (paths->kernelspec_dir != NULL && config->packages_dir[0])
        shown[n++] = config->packages_dir;
    rt->rootless = rootless_open(shown, n, err);
    return rt->rootless != NULL ? 0 : -1;
}

static int
open_driver(struct runtime *rt, const struct config *config, const struct runtime_paths *paths,
            struct err *err)
{
    if (paths->kernelspec_dir != NULL && check_open_files(rt->driver, err) < 0)
        return -1;
    if (rootless_is_needed() && paths->proxy_dir != NULL)
        return err_field(
            err, ERR_CONFIG, config->network == NETWORK_NONE ? "packages_index" : "network",
            "TCI_NETWORK=allowlist and TCI_PACKAGES_INDEX need root: the proxy knows containers by "
            "root's ids");
    if (rootless_is_needed() && open_rootless(rt, config, paths, err) < 0)
        return -1;
    const struct runtime_host host = {config->state_dir, paths->worker,          paths->link_dir,
                                      paths->proxy_dir,  config->runsc_platform, rt->rootless,
                                      paths->kernel};
    rt->state = rt->driver->open(rt->base, &host, err);
    return rt->state != NULL ? 0 : -1;
}

struct runtime *
runtime_new(struct event_base *base, const struct config *config, const struct runtime_paths *paths,
            struct err *err)
{
    const struct runtime_driver *driver = find_driver(config->runtime);

    if (driver == NULL) {
        err_field(err, ERR_CONFIG, "runtime", "There is no runtime \"%s\"", config->runtime);
        return NULL;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
        err_sys(err, "become a subreaper");
        return NULL;
    }
    struct runtime *rt = xcalloc(1, sizeof(*rt));
    rt->base = base;
    rt->driver = driver;
    if (open_driver(rt, config, paths, err) < 0) {
        rootless_close(rt->rootless);
        free(rt);
        return NULL;
    }
    if (rt->rootless != NULL && paths->kernelspec_dir != NULL)
        runtime_limits_warn(rt->rootless, config);
    rt->limit = count_cores();
    rt->turn = xnotnull(event_new(base, -1, 0, on_turn, rt));
    rt->child_event = xnotnull(evsignal_new(base, SIGCHLD, on_child, rt));
    event_add(rt->child_event, NULL);
    return rt;
}

void
runtime_free(struct runtime *rt)
{
    struct container *c, *next;

    if (rt == NULL)
        return;
    DL_FOREACH_SAFE (rt->containers, c, next)
        container_free(c);
    event_free(rt->turn);
    event_free(rt->child_event);
    rt->driver->close(rt->state);
    rootless_close(rt->rootless);
    free(rt);
}

char **
runtime_list(struct runtime *rt)
{
    return rt->driver->list(rt->state);
}

int
runtime_remove(struct runtime *rt, const char *id, struct err *err)
{
    if (!is_id(id))
        return err_set(err, ERR_SYSTEM, "There is no container of that name");
    return rt->driver->purge(rt->state, id, err);
}
