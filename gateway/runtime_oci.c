/* runtime_oci.c - see runtime_oci.h. */
#include "runtime_oci.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "cgroup.h"
#include "cgroup_usage.h"
#include "curb.h"
#include "log.h"
#include "ocibundle.h"
#include "ocispec.h"
#include "rootfs.h"
#include "rootless.h"
#include "runtime.h"
#include "seccomp.h"

enum {
    START_LIMIT_MS = 30000,
    DELETE_LIMIT_MS = 20000,
    END_LIMIT_MS = 5000,  /* from SIGKILL to the end of an init at start-up */
    PURGE_ATTEMPTS = 100, /* at removing one container at start-up ... */
    PURGE_REST_MS = 30,   /* ... and the time between them */
};

struct oci {
    struct event_base *base;
    char *state_dir, *bundles, *rootfs;
    char *worker_path, *link_dir;
    char *kernel_path; /* NULL: none */
    char *proxy_dir;   /* NULL: none */
    struct ociprogram *program;
    struct cgroup_host *cgroups;
    json_t *seccomp; /* NULL: own_kernel */
    bool own_kernel;
    const struct rootless *rootless;  /* NULL: root's */
    rlim_t hard_limits[RLIM_NLIMITS]; /* as ocispec_host has them */
};

/* All whose notes there may be: the setting may have been another one when a container was started. */
static const char *const programs[] = {"crun", "runsc"};

#define N_PROGRAMS (sizeof(programs) / sizeof(*programs))

static const struct timespec purge_rest = {0, PURGE_REST_MS * 1000000L};

struct box {
    struct oci *oci;
    char *id;
    struct ocibundle bundle;
    struct curb *curb;
    struct cgroup_peak peak;
    struct child *child;
    bool failed;
    runtime_started_fn *started;
    runtime_removed_fn *removed;
    void *owner;
};

/* The program's own notes of all containers. */
static char *
notes_dir(const struct oci *oci, const char *program)
{
    return xasprintf("%s/%s", oci->state_dir, program);
}

static char *
bundle_dir(const struct oci *oci, const char *id)
{
    return xasprintf("%s/%s", oci->bundles, id);
}

/* --- start ---------------------------------------------------------------------------------- */

static void
on_run(void *owner, bool ok, const char *why)
{
    struct box *box = owner;
    struct err err = ERR_INIT;
    pid_t init;

    box->child = NULL;
    ocibundle_close_stdin(&box->bundle);
    init = ok ? ocibundle_pid(&box->bundle) : 0;
    if (!ok)
        ocibundle_explain(&box->bundle, why, &err);
    else if (init == 0)
        err_sys(&err, "The container could not be started: no process is named");
    box->failed = init == 0;
    box->started(box->owner, init, init == 0 ? &err : NULL);
}

int
runtime_oci_start(void *arg, runtime_started_fn *started, void *owner, struct err *err)
{
    struct box *box = arg;
    const struct ocibundle *bundle = &box->bundle;
    const char *const args[] = {"run",        "--detach",       "--bundle", bundle->dir,
                                "--pid-file", bundle->pid_file, box->id,    NULL};
    const struct ociprogram_run run = {args, bundle->stdin_fd, bundle->output_fd, START_LIMIT_MS};

    box->started = started;
    box->owner = owner;
    box->child = ociprogram_spawn(box->oci->program, box->oci->base, &run, on_run, box, err);
    return box->child != NULL ? 0 : -1;
}

/* --- removal -------------------------------------------------------------------------------- */

/* The length of the container's id with which a file's name begins. */
static size_t
id_length(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
}

static int
remove_notes_in(const char *path, const char *id, struct err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    size_t len = strlen(id);
    int rc = 0;

    if (dir == NULL)
        return 0;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        cleanup_free char *file = xasprintf("%s/%s", path, entry->d_name);

        if (id_length(entry->d_name) == len && memcmp(entry->d_name, id, len) == 0)
            rc = ocibundle_remove_tree(file, err);
    }
    closedir(dir);
    return rc;
}

static int
remove_notes(const struct oci *oci, const char *id, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < N_PROGRAMS; i++) {
        cleanup_free char *path = notes_dir(oci, programs[i]);

        rc = remove_notes_in(path, id, err);
    }
    return rc;
}

/* The process that crun's notes name, from its status file; 0 if they name none that still runs. */
static pid_t
noted_init(const struct oci *oci, const char *id)
{
    cleanup_free char *notes = notes_dir(oci, "crun");
    cleanup_free char *path = xasprintf("%s/%s/status", notes, id);
    json_auto_t *status = json_load_file(path, 0, NULL);
    json_int_t pid = 0, since = 0;

    if (status == NULL ||
        json_unpack(status, "{s:I,s:I}", "pid", &pid, "process-start-time", &since) < 0 ||
        pid <= 1 || pid > INT32_MAX)
        return 0;
    return runtime_start_ticks((pid_t)pid) == (unsigned long long)since ? (pid_t)pid : 0;
}

