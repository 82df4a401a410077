/*
 * seccomp.c - see seccomp.h.  An allow-list, in three parts:
 *
 *   calls        made whatever their arguments, or known to be dangerous and answered EPERM
 *   conditions   made with some arguments only
 *   requests     the ioctl requests that terminals, pipes, files and sockets need
 *
 * What would have the host write to its disks is answered as done, which it is: all that a sandbox can write to is memory.
 * So is a change of the size of core files, of which there are none (ocispec.c says what that limit is for).
 *
 * Everything else is answered ENOSYS, which says "this kernel has no such call": programs then take the older way that
 * the table knows.  So clone3, whose flags are in memory where a filter cannot see them, becomes clone, and io_uring_*
 * becomes threads or epoll.  EPERM is for calls that have no other way and whose refusal should look like one.
 *
 * Not here, because what they make counts against a limit of the whole host, or against none, and not as the
 * container's memory: io_setup (fs.aio-max-nr), inotify_init (the instances of the host's root, to whom all user namespaces
 * belong), sockets of netlink and UDP (what waits in their queues).
 *
 * Names that this kernel's architecture or libseccomp do not have are left out by the runtime program.
 */
#include "seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "mem.h"

enum answer { ALLOW, REFUSE, PRETEND, N_ANSWERS };

struct call {
    const char *name;
    enum answer answer;
};

/* What a call is answered where all of its conditions hold; rows of the same call are alternatives. */
struct condition {
    const char *name;
    enum answer answer;
    struct {
        unsigned index; /* of the argument */
        uint64_t mask;  /* 0 ends the list */
        uint64_t value; /* argument & mask */
    } args[3];
};

#define LOW                                                                                        \
    UINT32_MAX /* the kernel reads an int: whatever else is in the register does not count */
#define ADDRESS INT64_MAX /* all bits that an address of a program can have */
#define SOCKET_TYPE 0xf   /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
#define ANY_NAMESPACE                                                                              \
    (CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER |  \
     CLONE_NEWUTS)

