/* sandbox.c - see sandbox.h. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "textfile.h"

/*
 * Not part of the container's config.json, or not alone: see gateway/ocispec.c.  Of a core file of one byte there is nothing,
 * and no program of the host is run for it.
 */
static const struct {
    int resource;
    rlim_t most; /* bytes, signals */
} limits[] = {
    {RLIMIT_CORE, 1},
    {RLIMIT_MEMLOCK, 64 << 10},
    {RLIMIT_MSGQUEUE, 64 << 10},
    {RLIMIT_SIGPENDING, 1024},
};

static int
default_signals(void)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &standard, NULL); /* fails for those that cannot be changed anyway */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* It is the one to go when memory is short, so that the worker lives to tell. */
static int
prefer_for_oom(void)
{
    return textfile_write("/proc/self/oom_score_adj", 0, 0, "1000");
}

static int
drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    return (int)syscall(SYS_capset, &header, none);
}

/*
 * Without CAP_SETPCAP the bounding set stays as the runtime made it; no_new_privs makes it useless.
 */
static void
empty_bounding_set(void)
{
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/* Linux lets everybody lower his own; gVisor, which knows no such queues, refuses to hear of some of them. */
static int
limit_resources(void)
{
    struct rlimit limit;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (getrlimit(limits[i].resource, &limit) < 0)
            return -1;
        if (limit.rlim_max > limits[i].most)
            limit.rlim_max = limits[i].most;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(limits[i].resource, &limit) < 0 && errno != EPERM)
            return -1;
    }
    return 0;
}

const char *
sandbox_detach(void)
{
    if (default_signals() < 0)
        return "sigprocmask";
    if (setsid() < 0)
        return "setsid";
    if (limit_resources() < 0)
        return "setrlimit";
    if (prefer_for_oom() < 0)
        return "oom_score_adj";
    umask(022);
    return NULL;
}

const char *
sandbox_become(uid_t uid, gid_t gid)
{
    empty_bounding_set();
    if (setgroups(0, NULL) < 0)
        return "setgroups";
    if (setresgid(gid, gid, gid) < 0)
        return "setresgid";
    if (setresuid(uid, uid, uid) < 0)
        return "setresuid";
    if (drop_capabilities() < 0)
        return "capset";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return "no_new_privs";
    /* Outside of a pid namespace nothing else ends it when the worker is killed. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return "pdeathsig";
    return NULL;
}

void
sandbox_close_others(void)
{
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 4096; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* an old kernel, or a sandbox that has no close_range */
}
