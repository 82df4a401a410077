/* runtime.c - the runtime as a whole: what it stands on, set up and taken down; see runtime.h. */
#include "runtime.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <event2/event.h>
#include <utlist.h>

#include "config.h"
#include "log.h"
#include "ocispec.h"
#include "rootless.h"
#include "runtime_driver.h"
#include "runtime_limits.h"
#include "runtime_phases.h"
#include "runtime_state.h"
#include "smallfile.h"

static const struct runtime_driver *const drivers[] = {&runtime_crun, &runtime_runsc, NULL};

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
    rt->turn = xnotnull(event_new(base, -1, 0, runtime_on_turn, rt));
    rt->child_event = xnotnull(evsignal_new(base, SIGCHLD, runtime_on_child, rt));
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
    if (!container_is_id(id))
        return err_set(err, ERR_SYSTEM, "There is no container of that name");
    return rt->driver->purge(rt->state, id, err);
}
