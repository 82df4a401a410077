/* runtime_crun.c - containers by crun: processes of this host's kernel in namespaces of their own. */
#include "runtime_oci.h"

#include <stdlib.h>
#include <string.h>

#include "rootless.h"
#include "smallfile.h"

/* Whether it is the first process of a pid namespace other than ours.  Ended ones still tell. */
static bool
may_be_init(pid_t pid)
{
    char pids[256]; /* in each namespace, ours first */
    const char *inside;

    smallfile_status(pid, "NSpid", pids, sizeof(pids));
    inside = strchr(pids, '\t');
    return inside != NULL && strtol(inside, NULL, 10) == 1;
}

static void *
open_crun(struct event_base *base, const struct runtime_host *host, struct err *err)
{
    static const char *const options[] = {"--cgroup-manager=cgroupfs", NULL};
    static const char *const rootless_options[] = {"--cgroup-manager=disabled", NULL};
    const bool rootless = host->rootless != NULL;
    const struct runtime_oci_spec spec = {
        .program = {.name = "crun",
                    .options = rootless ? rootless_options : options,
                    .enter = rootless ? rootless_enter(host->rootless) : NULL,
                    .seal = true},
    };

    return runtime_oci_open(base, host, &spec, err);
}

const struct runtime_driver runtime_crun = {
    .name = "crun",
    .min_open_files = 256, /* with that, a Python kernel plots */
    .open = open_crun,
    .may_be_init = may_be_init,
    RUNTIME_OCI_VERBS,
};
