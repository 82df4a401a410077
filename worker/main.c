/*
 * main.c - tci-worker, PID 1 of a container: supervises one Jupyter kernel and speaks for it on the
 * gateway's link.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "boot.h"
#include "die.h"
#include "fileop.h"
#include "loop.h"
#include "protocol.h"
#include "tasks.h"

static int
take_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
        die(TCI_EXIT_SYSTEM, "cannot take signals: %s", strerror(errno));
    return fd;
}

/* No core file, and no program of the host that would be given it (spawn.c): the routing id would be in it. */
static void
forbid_core(void)
{
    const struct rlimit one = {1, 1}, none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &one) < 0 && setrlimit(RLIMIT_CORE, &none) < 0)
        die(TCI_EXIT_SYSTEM, "cannot forbid core files: %s", strerror(errno));
}

static void
drop_stdin(void)
{
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
        die(TCI_EXIT_SYSTEM, "cannot open /dev/null: %s", strerror(errno));
    if (fd > STDERR_FILENO)
        close(fd);
}

int
main(int argc, char **argv)
{
    struct boot boot;
    int code, signals;

    if (argc == 2 && strcmp(argv[1], FILEOP_ARGUMENT) == 0)
        fileop_main();
    forbid_core();
    tasks_limit();
    boot_read(STDIN_FILENO, &boot);
    drop_stdin();
    signals = take_signals();
    code = loop_run(&boot, signals);
    explicit_bzero(&boot, sizeof(boot));
    return code;
}