/*
 * Without a control group it is by the notes that an init is known.  It takes all of its container with it.  The program
 * that is to remove the container may not kill it: it runs in a namespace beside the one of those that an earlier
 * gateway made.  True if there was one.
 */
static bool
kill_noted(const struct oci *oci, const char *id)
{
    const pid_t pid = oci->rootless != NULL ? noted_init(oci, id) : 0;

    return pid > 0 && kill(pid, SIGKILL) == 0;
}

/* kill_noted, and waits until it has ended: the program would spend seconds on one that has not. */
static void
end_noted(const struct oci *oci, const char *id)
{
    const pid_t pid = oci->rootless != NULL ? noted_init(oci, id) : 0;
    cleanup_close int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    struct pollfd ended = {pidfd, POLLIN, 0};

    if (kill_noted(oci, id) && pidfd >= 0)
        poll(&ended, 1, END_LIMIT_MS);
}

/* What the program left.  -1 while something is there. */
static int
clean_up(const struct oci *oci, const char *id, const char *bundle, bool cut_off, struct err *err)
{
    if ((cut_off && ociprogram_signal_helpers(oci->program, bundle, SIGKILL)) ||
        cgroup_kill(oci->cgroups, id) || kill_noted(oci, id))
        return err_set(err, ERR_SYSTEM, "processes are left");
    if (cgroup_remove(oci->cgroups, id, err) < 0 || remove_notes(oci, id, err) < 0)
        return -1;
    return ocibundle_remove_tree(bundle, err);
}

/* Its answer does not matter: it fails where it has nothing to do, too. */
static void
on_delete(void *owner, bool ok, const char *why)
{
    struct box *box = owner;
    struct err err = ERR_INIT;

    box->child = NULL;
    if (!ok)
        log_debug("container %s: %s", box->id, why);
    int rc = clean_up(box->oci, box->id, box->bundle.dir, box->failed, &err);
    box->removed(box->owner, rc < 0 ? &err : NULL);
}

int
runtime_oci_remove(void *arg, runtime_removed_fn *removed, void *owner, struct err *err)
{
    struct box *box = arg;
    const char *const args[] = {"delete", "--force", box->id, NULL};
    const struct ociprogram_run run = {args, -1, -1, DELETE_LIMIT_MS};

    if (box->failed)
        ociprogram_signal_helpers(box->oci->program, box->bundle.dir, SIGKILL);
    ocibundle_close_stdin(&box->bundle);
    box->removed = removed;
    box->owner = owner;
    box->child = ociprogram_spawn(box->oci->program, box->oci->base, &run, on_delete, box, err);
    return box->child != NULL ? 0 : -1;
}

/* --- boxes ---------------------------------------------------------------------------------- */

static struct box *
box_new(struct oci *oci, const char *id, const struct allowance *own)
{
    struct box *box = xcalloc(1, sizeof(*box));
    cleanup_free char *dir = bundle_dir(oci, id);

    box->oci = oci;
    box->id = xstrdup(id);
    ocibundle_init(&box->bundle, dir);
    box->peak.fd = -1;
    box->curb = curb_new(oci->base, oci->cgroups, id, own);
    return box;
}

void
runtime_oci_forget(void *arg)
{
    struct box *box = arg;

    if (box->child != NULL)
        child_cancel(box->child);
    ocibundle_clear(&box->bundle);
    curb_free(box->curb);
    cgroup_peak_clear(&box->peak);
    free(box->id);
    free(box);
}

/* What the container was made with; settings may have changed since. */
void *
runtime_oci_adopt(void *arg, const char *id)
{
    cleanup_free char *dir = bundle_dir(arg, id);
    json_auto_t *config = ocibundle_config(dir);
    const struct allowance own = ocispec_allowance(config);

    return box_new(arg, id, &own);
}

static json_t *
make_config(const struct oci *oci, const struct container_spec *spec)
{
    const struct ocispec_host host = {
        .rootfs = oci->rootfs,
        .worker_path = oci->worker_path,
        .kernel_path = oci->kernel_path,
        .link_dir = oci->link_dir,
        .proxy_dir = oci->proxy_dir,
        .seccomp = oci->seccomp,
        .limits_swap = cgroup_limits_swap(oci->cgroups),
        .limits_tcp = cgroup_limits_tcp(oci->cgroups),
        .own_kernel = oci->own_kernel,
        .rootless = oci->rootless != NULL,
        .hard_limits = oci->hard_limits,
    };
    cleanup_free char *cgroup = cgroup_path(oci->cgroups, spec->id);

    return ocispec_new(&host, spec, cgroup);
}

