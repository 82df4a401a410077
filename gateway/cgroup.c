/* cgroup.c - see cgroup.h. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "cgroup_host.h"
#include "log.h"
#include "smallfile.h"

enum {
    MIN_CPU_QUOTA_US = 1000, /* the kernel's */
};

#define MIB ((uint64_t)1 << 20)

static const char *const needed[] = {"cpu", "memory", "pids"};

/* --- files ---------------------------------------------------------------------------------- */

/* Whether word is in a list separated by blanks, commas or newlines. */
static bool
has_word(const char *list, const char *word)
{
    static const char between[] = " ,\n";
    size_t len = strlen(word);

    while (*list != '\0') {
        size_t n = strcspn(list, between);

        if (n == len && memcmp(list, word, n) == 0)
            return true;
        list += n;
        list += strspn(list, between);
    }
    return false;
}

static bool
is_cgroup2(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool
is_cgroup1(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && fs.f_type == CGROUP_SUPER_MAGIC;
}

char *
cgroup_dir(const struct cgroup_host *host, const char *hierarchy, const char *id)
{
    return xasprintf("%s/%s/%s", hierarchy, host->parent, id);
}

/* --- the host ------------------------------------------------------------------------------- */

static uint32_t
fnv1a(const char *s)
{
    uint32_t hash = 2166136261u;

    for (; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * 16777619u;
    return hash;
}

/* Version 1: each directory under root that is a cgroup mount and no link to another. */
static int
find_hierarchies(struct cgroup_host *host, struct err *err)
{
    DIR *dir = opendir(host->root);
    struct dirent *entry;

    if (dir == NULL)
        return err_sys(err, "open %s", host->root);
    while ((entry = readdir(dir)) != NULL && host->n_hierarchies < CGROUP_MAX_HIERARCHIES) {
        char *path = xasprintf("%s/%s", host->root, entry->d_name);
        struct stat st;

        if (entry->d_name[0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
            is_cgroup1(path))
            host->hierarchies[host->n_hierarchies++] = mem_steal(&path);
        free(path);
    }
    closedir(dir);
    return 0;
}

/* The mount point's name is its controllers: "memory", "cpu,cpuacct". */
char *
cgroup_controller(const struct cgroup_host *host, const char *controller)
{
    for (size_t i = 0; i < host->n_hierarchies; i++) {
        const char *name = strrchr(host->hierarchies[i], '/') + 1;

        if (has_word(name, controller))
            return host->hierarchies[i];
    }
    return NULL;
}

static int
check_writable(const char *dir, const char *controller, struct err *err)
{
    if (access(dir, W_OK) < 0)
        return err_sys(err,
                       "Containers need to be limited through cgroups, but %s (controller %s) "
                       "cannot be written",
                       dir, controller);
    return 0;
}

static int
check_v1(struct cgroup_host *host, struct err *err)
{
    if (find_hierarchies(host, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        const char *dir = cgroup_controller(host, needed[i]);

        if (dir == NULL)
            return err_set(err, ERR_SYSTEM,
                           "Containers need the cgroup controller %s, which is not mounted under "
                           "%s",
                           needed[i], host->root);
        if (check_writable(dir, needed[i], err) < 0)
            return -1;
    }
    host->memory = cgroup_controller(host, "memory");
    cleanup_free char *memsw = xasprintf("%s/memory.memsw.limit_in_bytes", host->memory);
    cleanup_free char *tcp = xasprintf("%s/memory.kmem.tcp.limit_in_bytes", host->memory);
    host->swap = access(memsw, F_OK) == 0;
    host->tcp = access(tcp, F_OK) == 0;
    return 0;
}

static int
check_v2(struct cgroup_host *host, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/cgroup.controllers", host->root);
    char controllers[512];

    smallfile_read(path, controllers, sizeof(controllers));
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
        if (!has_word(controllers, needed[i]))
            return err_set(err, ERR_SYSTEM,
                           "Containers need the cgroup controller %s, which %s does not list",
                           needed[i], path);
    }
    host->hierarchies[host->n_hierarchies++] = xstrdup(host->root);
    host->memory = host->hierarchies[0];
    host->swap = access("/proc/swaps", F_OK) == 0; /* memory.swap.max exists with it */
    return check_writable(host->root, "memory", err);
}

/*
 * The mount table is copied for this process: nothing changes for anybody else.  Of a process with several threads only
 * the calling one gets the copy, and with it what that thread starts, which is all that matters here.
 */
static int
leave_hybrid(const char *unified, struct err *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return err_sys(err, "make a mount namespace (cgroup versions 1 and 2 are both mounted)");
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return err_sys(err, "make mounts private");
    if (umount2(unified, MNT_DETACH) < 0)
        return err_sys(err, "unmount %s", unified);
    log_info("runtime: cgroup versions 1 and 2 are both mounted; %s is hidden from containers",
             unified);
    return 0;
}

static int
look(struct cgroup_host *host, struct err *err)
{
    cleanup_free char *unified = xasprintf("%s/unified", host->root);

    host->v2 = is_cgroup2(host->root);
    if (host->v2)
        return check_v2(host, err);
    if (is_cgroup2(unified) && leave_hybrid(unified, err) < 0)
        return -1;
    return check_v1(host, err);
}

static void
host_free(struct cgroup_host *host)
{
    for (size_t i = 0; i < host->n_hierarchies; i++)
        free(host->hierarchies[i]);
    free(host->root);
    free(host);
}

struct cgroup_host *
cgroup_open(const char *root, const char *state_dir, struct err *err)
{
    struct cgroup_host *host = xcalloc(1, sizeof(*host));

    host->root = xstrdup(root);
    snprintf(host->parent, sizeof(host->parent), "tci-%08x", fnv1a(state_dir));
    if (look(host, err) < 0) {
        host_free(host);
        return NULL;
    }
    return host;
}

struct cgroup_host *
cgroup_none(void)
{
    return xcalloc(1, sizeof(struct cgroup_host));
}

void
cgroup_close(struct cgroup_host *host)
{
    if (host == NULL)
        return;
    for (size_t i = 0; i < host->n_hierarchies; i++) {
        cleanup_free char *dir = xasprintf("%s/%s", host->hierarchies[i], host->parent);

        rmdir(dir); /* fails, as it should, while containers run on */
    }
    host_free(host);
}

char *
cgroup_path(const struct cgroup_host *host, const char *id)
{
    return host->n_hierarchies > 0 ? xasprintf("/%s/%s", host->parent, id) : NULL;
}

bool
cgroup_limits_swap(const struct cgroup_host *host)
{
    return host->swap;
}

bool
cgroup_limits_tcp(const struct cgroup_host *host)
{
    return host->tcp;
}

/* --- a container's group -------------------------------------------------------------------- */

bool
cgroup_oom_killed(const struct cgroup_host *host, const char *id)
{
    if (host->memory == NULL)
        return false;
    cleanup_free char *dir = cgroup_dir(host, host->memory, id);
    cleanup_free char *path =
        xasprintf("%s/%s", dir, host->v2 ? "memory.events" : "memory.oom_control");
    char text[512];

    smallfile_read(path, text, sizeof(text));
    const char *count = strstr(text, "oom_kill ");
    return count != NULL && strtoul(count + strlen("oom_kill "), NULL, 10) > 0;
}

static bool
kill_each(const char *procs)
{
    FILE *f = fopen(procs, "re");
    char line[32];
    bool any = false;

    if (f == NULL)
        return false;
    while (fgets(line, sizeof(line), f) != NULL) {
        pid_t pid = smallfile_pid(line);

        if (pid > 0 && kill(pid, SIGKILL) == 0)
            any = true;
    }
    fclose(f);
    return any;
}

/* errno is the failed call's. */
static int
write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd < 0)
        return -1;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR); /* a memory limit is not even looked at while a signal waits */
    int saved = errno;
    close(fd);
    errno = saved;
    return n > 0 ? 0 : -1;
}