/* Sorted by name. */
static const struct call calls[] = {
    {"accept", ALLOW},
    {"accept4", ALLOW},
    {"access", ALLOW},
    {"acct", REFUSE},     /* writes a file of the host */
    {"add_key", REFUSE},  /* keyrings belong to no namespace */
    {"adjtimex", REFUSE}, /* the clock is the host's */
    {"alarm", ALLOW},
    {"arch_prctl", ALLOW}, /* thread-local storage on x86-64 */
    {"arm_fadvise64_64", ALLOW},
    {"bind", ALLOW},
    {"bpf", REFUSE}, /* programs in the kernel */
    {"brk", ALLOW},
    {"capget", ALLOW},
    {"capset", ALLOW}, /* the worker drops what it has */
    {"chdir", ALLOW},
    {"chmod", ALLOW},
    {"chown", ALLOW},          /* within the container's own id range */
    {"chroot", REFUSE},        /* needs a capability; a step of escapes */
    {"clock_adjtime", REFUSE}, /* the clock is the host's */
    {"clock_getres", ALLOW},
    {"clock_gettime", ALLOW},
    {"clock_nanosleep", ALLOW},
    {"clock_settime", REFUSE}, /* the clock is the host's */
    {"close", ALLOW},
    {"close_range", ALLOW},
    {"connect", ALLOW},
    {"copy_file_range", ALLOW},
    {"creat", ALLOW},
    {"delete_module", REFUSE}, /* kernel modules */
    {"dup", ALLOW},
    {"dup2", ALLOW},
    {"dup3", ALLOW},
    {"epoll_create", ALLOW},
    {"epoll_create1", ALLOW},
    {"epoll_ctl", ALLOW},
    {"epoll_ctl_old", ALLOW},
    {"epoll_pwait", ALLOW},
    {"epoll_pwait2", ALLOW},
    {"epoll_wait", ALLOW},
    {"eventfd", ALLOW},
    {"eventfd2", ALLOW},
    {"execve", ALLOW},
    {"execveat", ALLOW},
    {"exit", ALLOW},
    {"exit_group", ALLOW},
    {"faccessat", ALLOW},
    {"faccessat2", ALLOW},
    {"fadvise64", ALLOW},
    {"fallocate", ALLOW},
    {"fanotify_init", REFUSE}, /* watches whole mounts */
    {"fanotify_mark", REFUSE}, /* watches whole mounts */
    {"fchdir", ALLOW},
    {"fchmod", ALLOW},
    {"fchmodat", ALLOW},
    {"fchmodat2", ALLOW},
    {"fchown", ALLOW},
    {"fchownat", ALLOW},
    {"fcntl", ALLOW},
    {"fdatasync", PRETEND}, /* of a file of /usr as well, each time a flush of its disk */
    {"fgetxattr", ALLOW},
    {"finit_module", REFUSE}, /* kernel modules */
    {"flistxattr", ALLOW},
    {"flock", ALLOW},
    {"fork", ALLOW},
    {"fremovexattr", ALLOW},
    {"fsconfig", REFUSE}, /* mounting */
    {"fsetxattr", ALLOW},
    {"fsmount", REFUSE}, /* mounting */
    {"fsopen", REFUSE},  /* mounting */
    {"fspick", REFUSE},  /* mounting */
    {"fstat", ALLOW},
    {"fstatfs", ALLOW},
    {"fsync", PRETEND},
    {"ftruncate", ALLOW},
    {"futex", ALLOW},
    {"futex_requeue", ALLOW},
    {"futex_wait", ALLOW},
    {"futex_waitv", ALLOW},
    {"futex_wake", ALLOW},
    {"futimesat", ALLOW},
    {"get_mempolicy", ALLOW}, /* asked by OpenBLAS and OpenMP */
    {"get_robust_list", ALLOW},
    {"getcpu", ALLOW},
    {"getcwd", ALLOW},
    {"getdents", ALLOW},
    {"getdents64", ALLOW},
    {"getegid", ALLOW},
    {"geteuid", ALLOW},
    {"getgid", ALLOW},
    {"getgroups", ALLOW},
    {"getitimer", ALLOW},
    {"getpeername", ALLOW},
    {"getpgid", ALLOW},
    {"getpgrp", ALLOW},
    {"getpid", ALLOW},
    {"getppid", ALLOW},
    {"getpriority", ALLOW},
    {"getrandom", ALLOW},
    {"getresgid", ALLOW},
    {"getresuid", ALLOW},
    {"getrlimit", ALLOW},
    {"getrusage", ALLOW},
    {"getsid", ALLOW},
    {"getsockname", ALLOW},
    {"getsockopt", ALLOW},
    {"gettid", ALLOW},
    {"gettimeofday", ALLOW},
    {"getuid", ALLOW},
    {"getxattr", ALLOW},
    {"init_module", REFUSE}, /* kernel modules */
    {"ioperm", REFUSE},      /* hardware ports */
    {"iopl", REFUSE},        /* hardware ports */
    {"ioprio_get", ALLOW},
    {"ioprio_set", ALLOW},
    {"kcmp", REFUSE},            /* compares kernel addresses of two processes */
    {"kexec_file_load", REFUSE}, /* another kernel */
    {"kexec_load", REFUSE},      /* another kernel */
    {"keyctl", REFUSE},          /* keyrings belong to no namespace */
    {"kill", ALLOW},
    {"landlock_add_rule", ALLOW},
    {"landlock_create_ruleset", ALLOW}, /* can only take away more */
    {"landlock_restrict_self", ALLOW},
    {"lchown", ALLOW},
    {"lgetxattr", ALLOW},
    {"link", ALLOW},
    {"linkat", ALLOW},
    {"listen", ALLOW},
    {"listxattr", ALLOW},
    {"llistxattr", ALLOW},
    {"lookup_dcookie", REFUSE}, /* paths of other namespaces */
    {"lremovexattr", ALLOW},
    {"lseek", ALLOW},
    {"lsetxattr", ALLOW},
    {"lstat", ALLOW},
    {"madvise", ALLOW},
    {"mbind", REFUSE},         /* memory placement is the operator's */
    {"membarrier", ALLOW},     /* V8, JVM */
    {"memfd_create", ALLOW},   /* multiprocessing, xpython */
    {"migrate_pages", REFUSE}, /* memory placement */
    {"mincore", ALLOW},
    {"mkdir", ALLOW},
    {"mkdirat", ALLOW},
    {"mknod", ALLOW},    /* FIFOs; devices need a capability */
    {"mknodat", ALLOW},  /* FIFOs; devices need a capability */
    {"mlock", ALLOW},    /* bounded by RLIMIT_MEMLOCK */
    {"mlock2", ALLOW},   /* bounded by RLIMIT_MEMLOCK */
    {"mlockall", ALLOW}, /* bounded by RLIMIT_MEMLOCK */
    {"mmap", ALLOW},
    {"mount", REFUSE},         /* mounting */
    {"mount_setattr", REFUSE}, /* mounting */
    {"move_mount", REFUSE},    /* mounting */
    {"move_pages", REFUSE},    /* memory placement */
    {"mprotect", ALLOW},
    {"mq_getsetattr", ALLOW},
    {"mq_notify", ALLOW},
    {"mq_open", ALLOW}, /* bounded by RLIMIT_MSGQUEUE */
    {"mq_timedreceive", ALLOW},
    {"mq_timedsend", ALLOW},
    {"mq_unlink", ALLOW},
    {"mremap", ALLOW},
    {"mseal", ALLOW},
    {"msgctl", ALLOW},
    {"msgget", ALLOW},
    {"msgrcv", ALLOW},
    {"msgsnd", ALLOW},
    {"munlock", ALLOW},
    {"munlockall", ALLOW},
    {"munmap", ALLOW},
    {"name_to_handle_at", REFUSE}, /* handles reach outside the mounts */
    {"nanosleep", ALLOW},
    {"newfstatat", ALLOW},
    {"open", ALLOW},
    {"open_by_handle_at", REFUSE}, /* handles reach outside the mounts */
    {"open_tree", REFUSE},         /* mounting */
    {"openat", ALLOW},
    {"openat2", ALLOW},
    {"pause", ALLOW},
    {"perf_event_open", REFUSE}, /* counters and tracing of the kernel */
    {"pidfd_getfd", REFUSE},     /* descriptors of others */
    {"pidfd_open", ALLOW},
    {"pidfd_send_signal", ALLOW},
    {"pipe", ALLOW},
    {"pipe2", ALLOW},
    {"pivot_root", REFUSE}, /* mounting */
    {"pkey_alloc", ALLOW},  /* V8 */
    {"pkey_free", ALLOW},
    {"pkey_mprotect", ALLOW},
    {"poll", ALLOW},
    {"ppoll", ALLOW},
    {"prctl", ALLOW},
    {"pread64", ALLOW},
    {"preadv", ALLOW},
    {"preadv2", ALLOW},
    {"process_madvise", REFUSE},   /* memory of others */
    {"process_mrelease", REFUSE},  /* memory of others */
    {"process_vm_readv", REFUSE},  /* memory of others */
    {"process_vm_writev", REFUSE}, /* memory of others */
    {"pselect6", ALLOW},
    {"ptrace", REFUSE}, /* memory of others */
    {"pwrite64", ALLOW},
    {"pwritev", ALLOW},
    {"pwritev2", ALLOW},
    {"quotactl", REFUSE},
    {"quotactl_fd", REFUSE},
    {"read", ALLOW},
    {"readahead", ALLOW},
    {"readlink", ALLOW},
    {"readlinkat", ALLOW},
    {"readv", ALLOW},
    {"reboot", REFUSE},
    {"recvfrom", ALLOW},
    {"recvmmsg", ALLOW},
    {"recvmsg", ALLOW},
    {"remap_file_pages", ALLOW},
    {"removexattr", ALLOW},
    {"rename", ALLOW},
    {"renameat", ALLOW},
    {"renameat2", ALLOW},
    {"request_key", REFUSE}, /* keyrings belong to no namespace; runs a program of the host */
    {"restart_syscall", ALLOW},
    {"rmdir", ALLOW},
    {"rseq", ALLOW},
    {"rt_sigaction", ALLOW},
    {"rt_sigpending", ALLOW},
    {"rt_sigprocmask", ALLOW},
    {"rt_sigqueueinfo", ALLOW},
    {"rt_sigreturn", ALLOW},
    {"rt_sigsuspend", ALLOW},
    {"rt_sigtimedwait", ALLOW},
    {"rt_tgsigqueueinfo", ALLOW},
    {"sched_get_priority_max", ALLOW},
    {"sched_get_priority_min", ALLOW},
    {"sched_getaffinity", ALLOW},
    {"sched_getattr", ALLOW},
    {"sched_getparam", ALLOW},
    {"sched_getscheduler", ALLOW},
    {"sched_rr_get_interval", ALLOW},
    {"sched_setaffinity", ALLOW}, /* OpenMP */
    {"sched_setattr", ALLOW},
    {"sched_setparam", ALLOW},
    {"sched_setscheduler", ALLOW},
    {"sched_yield", ALLOW},
    {"seccomp", ALLOW}, /* can only take away more */
    {"select", ALLOW},
    {"semctl", ALLOW},
    {"semget", ALLOW},
    {"semop", ALLOW},
    {"semtimedop", ALLOW},
    {"sendfile", ALLOW},
    {"sendmmsg", ALLOW},
    {"sendmsg", ALLOW},
    {"sendto", ALLOW},
    {"set_mempolicy", REFUSE}, /* memory placement */
    {"set_robust_list", ALLOW},
    {"set_tid_address", ALLOW},
    {"setdomainname", REFUSE},
    {"setfsgid", ALLOW},
    {"setfsuid", ALLOW},
    {"setgid", ALLOW},
    {"setgroups", ALLOW}, /* the worker, before it starts the kernel */
    {"sethostname", REFUSE},
    {"setitimer", ALLOW},
    {"setns", REFUSE}, /* namespaces */
    {"setpgid", ALLOW},
    {"setpriority", ALLOW},
    {"setregid", ALLOW},
    {"setresgid", ALLOW}, /* the worker, before it starts the kernel */
    {"setresuid", ALLOW}, /* the worker, before it starts the kernel */
    {"setreuid", ALLOW},
    {"setsid", ALLOW},
    {"setsockopt", ALLOW},
    {"settimeofday", REFUSE}, /* the clock is the host's */
    {"setuid", ALLOW},
    {"setxattr", ALLOW},
    {"shmat", ALLOW},
    {"shmctl", ALLOW},
    {"shmdt", ALLOW},
    {"shmget", ALLOW},
    {"shutdown", ALLOW},
    {"sigaltstack", ALLOW},
    {"signalfd", ALLOW},
    {"signalfd4", ALLOW},
    {"splice", ALLOW},
    {"stat", ALLOW},
    {"statfs", ALLOW},
    {"statx", ALLOW},
    {"swapoff", REFUSE},
    {"swapon", REFUSE},
    {"symlink", ALLOW},
    {"symlinkat", ALLOW},
    {"sync", PRETEND}, /* all disks of the host */
    {"sync_file_range", PRETEND},
    {"syncfs", PRETEND},
    {"sysinfo", ALLOW},
    {"syslog", REFUSE}, /* the kernel's log */
    {"tee", ALLOW},
    {"tgkill", ALLOW},
    {"time", ALLOW},
    {"timer_create", ALLOW},
    {"timer_delete", ALLOW},
    {"timer_getoverrun", ALLOW},
    {"timer_gettime", ALLOW},
    {"timer_settime", ALLOW},
    {"timerfd_create", ALLOW},
    {"timerfd_gettime", ALLOW},
    {"timerfd_settime", ALLOW},
    {"times", ALLOW},
    {"tkill", ALLOW},
    {"truncate", ALLOW},
    {"umask", ALLOW},
    {"umount", REFUSE},  /* mounting */
    {"umount2", REFUSE}, /* mounting */
    {"uname", ALLOW},
    {"unlink", ALLOW},
    {"unlinkat", ALLOW},
    {"unshare", REFUSE},     /* namespaces, and with them capabilities */
    {"userfaultfd", REFUSE}, /* stops the kernel where an attacker likes */
    {"utime", ALLOW},
    {"utimensat", ALLOW},
    {"utimes", ALLOW},
    {"vfork", ALLOW},
    {"vhangup", REFUSE},
    {"vmsplice", ALLOW},
    {"wait4", ALLOW},
    {"waitid", ALLOW},
    {"write", ALLOW},
    {"writev", ALLOW},
};