void *
runtime_oci_create(void *arg, const struct container_spec *spec, struct err *err)
{
    struct oci *oci = arg;
    if (oci->rootless != NULL && spec->slot >= rootless_slots(oci->rootless)) {
        err_set(err, ERR_SYSTEM, "There are subordinate ids for %u containers only",
                rootless_slots(oci->rootless));
        return NULL;
    }
    const struct allowance own = {spec->cpu, spec->memory_mb};
    struct box *box = box_new(oci, spec->id, &own);
    json_auto_t *config = make_config(oci, spec);

    if (ocibundle_make(&box->bundle, config, spec, err) == 0)
        return box;
    runtime_oci_forget(box);
    return NULL;
}

bool
runtime_oci_was_oom(const void *arg)
{
    const struct box *box = arg;

    return cgroup_oom_killed(box->oci->cgroups, box->id);
}

void
runtime_oci_set_background(const void *arg, bool background)
{
    const struct box *box = arg;

    cgroup_set_background(box->oci->cgroups, box->id, background);
}

int
runtime_oci_limit(void *arg, const struct allowance *to, runtime_limited_fn *limited, void *owner,
                  struct err *err)
{
    struct box *box = arg;

    return curb_set(box->curb, to, limited, owner, err);
}

void
runtime_oci_unlimit(void *arg)
{
    struct box *box = arg;

    curb_lift(box->curb);
}

unsigned
runtime_oci_memory_mb(const void *arg, bool *lowered)
{
    const struct box *box = arg;

    return curb_memory_mb(box->curb, lowered);
}

int
runtime_oci_restrict(void *arg, const struct allowance *most, bool in_force, struct err *err)
{
    struct box *box = arg;

    return curb_restrict(box->curb, most, in_force, err);
}

struct consumption
runtime_oci_usage(const void *arg)
{
    const struct box *box = arg;
    struct consumption usage = cgroup_usage(box->oci->cgroups, box->id);

    if (usage.memory_peak < box->peak.forgotten)
        usage.memory_peak = box->peak.forgotten;
    return usage;
}

void
runtime_oci_watch_peak(void *arg)
{
    struct box *box = arg;

    cgroup_peak_watch(box->oci->cgroups, box->id, &box->peak);
}

unsigned long long
runtime_oci_peak(void *arg)
{
    struct box *box = arg;

    return cgroup_peak_take(&box->peak);
}

void
runtime_oci_last_words(const void *arg, bool expected)
{
    const struct box *box = arg;

    ocibundle_log_output(&box->bundle, box->id, expected);
}

/* --- what earlier gateways left ------------------------------------------------------------- */

struct names {
    char **list; /* NULL-terminated */
    size_t n;
};

/* The id with which the name begins, unless it has been added already. */
static void
add_name(void *arg, const char *name)
{
    struct names *names = arg;
    cleanup_free char *id = xasprintf("%.*s", (int)id_length(name), name);

    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->list[i], id) == 0)
            return;
    }
    names->list = xrealloc(names->list, (names->n + 2) * sizeof(*names->list));
    names->list[names->n++] = mem_steal(&id);
    names->list[names->n] = NULL;
}

static void
add_entries(struct names *names, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (id_length(entry->d_name) > 0)
            add_name(names, entry->d_name);
    }
    closedir(dir);
}

char **
runtime_oci_list(void *arg)
{
    struct oci *oci = arg;
    struct names names = {xcalloc(1, sizeof(char *)), 0};

    add_entries(&names, oci->bundles);
    for (size_t i = 0; i < N_PROGRAMS; i++) {
        cleanup_free char *path = notes_dir(oci, programs[i]);

        add_entries(&names, path);
    }
    cgroup_each(oci->cgroups, add_name, &names);
    return names.list;
}

/*
 * crun lets an init execute the worker before it notes its pid.  Without a control group nobody else would know of it: a
 * start that is going on is let come to its end.
 */
static void
await_note(const struct oci *oci, const char *bundle)
{
    if (oci->rootless == NULL)
        return;
    for (int i = 0; i < PURGE_ATTEMPTS; i++) {
        if (!ociprogram_signal_helpers(oci->program, bundle, 0))
            return;
        nanosleep(&purge_rest, NULL);
    }
}