/* Version 2 counts weights from 1 to 10000 where version 1 counts shares from 2 to 262144. */
static void
set_shares(const struct cgroup_host *host, const char *dir, unsigned shares)
{
    if (host->n_hierarchies == 0)
        return;
    unsigned weight = 1 + (shares - 2) * 9999u / 262142u;
    cleanup_free char *path = xasprintf("%s/%s", dir, host->v2 ? "cpu.weight" : "cpu.shares");
    cleanup_free char *text = xasprintf("%u", host->v2 ? weight : shares);

    (void)write_text(path, text);
}

/* Shares of a group that is idle cannot be set. */
void
cgroup_set_background(const struct cgroup_host *host, const char *id, bool background)
{
    cleanup_free char *dir =
        cgroup_dir(host, host->v2 ? host->root : cgroup_controller(host, "cpu"), id);
    cleanup_free char *idle = xasprintf("%s/cpu.idle", dir);
    int rc = write_text(idle, background ? "1" : "0");

    if (!background)
        set_shares(host, dir, CGROUP_SHARES);
    else if (rc < 0)
        set_shares(host, dir, CGROUP_SHARES_LOW);
}

/* --- other limits --------------------------------------------------------------------------- */

long
cgroup_cpu_quota(double cores)
{
    double quota = cores * CGROUP_CPU_PERIOD_US;

    return quota < MIN_CPU_QUOTA_US ? MIN_CPU_QUOTA_US : (long)quota;
}