/* Sorted by name. */
static const struct condition conditions[] = {
    {"clone", ALLOW, {{0, ANY_NAMESPACE, 0}}}, /* threads and processes, but no namespaces */
    {"msync", ALLOW, {{2, MS_SYNC, 0}}},
    {"msync", PRETEND, {{2, MS_SYNC, MS_SYNC}}}, /* as fsync */
    {"personality", ALLOW, {{0, LOW, 0}}},       /* the one that every program has */
    {"personality", ALLOW, {{0, LOW, LOW}}},     /* only asks */
    /* All resources but RLIMIT_CORE, whose number is four, by the bits in which they differ from it. */
    {"prlimit64", ALLOW, {{1, 1, 1}}},
    {"prlimit64", ALLOW, {{1, 2, 2}}},
    {"prlimit64", ALLOW, {{1, 4, 0}}},
    {"prlimit64", ALLOW, {{1, 8, 8}}},
    {"prlimit64", ALLOW, {{1, LOW, RLIMIT_CORE}, {2, ADDRESS, 0}}},   /* only asks */
    {"prlimit64", PRETEND, {{1, LOW, RLIMIT_CORE}, {3, ADDRESS, 0}}}, /* only sets */
    {"setrlimit", ALLOW, {{0, 1, 1}}},
    {"setrlimit", ALLOW, {{0, 2, 2}}},
    {"setrlimit", ALLOW, {{0, 4, 0}}},
    {"setrlimit", ALLOW, {{0, 8, 8}}},
    {"setrlimit", PRETEND, {{0, LOW, RLIMIT_CORE}}},
    /* TCP, which leads nowhere but to the container itself; no protocol that would have the host load a module. */
    {"socket", ALLOW, {{0, LOW, AF_INET}, {1, SOCKET_TYPE, SOCK_STREAM}, {2, LOW, 0}}},
    {"socket", ALLOW, {{0, LOW, AF_INET}, {1, SOCKET_TYPE, SOCK_STREAM}, {2, LOW, IPPROTO_TCP}}},
    {"socket", ALLOW, {{0, LOW, AF_INET6}, {1, SOCKET_TYPE, SOCK_STREAM}, {2, LOW, 0}}},
    {"socket", ALLOW, {{0, LOW, AF_INET6}, {1, SOCKET_TYPE, SOCK_STREAM}, {2, LOW, IPPROTO_TCP}}},
    {"socket", ALLOW, {{0, LOW, AF_UNIX}}},
    {"socketpair", ALLOW, {{0, LOW, AF_UNIX}}},
};