int
runtime_oci_purge(void *arg, const char *id, struct err *err)
{
    const char *const args[] = {"delete", "--force", id, NULL};
    struct oci *oci = arg;
    cleanup_free char *bundle = bundle_dir(oci, id);

    await_note(oci, bundle);
    ociprogram_signal_helpers(oci->program, bundle, SIGKILL);
    cgroup_kill(oci->cgroups, id);
    end_noted(oci, id);
    ociprogram_run_quietly(oci->program, args, DELETE_LIMIT_MS);
    for (int i = 0; i < PURGE_ATTEMPTS; i++) {
        if (clean_up(oci, id, bundle, true, err) == 0)
            return 0;
        nanosleep(&purge_rest, NULL);
    }
    return -1;
}

/* --- open and close ------------------------------------------------------------------------- */

void
runtime_oci_close(void *arg)
{
    struct oci *oci = arg;

    cgroup_close(oci->cgroups);
    json_decref(oci->seccomp);
    ociprogram_close(oci->program);
    free(oci->state_dir);
    free(oci->bundles);
    free(oci->rootfs);
    free(oci->worker_path);
    free(oci->kernel_path);
    free(oci->link_dir);
    free(oci->proxy_dir);
    free(oci);
}

static int
make_directory(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(err, "make %s", path);
    return 0;
}

/*
 * A container's root, an unprivileged user of the host, has to come to the root directory.  What is on the way to it an
 * ordinary user's containers see otherwise (rootless.h).
 */
static int
check_passable(const char *state_dir, bool way_too, struct err *err)
{
    char *path = xstrdup(state_dir);
    struct stat st;
    int rc = 0;

    for (char *slash; rc == 0 && (slash = strrchr(path, '/')) != NULL; *slash = '\0') {
        if (slash[1] == '\0')
            continue;
        if (stat(path, &st) < 0)
            rc = err_sys(err, "look at %s", path);
        else if (!(st.st_mode & S_IXOTH))
            rc = err_field(err, ERR_CONFIG, "state_dir",
                           "The state directory %s cannot be used: containers, whose users are "
                           "not root on this host, may not pass %s (mode %03o)",
                           state_dir, path, st.st_mode & 0777);
        if (!way_too)
            break;
    }
    free(path);
    return rc;
}

/* A container's limit of core files is one byte (ocispec.c): tries to get as much where the gateway may have none. */
static void
read_hard_limits(rlim_t limits[RLIM_NLIMITS])
{
    struct rlimit core = {0, 0};

    if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0) {
        core.rlim_max = 1;
        (void)setrlimit(RLIMIT_CORE, &core); /* where it fails, the limit below is 0 */
    }
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit limit;

        limits[i] = getrlimit(i, &limit) == 0 ? limit.rlim_max : RLIM_INFINITY;
    }
}

static int
prepare(struct oci *oci, const char *notes, struct err *err)
{
    if (oci->rootless != NULL)
        oci->cgroups = cgroup_none();
    else
        oci->cgroups = cgroup_open("/sys/fs/cgroup", oci->state_dir, err);
    if (oci->cgroups == NULL)
        return -1;
    if (make_directory(oci->state_dir, 0711, err) < 0 || make_directory(notes, 0700, err) < 0 ||
        make_directory(oci->bundles, 0700, err) < 0 ||
        check_passable(oci->state_dir, oci->rootless == NULL, err) < 0)
        return -1;
    return rootfs_make(oci->rootfs, err);
}

void *
runtime_oci_open(struct event_base *base, const struct runtime_host *host,
                 const struct runtime_oci_spec *spec, struct err *err)
{
    struct oci *oci = xcalloc(1, sizeof(*oci));

    oci->base = base;
    oci->state_dir = xstrdup(host->state_dir);
    oci->bundles = xasprintf("%s/containers", host->state_dir);
    oci->rootfs = xasprintf("%s/rootfs", host->state_dir);
    oci->worker_path = xstrdup(host->worker_path);
    oci->kernel_path = host->kernel_path ? xstrdup(host->kernel_path) : NULL;
    oci->link_dir = xstrdup(host->link_dir);
    oci->rootless = host->rootless;
    oci->proxy_dir = host->proxy_dir ? xstrdup(host->proxy_dir) : NULL;
    oci->own_kernel = spec->own_kernel;
    oci->seccomp = spec->own_kernel ? NULL : seccomp_profile();
    read_hard_limits(oci->hard_limits);
    cleanup_free char *notes = notes_dir(oci, spec->program.name);
    oci->program = ociprogram_open(&spec->program, notes, err);
    if (oci->program == NULL || prepare(oci, notes, err) < 0) {
        runtime_oci_close(oci);
        return NULL;
    }
    return oci;
}