static int
no_groups(struct err *err)
{
    return err_set(err, ERR_SYSTEM, "There are no control groups");
}

static int
write_limit(const char *dir, const char *file, const char *text, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/%s", dir, file);

    return write_text(path, text) == 0 ? 0 : err_sys(err, "write %s to %s", text, path);
}

int
cgroup_limit_cpu(const struct cgroup_host *host, const char *id, double cores, struct err *err)
{
    if (host->n_hierarchies == 0)
        return no_groups(err);
    cleanup_free char *dir =
        cgroup_dir(host, host->v2 ? host->root : cgroup_controller(host, "cpu"), id);
    cleanup_free char *quota = xasprintf("%ld", cgroup_cpu_quota(cores));
    cleanup_free char *both = xasprintf("%s %d", quota, CGROUP_CPU_PERIOD_US);

    return host->v2 ? write_limit(dir, "cpu.max", both, err)
                    : write_limit(dir, "cpu.cfs_quota_us", quota, err);
}

/*
 * Version 2 limits swap by itself, and a container has none.  On version 1 memory and swap together may never be limited to
 * less than memory, so it depends which of the two limits comes first.
 */
static int
limit_memory(const struct cgroup_host *host, const char *id, unsigned mb, bool swap_first,
             struct err *err)
{
    static const char *const files[] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"};

    if (host->memory == NULL)
        return no_groups(err);
    cleanup_free char *dir = cgroup_dir(host, host->memory, id);
    cleanup_free char *bytes = xasprintf("%llu", (unsigned long long)(mb * MIB));

    if (host->v2)
        return write_limit(dir, "memory.max", bytes, err);
    if (!host->swap)
        return write_limit(dir, files[0], bytes, err);
    if (write_limit(dir, files[swap_first], bytes, err) < 0)
        return -1;
    return write_limit(dir, files[!swap_first], bytes, err);
}

int
cgroup_raise_memory(const struct cgroup_host *host, const char *id, unsigned mb, struct err *err)
{
    if (host->v2 && host->memory != NULL) {
        cleanup_free char *dir = cgroup_dir(host, host->memory, id);

        /* Where a helper was killed between its two writes. */
        if (write_limit(dir, "memory.high", "max", err) < 0)
            return -1;
    }
    return limit_memory(host, id, mb, true, err);
}

int
cgroup_lower_memory(const struct cgroup_host *host, const char *id, unsigned mb, struct err *err)
{
    return limit_memory(host, id, mb, false, err);
}

