/*
 * runtime.h - containers: start, watch, kill, remove, and find again after a restart.
 *
 * A container's life as its owner sees it:
 *
 *   container_start ──▶ on_started ──▶ on_exited ──▶ on_removed      (died by itself: the owner
 *          │                 │              ▲                         calls container_destroy
 *          │                 └──destroy─────┘                         after on_exited)
 *          └──▶ on_start_failed ──(destroy)──▶ on_removed
 *
 * container_destroy may be called in any state, any number of times; on_removed then comes exactly once,
 * when process, cgroup, mounts and directories are gone, and is the last callback: the container is freed after it.
 * Called before on_started, neither that nor on_start_failed comes any more; called after it, on_exited still does.
 * No callback comes before the call that caused it has returned.
 *
 * Drivers (crun, runsc) stand behind struct runtime_driver.
 */
#ifndef GATEWAY_RUNTIME_H
#define GATEWAY_RUNTIME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "allowance.h"
#include "err.h"
#include "mem.h"

struct config;
struct event_base;
struct kernelspec;
struct runtime;
struct container;

/* What all containers have of the host's; borrowed for the call. */
struct runtime_paths {
    const char *worker;         /* the tci-worker program */
    const char *link_dir;       /* holds the link's socket */
    const char *proxy_dir;      /* the proxy's; NULL: there is none */
    const char *kernelspec_dir; /* that container_spec will name; NULL: none will be started */
    const char *kernel;         /* the tci-kernel program; NULL: there is none */
};

/* Everything that says what a container is; borrowed for the call. */
struct container_spec {
    const char *id;   /* [a-z0-9]{1,32}, unique in the state directory */
    unsigned slot;    /* index of its host uid range, unique among live containers */
    const char *boot; /* the boot record (worker/protocol.h) for the worker's stdin */
    size_t boot_len;  /* at most 4096 */
    double cpu;       /* cores */
    unsigned memory_mb;
    unsigned disk_mb; /* size of /workspace; /tmp and the home are a quarter each, at least 16 */
    unsigned pids;
    const char *kernelspec_dir; /* host directory mounted read-only on TCI_PATH_KERNELSPEC */
    const char *skel_dir;       /* host directory mounted read-only on TCI_PATH_SKEL */
    bool packages;              /* there is a TCI_PATH_PACKAGES, as large as /workspace */
    const char
        *package_dir; /* host directory mounted read-only on TCI_PATH_PACKAGE_DIR; NULL: none */
};

/* How a container's init ended, as far as can be known. */
struct container_exit {
    bool known; /* code and signal are meaningful: init was our child */
    int code;   /* exit code, when signal is 0 */
    int signal;
    bool oom; /* the kernel killed a process of this container for memory */
};

/* Calls to the owner.  Any of them may call container_destroy. */
struct container_ops {
    void (*on_started)(void *owner, pid_t init); /* host pid of init */
    void (*on_start_failed)(void *owner, const struct err *);
    void (*on_exited)(void *owner, const struct container_exit *);
    void (*on_removed)(void *owner);
};

/*
 * Sets up the driver named by config->runtime: checks that its program is there and that the host can
 * do it, makes the synthesised root directory under config->state_dir, enters a mount namespace of its own where a
 * hybrid cgroup host needs it.  Blocks; for start-up.  The strings are copied, config is borrowed and must outlive it.
 *
 * As an ordinary user it needs subordinate ids (rootless.h), and says in the log which limits cannot be enforced.  A
 * hard limit of open files with which no container would start is an error, a low one is said in the log.
 */
struct runtime *runtime_new(struct event_base *, const struct config *,
                            const struct runtime_paths *, struct err *) must_check;
void runtime_free(struct runtime *); /* accepts NULL; leaves containers alone */

/* The primary group of the containers' roots, as the host sees it. */
gid_t runtime_link_gid(const struct runtime *);

/*
 * What each limit holds for, a new object of strings: "container", "process" (each process by itself), "user" (each user
 * in a container), or "nothing".
 */
json_t *runtime_limits(const struct runtime *);

/* Whether container_limit can do anything here. */
bool runtime_limits_executions(const struct runtime *);

struct container *container_start(struct runtime *, const struct container_spec *,
                                  const struct container_ops *, void *owner,
                                  struct err *) must_check;

/*
 * Takes over a container that an earlier gateway left, as if started: on_started has happened, its init
 * is watched.  Fails when its init is not the process `init` that started at `start_ticks` any more.
 */
struct container *container_adopt(struct runtime *, const char *id, pid_t init,
                                  unsigned long long start_ticks, const struct container_ops *,
                                  void *owner, struct err *) must_check;

void container_destroy(struct container *); /* accepts NULL */

/*
 * A container starts in the background: it gets what others leave of the processors, so that filling the pool does not
 * slow down those who wait for an answer.  From this call on it is one of those.
 */
void container_prefer(struct container *);

/* It is in the background again. */
void container_defer(struct container *);

/* err: as container_limit has it, or NULL: the limits hold. */
typedef void container_limited_fn(void *owner, const struct err *err);

/*
 * Has a running container do with less than it was started with, until container_unlimit.  1: so it is.  0: limited will be
 * called, once and within seconds, unless container_unlimit or the container's removal comes first: memory is being freed.
 * -1, or limited with an error: nothing has changed.  ERR_CONFLICT with field memory_mb: it uses more memory than that (file
 * cache that can be freed is not counted).  ERR_NO_WORKER: the limits cannot be changed, or not now.
 */
int container_limit(struct container *, const struct allowance *, container_limited_fn *limited,
                    void *owner, struct err *) must_check;

/*
 * What it was started with is its own again.  Any number of times; also of an adopted one, where nobody knows what an earlier
 * gateway did to it.
 */
void container_unlimit(struct container *);

/*
 * It has no more than that from now on: as if it had been made so.  in_force: it has not, because an earlier gateway has seen
 * to it.  -1: nothing has changed; ERR_CONFLICT: it uses more memory, or nearly.
 */
int container_restrict(struct container *, const struct allowance *, bool in_force,
                       struct err *) must_check;

struct consumption container_usage(const struct container *);

/*
 * The most memory that it has used since container_watch_peak, in bytes; 0: cannot be told.  container_peak ends that, and is
 * called once.
 */
void container_watch_peak(struct container *);
unsigned long long container_peak(struct container *);

/* Its memory limit now, in MiB; 0 = not known.  *lowered: by container_limit. */
unsigned container_memory_mb(const struct container *, bool *lowered);

/* Whether the kernel has killed a process of it for memory since it started.  Reads one cgroup file. */
bool container_was_oom(const struct container *);

/* Field 22 of /proc/pid/stat: tells a process from a later one with the same pid.  0 if there is none. */
unsigned long long runtime_start_ticks(pid_t);

/*
 * The ids of all containers and container directories of this state directory, NULL-terminated; free each and the array.
 * Blocks; for start-up.
 */
char **runtime_list(struct runtime *);

/* Removes a container that nobody owns, whatever is left of it.  Blocks; for start-up and --remove-containers. */
int runtime_remove(struct runtime *, const char *id, struct err *) must_check;

#endif
