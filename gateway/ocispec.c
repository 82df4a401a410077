/* ocispec.c - see ocispec.h. */
#include "ocispec.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "cgroup.h"
#include "mem.h"
#include "rootless.h"
#include "runtime.h"
#include "worker/protocol.h"

enum {
    SANDBOX_ID = 1000,
    NOBODY_ID = 65534,
    TTY_GID = 5,
    MIB = 1 << 20,
    /*
     * Of one byte there is no core file, as of none; but Linux takes it as the sign that nothing is to be done about a
     * crash at all, also if the host's core_pattern is a pipe to a program.
     */
    CORE_BYTES = 1,
    INODES_PER_MIB = 256, /* small files fill a file system's inodes together with its bytes */
    MAX_SHM_MB = 64,
    TCP_MB = 16, /* in the queues of TCP sockets, where the memory limit does not count them */
};

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

/*
 * What the worker, root in its user namespace, needs: to become the sandbox user, to give it its files, to kill its
 * processes, and to empty the bounding set (SETPCAP) before it starts the kernel, which gets none.
 */
static const char *const capabilities[] = {"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_KILL",
                                           "CAP_SETGID", "CAP_SETPCAP",      "CAP_SETUID"};

/* With a kernel of its own, the worker limits its processes itself: it mounts that kernel's pids cgroup. */
static const char *const own_kernel_capability = "CAP_SYS_ADMIN";

static const char *const namespaces[] = {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"};

/*
 * What /proc tells of the host or lets one do to it, where the file's mode does not already keep all but the host's root
 * out (kpage*, slabinfo, vmallocinfo).
 */
static const char *const masked[] = {
    "/proc/acpi",          "/proc/asound",     "/proc/interrupts",  "/proc/kallsyms",
    "/proc/kcore",         "/proc/key-users",  "/proc/keys",        "/proc/kmsg",
    "/proc/latency_stats", "/proc/modules",    "/proc/sched_debug", "/proc/scsi",
    "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
};

static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};

