/*
 * runtime_runsc.c - containers by runsc (gVisor): each is a process of this host, the sandbox, which is a kernel for the
 * processes in it, and another, the gofer, which opens files for it.
 *
 * What this host calls init is the sandbox.  It ends when PID 1 in it does, and with the same status (128 and more for a
 * signal, as a shell has it).
 *
 * The link: it is the gofer that connects to the link's socket when the worker does, and the gofer runs in the container's
 * user namespace as its root, whose group is OCISPEC_LINK_GID here as it is with crun.  The sandbox, which runs sandboxed
 * code and would be the first to fall, is nobody on this host, sees none of its files and cannot open a socket.
 */
#include "runtime_oci.h"

#include <stdlib.h>

#include "smallfile.h"

enum { NOBODY = 65534 };

/* The gofer may be a child of ours as well, and its end must not wait for anybody's start: its removal does for it. */
static bool
may_be_init(pid_t pid)
{
    char uids[128]; /* the real one first */

    smallfile_status(pid, "Uid", uids, sizeof(uids));
    return strtoul(uids, NULL, 10) == NOBODY;
}

static void *
open_runsc(struct event_base *base, const struct runtime_host *host, struct err *err)
{
    if (host->rootless != NULL) {
        err_field(err, ERR_CONFIG, "runtime",
                  "TCI_RUNTIME=runsc needs root; a gateway of an ordinary user runs crun");
        return NULL;
    }
    cleanup_free char *platform = xasprintf("--platform=%s", host->runsc_platform);
    const char *const options[] = {
        "--network=none",
        "--host-uds=open", /* connecting to the host's sockets that are mounted: the link's */
        "--overlay2=none", /* the root directory is read-only, and nothing is to be kept beside it */
        host->runsc_platform[0] != '\0' ? platform : NULL,
        NULL,
    };
    const struct runtime_oci_spec spec = {
        .program = {.name = "runsc", .options = options},
        .own_kernel = true,
    };

    return runtime_oci_open(base, host, &spec, err);
}

const struct runtime_driver runtime_runsc = {
    .name = "runsc",
    .min_open_files = 1025, /* with 1024 the sandbox ends while it starts, and does not say why */
    .open = open_runsc,
    .may_be_init = may_be_init,
    RUNTIME_OCI_VERBS,
};
