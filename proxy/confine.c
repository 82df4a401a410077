/*
 * confine.c - see confine.h.
 *
 * The list of system calls is what libevent, its resolver and the C library use in this program.  Another one fails with
 * EPERM; one of another architecture ends the process.
 */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static void
need(int rc, const char *what)
{
    if (rc < 0)
        say_and_exit("cannot give up privileges: %s: %s", what, strerror(errno));
}

static void
limit(int resource, const char *name, rlim_t most)
{
    struct rlimit l;

    need(getrlimit(resource, &l), name);
    if (l.rlim_max != RLIM_INFINITY && l.rlim_max < most)
        most = l.rlim_max;
    l = (struct rlimit){most, most};
    need(setrlimit(resource, &l), name);
}

static void
set_limits(unsigned max_descriptors)
{
    limit(RLIMIT_CORE, "RLIMIT_CORE", 0);
    limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", max_descriptors);
    if (SANITIZED) /* which has terabytes of address space, and looks for leaks in a process */
        return;
    limit(RLIMIT_NPROC, "RLIMIT_NPROC", 0);
    limit(RLIMIT_DATA, "RLIMIT_DATA", 1 << 30);
}

static void
become(uid_t id)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    need(setgroups(0, NULL), "setgroups");
    need(setresgid(id, id, id), "setresgid");
    need(setresuid(id, id, id), "setresuid");
    need((int)syscall(SYS_capset, &header, none), "capset");
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
static const unsigned allowed[] = {
    SYS_accept4,
    SYS_bind,
    SYS_brk,
    SYS_clock_gettime,
    SYS_close,
    SYS_connect,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
    SYS_poll,
#endif
    SYS_exit,
    SYS_exit_group,
    SYS_fcntl,
    SYS_futex,
    SYS_getpeername,
    SYS_getpid,
    SYS_getrandom,
    SYS_getsockname,
    SYS_getsockopt,
    SYS_gettid,
    SYS_gettimeofday,
    SYS_ioctl,
    SYS_madvise,
    SYS_mmap,
    SYS_mprotect,
    SYS_mremap,
    SYS_munmap,
    SYS_ppoll,
    SYS_read,
    SYS_readv,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_restart_syscall,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sendmsg,
    SYS_sendto,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_tgkill,
    SYS_timerfd_settime,
    SYS_write,
    SYS_writev,
};

#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define UNLESS_SKIP(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static void
filter_calls(void)
{
    static const struct sock_filter head[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        UNLESS_SKIP(SYS_socket, 5),
        LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
        UNLESS_SKIP(AF_INET6, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_filter program[N_ELEMENTS(head) + 2 * N_ELEMENTS(allowed) + 1];
    struct sock_fprog all = {0, program};

    memcpy(program, head, sizeof(head));
    all.len = N_ELEMENTS(head);
    for (size_t i = 0; i < N_ELEMENTS(allowed); i++) {
        program[all.len++] = (struct sock_filter)UNLESS_SKIP(allowed[i], 1);
        program[all.len++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    }
    program[all.len++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | EPERM);
    need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0), "seccomp");
}
#else
static void
filter_calls(void)
{
}
#endif

void
confine(uid_t id, unsigned max_descriptors)
{
    set_limits(max_descriptors);
    if (geteuid() == 0)
        become(id);
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    if (!SANITIZED)
        filter_calls();
}