static json_t *
strings(const char *const *list, size_t n)
{
    json_t *array = xnotnull(json_array());

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

/* --- process -------------------------------------------------------------------------------- */

static json_t *
capability_sets(const struct ocispec_host *host)
{
    json_t *list = strings(capabilities, N_ELEMENTS(capabilities));

    if (host->own_kernel)
        json_array_append_new(list, json_string(own_kernel_capability));
    /* No ambient and no inheritable set: what the worker executes as another user has nothing. */
    json_t *sets = xnotnull(
        json_pack("{s:O,s:O,s:O}", "bounding", list, "effective", list, "permitted", list));

    json_decref(list);
    return sets;
}

/* Soft and hard; no more than can be had, so that a low limit of the gateway's stops no container. */
static void
add_resource_limit(json_t *list, const struct ocispec_host *host, const char *type, int resource,
                   json_int_t limit)
{
    if (host->hard_limits != NULL && host->hard_limits[resource] < (rlim_t)limit)
        limit = (json_int_t)host->hard_limits[resource];
    json_array_append_new(list,
                          json_pack("{s:s,s:I,s:I}", "type", type, "soft", limit, "hard", limit));
}

/*
 * RLIMIT_DATA counts private memory that can be written, used or not, and not what is only reserved, as RLIMIT_AS does.
 *
 * Locked memory, message queues and pending signals the worker limits (worker/spawn.c): what is set here, before there is
 * a user namespace, Linux takes for the limit of all namespaces of its owner together.
 */
static json_t *
resource_limits(const struct ocispec_host *host, const struct container_spec *spec)
{
    json_t *list = xnotnull(json_array());

    add_resource_limit(list, host, "RLIMIT_CORE", RLIMIT_CORE, CORE_BYTES);
    add_resource_limit(list, host, "RLIMIT_NOFILE", RLIMIT_NOFILE, OCISPEC_OPEN_FILES);
    if (host->rootless)
        add_resource_limit(list, host, "RLIMIT_DATA", RLIMIT_DATA,
                           (json_int_t)spec->memory_mb * MIB);
    return list;
}

/* The worker's; the kernel gets one of its own. */
static json_t *
environment(const struct ocispec_host *host, const struct container_spec *spec)
{
    static const char *const list[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root",
                                       "LANG=C.UTF-8"};
    json_t *env = strings(list, N_ELEMENTS(list));

    if (host->own_kernel)
        json_array_append_new(env, json_sprintf(TCI_ENV_PIDS "=%u", spec->pids));
    if (host->rootless)
        json_array_append_new(env, json_sprintf(TCI_ENV_USER_PIDS "=%u", spec->pids));
    return env;
}

static json_t *
process(const struct ocispec_host *host, const struct container_spec *spec)
{
    return xnotnull(json_pack("{s:{s:i,s:i},s:[s],s:o,s:s,s:o,s:o,s:b,s:i}", /**/
                              "user", "uid", 0, "gid", 0,                    /**/
                              "args", TCI_PATH_WORKER,                       /**/
                              "env", environment(host, spec),                /**/
                              "cwd", "/",                                    /**/
                              "capabilities", capability_sets(host),         /**/
                              "rlimits", resource_limits(host, spec),        /**/
                              "noNewPrivileges", 1,                          /**/
                              "oomScoreAdj", 0));
}

/* --- mounts --------------------------------------------------------------------------------- */

/* options: separated by commas, as mount(8) has them. */
static void
add_mount(json_t *list, const char *type, const char *source, const char *target,
          const char *options)
{
    json_t *array = xnotnull(json_array());

    while (*options != '\0') {
        size_t n = strcspn(options, ",");

        json_array_append_new(array, json_stringn(options, n));
        options += n;
        options += *options == ',';
    }
    json_array_append_new(list,
                          xnotnull(json_pack("{s:s,s:s,s:s,s:o}", "destination", target, "type",
                                             type, "source", source, "options", array)));
}

static void
add_bind(json_t *list, const char *source, const char *target)
{
    add_mount(list, "bind", source, target, "bind,ro,nosuid,nodev,private");
}

/* Its pages count as the container's memory. */
static void
add_tmpfs(json_t *list, const char *target, unsigned size_mb, unsigned mode, unsigned owner)
{
    cleanup_free char *options =
        xasprintf("nosuid,nodev,mode=%o,uid=%u,gid=%u,size=%um,nr_inodes=%u", mode, owner, owner,
                  size_mb, 1024 + size_mb * INODES_PER_MIB);

    add_mount(list, "tmpfs", "tmpfs", target, options);
}

static unsigned
quarter(unsigned size_mb)
{
    return size_mb / 4 < 16 ? 16 : size_mb / 4;
}

/* No /sys: what asks there for processors and memory falls back on system calls. */
static void
add_system(json_t *list, const struct container_spec *spec)
{
    unsigned shm_mb = spec->memory_mb / 4 < MAX_SHM_MB ? spec->memory_mb / 4 : MAX_SHM_MB;

    add_mount(list, "proc", "proc", "/proc", "nosuid,noexec,nodev");
    add_mount(list, "tmpfs", "tmpfs", "/dev",
              "nosuid,noexec,strictatime,mode=755,size=64k,nr_inodes=64");
    add_mount(list, "devpts", "devpts", "/dev/pts",
              "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5,max=64");
    add_tmpfs(list, "/dev/shm", shm_mb > 0 ? shm_mb : 1, 01777, 0);
}

static json_t *
mounts(const struct ocispec_host *host, const struct container_spec *spec)
{
    json_t *list = xnotnull(json_array());

    add_system(list, spec);
    add_bind(list, "/usr", "/usr");
    add_bind(list, spec->skel_dir, TCI_PATH_SKEL);
    add_bind(list, spec->kernelspec_dir, TCI_PATH_KERNELSPEC);
    add_bind(list, host->worker_path, TCI_PATH_WORKER);
    if (host->kernel_path)
        add_bind(list, host->kernel_path, TCI_PATH_KERNEL);
    add_tmpfs(list, TCI_PATH_WORKSPACE, spec->disk_mb, 0755, SANDBOX_ID);
    add_tmpfs(list, TCI_PATH_HOME, quarter(spec->disk_mb), 0755, SANDBOX_ID);
    add_tmpfs(list, "/tmp", quarter(spec->disk_mb), 01777, 0);
    if (spec->packages)
        add_tmpfs(list, TCI_PATH_PACKAGES, spec->disk_mb, 0755, SANDBOX_ID);
    if (spec->package_dir)
        add_bind(list, spec->package_dir, TCI_PATH_PACKAGE_DIR);
    add_tmpfs(list, TCI_PATH_KERNEL_DIR, 1, 0700, SANDBOX_ID);
    /* Sandboxed code cannot pass this directory, so it cannot reach the link in it. */
    add_mount(list, "tmpfs", "tmpfs", "/run/tci",
              "nosuid,nodev,noexec,mode=700,size=4k,nr_inodes=8");
    add_bind(list, host->link_dir, TCI_PATH_LINK_DIR);
    if (host->proxy_dir)
        add_bind(list, host->proxy_dir, TCI_PATH_PROXY_DIR);
    return list;
}

/* --- limits --------------------------------------------------------------------------------- */

static json_t *
memory(const struct ocispec_host *host, const struct container_spec *spec)
{
    json_int_t bytes = (json_int_t)spec->memory_mb * MIB;
    json_t *limit = xnotnull(json_pack("{s:I}", "limit", bytes));

    if (host->limits_swap) /* memory and swap together: no swap */
        json_object_set_new(limit, "swap", json_integer(bytes));
    if (host->limits_tcp)
        json_object_set_new(limit, "kernelTCP", json_integer(TCP_MB * MIB));
    return limit;
}

static json_int_t
pids_limit(const struct ocispec_host *host, const struct container_spec *spec)
{
    json_int_t pids = spec->pids;

    return host->own_kernel ? OCISPEC_KERNEL_PIDS + pids * OCISPEC_KERNEL_PIDS_EACH : pids;
}

/* NULL where nothing can be limited so. */
static json_t *
resources(const struct ocispec_host *host, const struct container_spec *spec)
{
    if (host->rootless)
        return NULL;
    return xnotnull(json_pack("{s:o,s:{s:I,s:i,s:i},s:{s:I},s:[{s:b,s:s}]}", /**/
                              "memory", memory(host, spec),                  /**/
                              "cpu", "quota", (json_int_t)cgroup_cpu_quota(spec->cpu), "period",
                              CGROUP_CPU_PERIOD_US,                    /**/
                              "shares", CGROUP_SHARES_LOW,             /**/
                              "pids", "limit", pids_limit(host, spec), /**/
                              "devices", "allow", 0, "access", "rwm"));
}

/* Of something that a file says: anything may be missing. */
struct allowance
ocispec_allowance(const json_t *config)
{
    json_int_t quota = 0, period = 0, bytes = 0;
    struct allowance own = {0, 0};

    if (json_unpack((json_t *)config, "{s:{s:{s:{s:I,s:I},s:{s:I}}}}", "linux", "resources", "cpu",
                    "quota", &quota, "period", &period, "memory", "limit", &bytes) == 0 &&
        quota > 0 && period > 0 && bytes >= MIB && bytes / MIB <= UINT_MAX) {
        own.cpu = (double)quota / (double)period;
        own.memory_mb = (unsigned)(bytes / MIB);
    }
    return own;
}

/* --- all of it ------------------------------------------------------------------------------ */

static json_t *
namespace_list(void)
{
    json_t *list = xnotnull(json_array());

    for (size_t i = 0; i < N_ELEMENTS(namespaces); i++)
        json_array_append_new(list, json_pack("{s:s}", "type", namespaces[i]));
    return list;
}

static json_int_t
first_id(unsigned slot)
{
    return OCISPEC_FIRST_ID + (json_int_t)slot * OCISPEC_IDS;
}

struct id_pair {
    unsigned inside, outside;
};

static json_t *
id_list(const struct id_pair *pairs, size_t n)
{
    json_t *list = xnotnull(json_array());

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:i,s:i,s:i}", "containerID", pairs[i].inside,
                                              "hostID", pairs[i].outside, "size", 1));
    return list;
}

