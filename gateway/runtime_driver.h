/*
 * runtime_driver.h - what stands behind runtime.h: one way of making containers.  The driver knows how; when, how many
 * at once, and what the owner is told is runtime_phases.c's.
 */
#ifndef GATEWAY_RUNTIME_DRIVER_H
#define GATEWAY_RUNTIME_DRIVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

struct allowance;
struct container_spec;
struct event_base;
struct rootless;

/* Borrowed for the call of open. */
struct runtime_host {
    const char *state_dir;
    const char *worker_path;
    const char *link_dir;
    const char *proxy_dir; /* NULL: none */
    const char *runsc_platform;
    const struct rootless *rootless; /* NULL: root's; outlives the driver */
    const char *kernel_path;         /* NULL: none */
};

/* Exactly once after a start or remove that returned 0, never before it has returned; err is NULL if it went well. */
typedef void runtime_started_fn(void *owner, pid_t init, const struct err *err);
typedef void runtime_removed_fn(void *owner, const struct err *err);
typedef void runtime_limited_fn(void *owner, const struct err *err);

struct runtime_driver {
    const char *name;        /* value of the setting */
    unsigned min_open_files; /* hard limit of this process with which a container starts */

    void *(*open)(struct event_base *, const struct runtime_host *, struct err *); /* blocks */
    void (*close)(void *driver);

    /* A box is the driver's part of one container.  create makes what the start needs, but no process. */
    void *(*create)(void *driver, const struct container_spec *, struct err *);
    void *(*adopt)(void *driver, const char *id);
    void (*forget)(void *box); /* frees it, cancels what is going on, leaves the container alone */

    int (*start)(void *box, runtime_started_fn *, void *owner, struct err *);
    /* One attempt to remove everything, whatever is left of it, processes included. */
    int (*remove)(void *box, runtime_removed_fn *, void *owner, struct err *);

    /*
     * Whether this process, a child of ours that maybe has ended, can be the init of a container that is being started
     * and whose start has not been reported yet.
     */
    bool (*may_be_init)(pid_t);

    bool (*was_oom)(const void *box);
    void (*set_background)(const void *box,
                           bool); /* cgroup_set_background; of a running container */

    /* curb_set, curb_lift, curb_memory_mb, curb_restrict; of a running container, where container limits can be changed at all */
    int (*limit)(void *box, const struct allowance *, runtime_limited_fn *, void *owner,
                 struct err *);
    void (*unlimit)(void *box);
    unsigned (*memory_mb)(const void *box, bool *lowered);
    int (*restrict_to)(void *box, const struct allowance *, bool in_force, struct err *);
    struct consumption (*usage)(const void *box); /* cgroup_usage */
    void (*watch_peak)(void *box);                /* cgroup_peak_watch */
    unsigned long long (*peak)(void *box);        /* cgroup_peak_take */

    /* To the log: what the worker wrote to its stderr, once it has ended. */
    void (*last_words)(const void *box, bool expected);

    char **(*list)(void *driver);                             /* as runtime_list */
    int (*purge)(void *driver, const char *id, struct err *); /* as runtime_remove */
};

extern const struct runtime_driver runtime_crun, runtime_runsc;

#endif
