/*
 * runtime_oci.h - what drivers share that run an OCI runtime program: one process of it for each start and each removal,
 * and the same directories and control groups, so that each can remove what another has left.
 *
 *   STATE/rootfs              root directory of all containers (rootfs.c)
 *   STATE/containers/ID       a container's bundle (ocibundle.c)
 *   STATE/PROGRAM/ID...       the program's own notes of it: files or directories whose names begin so
 *   cgroups                   cgroup.c
 */
#ifndef GATEWAY_RUNTIME_OCI_H
#define GATEWAY_RUNTIME_OCI_H

#include "ociprogram.h"
#include "runtime_driver.h"

/* How one differs from the others; borrowed for the call of open. */
struct runtime_oci_spec {
    struct ociprogram_spec program;
    bool own_kernel; /* as ocispec_host has it */
};

/* For a driver's open.  Blocks; for start-up. */
void *runtime_oci_open(struct event_base *, const struct runtime_host *,
                       const struct runtime_oci_spec *, struct err *) must_check;

/* The other verbs of struct runtime_driver. */
void runtime_oci_close(void *driver);
void *runtime_oci_create(void *driver, const struct container_spec *, struct err *);
void *runtime_oci_adopt(void *driver, const char *id);
void runtime_oci_forget(void *box);
int runtime_oci_start(void *box, runtime_started_fn *, void *owner, struct err *);
int runtime_oci_remove(void *box, runtime_removed_fn *, void *owner, struct err *);
bool runtime_oci_was_oom(const void *box);
void runtime_oci_set_background(const void *box, bool background);
int runtime_oci_limit(void *box, const struct allowance *, runtime_limited_fn *, void *owner,
                      struct err *);
void runtime_oci_unlimit(void *box);
unsigned runtime_oci_memory_mb(const void *box, bool *lowered);
int runtime_oci_restrict(void *box, const struct allowance *, bool in_force, struct err *);
struct consumption runtime_oci_usage(const void *box);
void runtime_oci_watch_peak(void *box);
unsigned long long runtime_oci_peak(void *box);
void runtime_oci_last_words(const void *box, bool expected);
char **runtime_oci_list(void *driver);
int runtime_oci_purge(void *driver, const char *id, struct err *);

/* All of them, for a driver's initializer. */
#define RUNTIME_OCI_VERBS                                                                          \
    .close = runtime_oci_close, .create = runtime_oci_create, .adopt = runtime_oci_adopt,          \
    .forget = runtime_oci_forget, .start = runtime_oci_start, .remove = runtime_oci_remove,        \
    .was_oom = runtime_oci_was_oom, .set_background = runtime_oci_set_background,                  \
    .limit = runtime_oci_limit, .unlimit = runtime_oci_unlimit,                                    \
    .memory_mb = runtime_oci_memory_mb, .restrict_to = runtime_oci_restrict,                       \
    .usage = runtime_oci_usage, .watch_peak = runtime_oci_watch_peak, .peak = runtime_oci_peak,    \
    .last_words = runtime_oci_last_words, .list = runtime_oci_list, .purge = runtime_oci_purge

#endif
