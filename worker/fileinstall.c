/*
 * fileinstall.c - packages, installed by their language's own tool.  Part of fileop.h.
 *
 * It runs in a container that nobody has, which ends when they have been fetched from it.
 */
#include "fileop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fileio.h"
#include "protocol.h"

enum {
    MAX_ARGUMENTS = 512,
    CHUNK = 16 << 10,
    CHARACTER = 4, /* bytes of one, at most */
    EXIT_UNKNOWN = -1,
};

/* One of the program's two outputs. */
struct output {
    int fd;
    char text[CHUNK];
    size_t len;
};

/* --- the program -------------------------------------------------------------------------- */

/* NULL-terminated, of the request's own strings. */
static char **
arguments(const json_t *list)
{
    const size_t n = json_array_size(list);
    char **argv;

    if (n < 1 || n > MAX_ARGUMENTS || (argv = calloc(n + 1, sizeof(*argv))) == NULL)
        fileio_fail("invalid", "That is no program to run");
    for (size_t i = 0; i < n; i++) {
        argv[i] = (char *)json_string_value(json_array_get(list, i));
        if (argv[i] == NULL)
            fileio_fail("invalid", "That is no program to run");
    }
    return argv;
}

static void
make_directory(int root, const char *name)
{
    if (mkdirat(root, name, 0755) < 0 && errno != EEXIST)
        fileio_fail_errno();
}

static void __attribute__((noreturn))
run(int root, char *const argv[], char *const env[], const int ends[2])
{
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(ends[0], STDOUT_FILENO) < 0 ||
        dup2(ends[1], STDERR_FILENO) < 0 || fchdir(root) < 0)
        _exit(126);
    execve(argv[0], argv, env);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static pid_t
start(int root, const json_t *request, struct output outputs[2])
{
    char **argv = arguments(json_object_get(request, "argv"));
    char **env = arguments(json_object_get(request, "env"));
    int out[2], err[2];
    pid_t pid;

    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        fileio_fail_errno();
    pid = fork();
    if (pid < 0)
        fileio_fail_errno();
    if (pid == 0)
        run(root, argv, env, (const int[]){out[1], err[1]});
    close(out[1]);
    close(err[1]);
    free(argv);
    free(env);
    outputs[0].fd = out[0];
    outputs[1].fd = err[0];
    return pid;
}

/* --- what it says ------------------------------------------------------------------------- */

/* As much of it as is whole characters; what is none is told as '?'. */
static json_t *
take_text(struct output *o, bool all)
{
    const size_t len = o->len;
    json_t *text = NULL;
    size_t kept = 0;

    while (kept < CHARACTER && kept < len && (text = json_stringn(o->text, len - kept)) == NULL)
        kept++;
    if (text == NULL || (all && kept > 0)) {
        for (size_t i = 0; i < len; i++)
            if (o->text[i] & 0x80)
                o->text[i] = '?';
        json_decref(text);
        text = json_stringn(o->text, len);
        kept = 0;
    }
    memmove(o->text, o->text + len - kept, kept);
    o->len = kept;
    return text;
}

static void
tell(struct output *o, int fd, bool all)
{
    if (o->len > 0)
        fileio_reply(json_pack("{s:i,s:o}", "fd", fd, "text", take_text(o, all)));
}

/* What there is to be read of it now. */
static void
follow(struct output *o, int fd)
{
    const ssize_t n = read(o->fd, o->text + o->len, sizeof(o->text) - o->len);

    if (n < 0 && errno == EINTR)
        return;
    if (n > 0) {
        o->len += (size_t)n;
        tell(o, fd, false);
        return;
    }
    tell(o, fd, true);
    close(o->fd);
    o->fd = -1; /* which poll passes over */
}

static void
follow_both(struct output outputs[2])
{
    while (outputs[0].fd >= 0 || outputs[1].fd >= 0) {
        struct pollfd fds[2] = {{outputs[0].fd, POLLIN, 0}, {outputs[1].fd, POLLIN, 0}};

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fileio_break();
        for (int i = 0; i < 2; i++)
            if (outputs[i].fd >= 0 && fds[i].revents)
                follow(&outputs[i], i + 1);
    }
}

static int
status_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_UNKNOWN;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_UNKNOWN;
}

void
fileop_install(int root, const json_t *request)
{
    static struct output outputs[2];
    pid_t pid;

    make_directory(root, TCI_INSTALL_TARGET);
    make_directory(root, TCI_INSTALL_TEMPORARY);
    pid = start(root, request, outputs);
    fileio_reply(json_object());
    follow_both(outputs);
    fileio_reply(json_pack("{s:i}", "exit", status_of(pid)));
}