/*
 * Version 2 kills when memory.max is written and not enough can be freed; memory.high does not, and is written first.  $1 is
 * the group's directory, $2 the limit in bytes.
 */
static const char lower_v1[] = "cd \"$1\" && printf %s \"$2\" >memory.limit_in_bytes &&"
                               " { [ ! -e memory.memsw.limit_in_bytes ] ||"
                               " printf %s \"$2\" >memory.memsw.limit_in_bytes; }";
static const char lower_v2[] = "cd \"$1\" && printf %s \"$2\" >memory.high || exit 1\n"
                               "read -r used <memory.current &&"
                               " [ \"$used\" -le \"$2\" ] && printf %s \"$2\" >memory.max\n"
                               "status=$?\n"
                               "printf max >memory.high\n"
                               "exit $status";

/* A helper that outlived the gateway would lower what the next gateway has raised already. */
void
cgroup_lowering_init(struct cgroup_lowering *l, const struct cgroup_host *host, const char *id,
                     unsigned mb)
{
    l->dir = cgroup_dir(host, host->memory == NULL ? "" : host->memory, id);
    snprintf(l->bytes, sizeof(l->bytes), "%llu", (unsigned long long)(mb * MIB));
    const char *const argv[CGROUP_LOWERING_ARGS] = {
        "setpriv", "--pdeathsig", "KILL",   "sh", "-c", host->v2 ? lower_v2 : lower_v1,
        "sh",      l->dir,        l->bytes, NULL};
    memcpy(l->argv, argv, sizeof(argv));
}

void
cgroup_lowering_clear(struct cgroup_lowering *l)
{
    free(l->dir);
    l->dir = NULL;
}

/* --- the end of a group --------------------------------------------------------------------- */

/*
 * Version 1 does not kill what is frozen, and a removal that was cut off leaves it so.  Version 2 has a file that kills all
 * at once, but says nothing of whom.
 */
static void
thaw_and_kill(const char *dir)
{
    cleanup_free char *freezer = xasprintf("%s/freezer.state", dir);
    cleanup_free char *killer = xasprintf("%s/cgroup.kill", dir);

    (void)write_text(freezer, "THAWED");
    (void)write_text(killer, "1");
}

/* A process may be in some of the hierarchies only: where its start was cut off half-way. */
bool
cgroup_kill(const struct cgroup_host *host, const char *id)
{
    bool any = false;

    for (size_t i = 0; i < host->n_hierarchies; i++) {
        cleanup_free char *dir = cgroup_dir(host, host->hierarchies[i], id);
        cleanup_free char *procs = xasprintf("%s/cgroup.procs", dir);

        any |= kill_each(procs);
        thaw_and_kill(dir);
    }
    return any;
}

/* The runtime program makes no groups in it and the container cannot, but some hosts' tools do. */
static int
remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL)
        return errno == ENOENT ? 0 : -1;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            cleanup_free char *child = xasprintf("%s/%s", dir, entry->d_name);

            rmdir(child);
        }
    }
    closedir(d);
    return rmdir(dir) == 0 || errno == ENOENT ? 0 : -1;
}

int
cgroup_remove(const struct cgroup_host *host, const char *id, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; i < host->n_hierarchies; i++) {
        cleanup_free char *dir = cgroup_dir(host, host->hierarchies[i], id);

        if (remove_tree(dir) < 0)
            rc = err_sys(err, "remove %s", dir);
    }
    return rc;
}

static void
each_in(const char *dir, cgroup_found_fn *found, void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            found(arg, entry->d_name);
    }
    closedir(d);
}

void
cgroup_each(const struct cgroup_host *host, cgroup_found_fn *found, void *arg)
{
    for (size_t i = 0; i < host->n_hierarchies; i++) {
        cleanup_free char *dir = xasprintf("%s/%s", host->hierarchies[i], host->parent);

        each_in(dir, found, arg);
    }
}