/* Subordinate ids may be few: only those that a container uses. */
static json_t *
rootless_uid_map(unsigned slot)
{
    const unsigned first = ROOTLESS_FIRST_ID + slot * ROOTLESS_IDS;
    const struct id_pair pairs[ROOTLESS_IDS] = {
        {0, first}, {SANDBOX_ID, first + 1}, {NOBODY_ID, first + 2}};

    return id_list(pairs, N_ELEMENTS(pairs));
}

/* The place of root's group, which is that of all, is the terminals'. */
static json_t *
rootless_gid_map(unsigned slot)
{
    const unsigned first = ROOTLESS_FIRST_ID + slot * ROOTLESS_IDS;
    const struct id_pair pairs[ROOTLESS_IDS + 1] = {
        {0, ROOTLESS_LINK_GID}, {TTY_GID, first}, {SANDBOX_ID, first + 1}, {NOBODY_ID, first + 2}};

    return id_list(pairs, N_ELEMENTS(pairs));
}

static json_t *
uid_map(const struct ocispec_host *host, unsigned slot)
{
    if (host->rootless)
        return rootless_uid_map(slot);
    return xnotnull(json_pack("[{s:i,s:I,s:i}]", "containerID", 0, "hostID", first_id(slot), "size",
                              OCISPEC_IDS));
}

