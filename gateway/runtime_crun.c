/* runtime_crun.c - containers by crun: processes of this host's kernel in namespaces of their own. */
#include "runtime_oci.h"

static void *
open_crun(struct event_base *base, const struct runtime_host *host, struct err *err)
{
    static const char *const options[] = {"--cgroup-manager=cgroupfs", NULL};
    static const struct ociprogram_spec program = {
        .name = "crun",
        .options = options,
        .seal = true,
    };

    return runtime_oci_open(base, host, &program, err);
}

const struct runtime_driver runtime_crun = {
    .name = "crun",
    .open = open_crun,
    RUNTIME_OCI_VERBS,
};
