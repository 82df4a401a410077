/*
 * ocispec.h - what a container is, in the words of the OCI runtime specification: namespaces, mounts, limits,
 * capabilities, system calls.  This module is the sandbox's policy; pure.
 */
#ifndef GATEWAY_OCISPEC_H
#define GATEWAY_OCISPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "allowance.h"

struct container_spec;

enum {
    OCISPEC_FIRST_ID = 0x40000000,           /* host uid and gid of slot 0's root */
    OCISPEC_IDS = 65536,                     /* of a slot */
    OCISPEC_LINK_GID = OCISPEC_FIRST_ID - 1, /* host gid of every container's group 0 */
    OCISPEC_PROXY_ID = OCISPEC_FIRST_ID - 2, /* host uid and gid of tci-proxy */
    OCISPEC_MAX_SLOTS = 0x4000,              /* so that ids stay below 2^31 */
    /*
     * With a kernel of the container's own: what that may have of this host's threads.  gVisor's ptrace platform has one
     * for each of its own in each process of the container, and ends when it gets no more.
     */
    OCISPEC_KERNEL_PIDS = 256,
    OCISPEC_KERNEL_PIDS_EACH = 32, /* ... and for each of container_spec's pids */
    OCISPEC_OPEN_FILES = 4096,     /* of each process */
};

/* What is the same for all containers; borrowed. */
struct ocispec_host {
    const char *rootfs;      /* directory of rootfs.h */
    const char *worker_path; /* tci-worker on the host */
    const char *kernel_path; /* tci-kernel on the host; NULL: there is none */
    const char *link_dir;    /* holds the link's socket */
    const char *proxy_dir;   /* holds the proxy's; NULL: there is none */
    json_t *seccomp;         /* seccomp_profile(), or NULL: none */
    bool limits_swap;        /* cgroup_limits_swap() */
    bool limits_tcp;         /* cgroup_limits_tcp() */
    /*
     * The container's processes run under a kernel of their own, a program on this host (gVisor).  The limits are then
     * that program's: memory and processor time include its own, but its processes are not the container's, and
     * container_spec's pids is left to the worker (TCI_ENV_PIDS).
     */
    bool own_kernel;
    /*
     * An ordinary user's: the ids are those of rootless.h, and there are no control groups.  Memory is then limited for
     * each process, and processes and threads for each user in the container (TCI_ENV_USER_PIDS), by resource limits.
     */
    bool rootless;
    /*
     * RLIM_NLIMITS hard limits, by their RLIMIT_*: what the runtime program has itself, and cannot exceed in a user
     * namespace.  NULL: none.
     */
    const rlim_t *hard_limits;
};

/* A new config.json for one container.  cgroup_path is NULL where there are no control groups. */
json_t *ocispec_new(const struct ocispec_host *, const struct container_spec *,
                    const char *cgroup_path);

/* What a config.json gives its container; zeros where it does not limit by control groups, or is not one. */
struct allowance ocispec_allowance(const json_t *config);

#endif
