/* program.c - see program.h. */
#include "program.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void
redirect(posix_spawn_file_actions_t *actions, int from, int to)
{
    if (from >= 0 && posix_spawn_file_actions_adddup2(actions, from, to) != 0)
        abort(); /* out of memory */
}

static void
set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
}

int
program_start(struct program *p, char *const argv[], const struct program_fds *fds, struct err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc;

    posix_spawn_file_actions_init(&actions);
    redirect(&actions, fds->in, STDIN_FILENO);
    redirect(&actions, fds->out, STDOUT_FILENO);
    redirect(&actions, fds->err, STDERR_FILENO);
    set_attributes(&attributes);
    *p = (struct program){0, 0};
    rc = posix_spawnp(&p->pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (rc == 0)
        return 0;
    p->pid = 0;
    errno = rc;
    return err_sys(err, "cannot run %.200s", argv[0]);
}

void
program_signal(const struct program *p, int signal)
{
    if (p->pid > 0)
        kill(-p->pid, signal);
}

/* The leader is reaped last: until then no other group can have its number. */
static void
reap(struct program *p)
{
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

bool
program_has_ended(struct program *p)
{
    siginfo_t info = {.si_pid = 0};

    if (p->pid == 0)
        return true;
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    reap(p);
    return true;
}

void
program_kill(struct program *p)
{
    if (p->pid > 0)
        reap(p);
}

bool
program_went_well(const struct program *p)
{
    return WIFEXITED(p->status) && WEXITSTATUS(p->status) == 0;
}

void
program_explain(const struct program *p, char ename[32], char evalue[96])
{
    const int signal = WIFSIGNALED(p->status) ? WTERMSIG(p->status) : 0;
    const char *name = sigabbrev_np(signal);

    if (signal == 0) {
        snprintf(ename, 32, "ExitStatus");
        snprintf(evalue, 96, "exit status %d", WEXITSTATUS(p->status));
    } else {
        snprintf(ename, 32, "SIG%s", name ? name : "NAL");
        snprintf(evalue, 96, "ended by signal %d: %s", signal, sigdescr_np(signal));
    }
}

/* --- waiting for input ------------------------------------------------------------------------ */

/* The process group of a process; 0 if it is gone. */
static pid_t
group_of(const char *pid)
{
    return getpgid((pid_t)strtol(pid, NULL, 10));
}

/* Whether a thread is in read(0, ...): what /proc says of who may be traced by us, as our own children may. */
static bool
thread_reads_stdin(const char *pid, const char *thread)
{
    cleanup_free char *path = xasprintf("/proc/%s/task/%s/syscall", pid, thread);
    FILE *file = fopen(path, "re");
    unsigned long fd = 1;
    long call = -1;
    int n;

    if (file == NULL)
        return false;
    n = fscanf(file, "%ld %lx", &call, &fd);
    fclose(file);
    return n == 2 && call == SYS_read && fd == STDIN_FILENO;
}

static bool
is_number(const char *name)
{
    return name[0] >= '0' && name[0] <= '9';
}

static bool
reads_stdin(const char *pid)
{
    cleanup_free char *path = xasprintf("/proc/%s/task", pid);
    DIR *dir = opendir(path);
    struct dirent *entry;
    bool found = false;

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL)
        found = is_number(entry->d_name) && thread_reads_stdin(pid, entry->d_name);
    if (dir != NULL)
        closedir(dir);
    return found;
}

static bool
has_as_stdin(const char *pid, const struct stat *input)
{
    cleanup_free char *path = xasprintf("/proc/%s/fd/0", pid);
    struct stat st;

    return stat(path, &st) == 0 && st.st_dev == input->st_dev && st.st_ino == input->st_ino;
}

static bool
waits_for(const char *pid, pid_t group, const struct stat *input)
{
    return is_number(pid) && group_of(pid) == group && has_as_stdin(pid, input) && reads_stdin(pid);
}

bool
program_can_see_input(void)
{
    return access("/proc/self/syscall", R_OK) == 0;
}

bool
program_wants_input(const struct program *p, int input)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    struct stat st;
    bool found = false;

    if (dir == NULL)
        return false;
    if (p->pid > 0 && fstat(input, &st) == 0)
        while (!found && (entry = readdir(dir)) != NULL)
            found = waits_for(entry->d_name, p->pid, &st);
    closedir(dir);
    return found;
}