/* Sorted by name.  Not here: TIOCSTI and TIOCLINUX, which type into a terminal. */
static const uint32_t requests[] = {
    FICLONE,     FICLONERANGE,   FIOASYNC,        FIOCLEX,      FIONBIO,       FIONCLEX,
    FIONREAD,    FIOQSIZE,       FS_IOC_GETFLAGS, SIOCATMARK,   SIOCGIFADDR,   SIOCGIFBRDADDR,
    SIOCGIFCONF, SIOCGIFFLAGS,   SIOCGIFHWADDR,   SIOCGIFINDEX, SIOCGIFMETRIC, SIOCGIFMTU,
    SIOCGIFNAME, SIOCGIFNETMASK, SIOCGIFTXQLEN,   SIOCOUTQ,     TCFLSH,        TCGETS,
    TCSBRK,      TCSBRKP,        TCSETS,          TCSETSF,      TCSETSW,       TCXONC,
    TIOCEXCL,    TIOCGETD,       TIOCGEXCL,       TIOCGPGRP,    TIOCGPTLCK,    TIOCGPTN,
    TIOCGPTPEER, TIOCGSID,       TIOCGWINSZ,      TIOCNOTTY,    TIOCNXCL,      TIOCOUTQ,
    TIOCPKT,     TIOCSCTTY,      TIOCSPGRP,       TIOCSPTLCK,   TIOCSWINSZ,
};

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static json_t *
names(enum answer answer)
{
    json_t *list = xnotnull(json_array());

    for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
        if (calls[i].answer == answer)
            json_array_append_new(list, json_string(calls[i].name));
    }
    return list;
}

