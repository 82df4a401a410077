/* tasks.c - see tasks.h. */
#include "tasks.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "die.h"
#include "protocol.h"
#include "textfile.h"

/* Of the container's own kernel: only its root may write there. */
#define HIERARCHY "/sys/fs/cgroup"
#define GROUP HIERARCHY "/tasks-of-worker"

static int
drop_capability(unsigned cap)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];

    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 || syscall(SYS_capget, &header, sets) < 0)
        return -1;
    sets[cap / 32].effective &= ~(1U << cap % 32);
    sets[cap / 32].permitted &= ~(1U << cap % 32);
    return (int)syscall(SYS_capset, &header, sets);
}

static void
limit_all(const char *limit)
{
    if (mount("none", HIERARCHY, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "pids") < 0 ||
        mkdir(GROUP, 0755) < 0 || textfile_write(GROUP "/pids.max", 0, 0, limit) < 0 ||
        textfile_write(GROUP "/cgroup.procs", 0, 0, "0") < 0)
        die(TCI_EXIT_SYSTEM, "cannot limit the number of processes: %s", strerror(errno));
    if (drop_capability(CAP_SYS_ADMIN) < 0)
        die(TCI_EXIT_SYSTEM, "cannot give up a capability: %s", strerror(errno));
}

static void
limit_users(const char *text)
{
    const rlim_t wanted = strtoul(text, NULL, 10);
    struct rlimit limit;

    if (getrlimit(RLIMIT_NPROC, &limit) < 0)
        die(TCI_EXIT_SYSTEM, "cannot read the limit of processes: %s", strerror(errno));
    if (limit.rlim_max > wanted)
        limit.rlim_max = wanted;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NPROC, &limit) < 0)
        die(TCI_EXIT_SYSTEM, "cannot limit the number of processes: %s", strerror(errno));
}

void
tasks_limit(void)
{
    const char *all = getenv(TCI_ENV_PIDS);
    const char *users = getenv(TCI_ENV_USER_PIDS);

    if (all != NULL)
        limit_all(all);
    if (users != NULL)
        limit_users(users);
}