/* Root's group is one for all, by which the link knows the workers; everything else is the container's own. */
static json_t *
gid_map(const struct ocispec_host *host, unsigned slot)
{
    if (host->rootless)
        return rootless_gid_map(slot);
    return xnotnull(json_pack("[{s:i,s:i,s:i},{s:i,s:I,s:i}]",                         /**/
                              "containerID", 0, "hostID", OCISPEC_LINK_GID, "size", 1, /**/
                              "containerID", 1, "hostID", first_id(slot) + 1, "size",  /**/
                              OCISPEC_IDS - 1));
}

static json_t *
linux_part(const struct ocispec_host *host, const struct container_spec *spec,
           const char *cgroup_path)
{
    return xnotnull(json_pack("{s:o,s:o,s:o,s:s*,s:o*,s:O*,s:o,s:o,s:s}",               /**/
                              "namespaces", namespace_list(),                           /**/
                              "uidMappings", uid_map(host, spec->slot),                 /**/
                              "gidMappings", gid_map(host, spec->slot),                 /**/
                              "cgroupsPath", cgroup_path,                               /**/
                              "resources", resources(host, spec),                       /**/
                              "seccomp", host->seccomp,                                 /**/
                              "maskedPaths", strings(masked, N_ELEMENTS(masked)),       /**/
                              "readonlyPaths", strings(readonly, N_ELEMENTS(readonly)), /**/
                              "rootfsPropagation", "private"));
}

/*
 * gVisor asks for every name in a mount from outside whether it is still the same.  Not so here, which saves a quarter of
 * a kernel's start: what is upgraded in the host's /usr may be seen by the next container only.
 */
static json_t *
annotations(const struct ocispec_host *host)
{
#define USR "dev.gvisor.spec.mount.usr."
    if (!host->own_kernel)
        return NULL;
    return xnotnull(json_pack("{s:s,s:s,s:s}", USR "source", "/usr", USR "type", "bind",
                              USR "share", "container"));
#undef USR
}

json_t *
ocispec_new(const struct ocispec_host *host, const struct container_spec *spec,
            const char *cgroup_path)
{
    return xnotnull(json_pack("{s:s,s:{s:s,s:b},s:s,s:o,s:o,s:o,s:o*}",    /**/
                              "ociVersion", "1.0.2",                       /**/
                              "root", "path", host->rootfs, "readonly", 1, /**/
                              "hostname", "sandbox",                       /**/
                              "process", process(host, spec),              /**/
                              "mounts", mounts(host, spec),                /**/
                              "linux", linux_part(host, spec, cgroup_path), "annotations",
                              annotations(host)));
}