static json_t *
argument(unsigned index, uint64_t mask, uint64_t value)
{
    return xnotnull(json_pack("{s:i,s:I,s:I,s:s}", "index", (int)index, "value", (json_int_t)mask,
                              "valueTwo", (json_int_t)value, "op", "SCMP_CMP_MASKED_EQ"));
}

static json_t *
rule(json_t *names, enum answer answer)
{
    static const int error[N_ANSWERS] = {[REFUSE] = EPERM, [PRETEND] = 0};

    if (answer == ALLOW)
        return xnotnull(json_pack("{s:o,s:s}", "names", names, "action", "SCMP_ACT_ALLOW"));
    return xnotnull(json_pack("{s:o,s:s,s:i}", "names", names, "action", "SCMP_ACT_ERRNO",
                              "errnoRet", error[answer]));
}

static json_t *
conditional_rule(const struct condition *c)
{
    json_t *r = rule(xnotnull(json_pack("[s]", c->name)), c->answer);
    json_t *args = xnotnull(json_array());

    for (size_t i = 0; i < N_ELEMENTS(c->args) && c->args[i].mask != 0; i++)
        json_array_append_new(args, argument(c->args[i].index, c->args[i].mask, c->args[i].value));
    json_object_set_new(r, "args", args);
    return r;
}

static json_t *
request_rule(uint32_t request)
{
    return xnotnull(json_pack("{s:[s],s:s,s:[o]}", "names", "ioctl", "action", "SCMP_ACT_ALLOW",
                              "args", argument(1, LOW, request)));
}

/* getifaddrs fails by it, and libzmq bears that with this error only. */
static json_t *
netlink_rule(void)
{
    return xnotnull(json_pack("{s:[s],s:s,s:i,s:[o]}", "names", "socket", "action",
                              "SCMP_ACT_ERRNO", "errnoRet", EOPNOTSUPP, "args",
                              argument(0, LOW, AF_NETLINK)));
}

static json_t *
rules(void)
{
    json_t *list = xnotnull(json_array());

    for (enum answer a = 0; a < N_ANSWERS; a++)
        json_array_append_new(list, rule(names(a), a));
    for (size_t i = 0; i < N_ELEMENTS(conditions); i++)
        json_array_append_new(list, conditional_rule(&conditions[i]));
    for (size_t i = 0; i < N_ELEMENTS(requests); i++)
        json_array_append_new(list, request_rule(requests[i]));
    json_array_append_new(list, netlink_rule());
    return list;
}

/* One architecture: a program of another one (i386, x32) would have its own call numbers. */
json_t *
seccomp_profile(void)
{
#if defined(__x86_64__)
    static const char architecture[] = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
    static const char architecture[] = "SCMP_ARCH_AARCH64";
#else
#error "the table has been looked through for x86-64 and AArch64 only"
#endif

    return xnotnull(json_pack("{s:s,s:i,s:[s],s:o}", "defaultAction", "SCMP_ACT_ERRNO",
                              "defaultErrnoRet", ENOSYS, "architectures", architecture, "syscalls",
                              rules()));
}
