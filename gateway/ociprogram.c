/* ociprogram.c - see ociprogram.h. */
#include "ociprogram.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "smallfile.h"

struct ociprogram {
    char *name;
    char *first;    /* name of what is executed: the program, or what enters something for it */
    char *path;     /* what is executed: a path, or an open file as one */
    int fd;         /* -1: path is a path */
    char **leading; /* argv up to the verb */
    size_t n_leading;
};

/* Not ours: it may hold the token. */
static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

/* --- found, and sealed ---------------------------------------------------------------------- */

static char *
find_program(const char *name)
{
    const char *path = getenv("PATH");

    if (path == NULL)
        path = "/usr/sbin:/usr/bin:/sbin:/bin";
    while (*path != '\0') {
        size_t n = strcspn(path, ":");
        char *file = xasprintf("%.*s/%s", (int)n, path, name);

        if (n > 0 && access(file, X_OK) == 0)
            return file;
        free(file);
        path += n;
        path += *path == ':';
    }
    return NULL;
}

static int
copy_and_seal(int from, int to)
{
    struct stat st;

    if (from < 0 || fstat(from, &st) < 0)
        return -1;
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);

        if (n <= 0)
            return -1;
        left -= n;
    }
    return fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

/*
 * crun will not run from a file that a container could write to: unless it finds itself in a sealed memory file it makes
 * itself a read-only mount and executes that, at every start.  So it gets a sealed memory file, once.  Where that
 * cannot be had, the file is executed as it is.
 */
static void
seal(struct ociprogram *program)
{
    cleanup_close int from = open(program->path, O_RDONLY | O_CLOEXEC);
    int to = memfd_create(program->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (to < 0)
        return;
    if (copy_and_seal(from, to) < 0) {
        close(to);
        return;
    }
    free(program->path);
    /* Opened by the child before it executes anything, so the descriptor itself is not inherited. */
    program->path = xasprintf("/proc/self/fd/%d", to);
    program->fd = to;
}

static void
add_leading(struct ociprogram *program, const char *arg)
{
    size_t size = (program->n_leading + 1) * sizeof(*program->leading);

    assert(program->n_leading < OCIPROGRAM_MAX_ARGS / 2);
    program->leading = xrealloc(program->leading, size);
    program->leading[program->n_leading++] = xstrdup(arg);
}

static bool
is_in_path(const char *name, struct err *err)
{
    cleanup_free char *path = find_program(name);

    if (path == NULL)
        err_field(err, ERR_CONFIG, "runtime",
                  "The program %s, which is to run the containers (TCI_RUNTIME), is not in PATH",
                  name);
    return path != NULL;
}

struct ociprogram *
ociprogram_open(const struct ociprogram_spec *spec, const char *root, struct err *err)
{
    const char *first = spec->enter != NULL ? spec->enter[0] : spec->name;

    if (!is_in_path(spec->name, err) || !is_in_path(first, err))
        return NULL;
    struct ociprogram *program = xcalloc(1, sizeof(*program));
    program->name = xstrdup(spec->name);
    program->first = xstrdup(first);
    program->path = xnotnull(find_program(first));
    program->fd = -1;
    for (const char *const *word = spec->enter; word != NULL && *word != NULL; word++)
        add_leading(program, *word);
    add_leading(program, spec->name);
    add_leading(program, "--root");
    add_leading(program, root);
    for (const char *const *option = spec->options; *option != NULL; option++)
        add_leading(program, *option);
    if (spec->seal && spec->enter == NULL)
        seal(program);
    return program;
}

void
ociprogram_close(struct ociprogram *program)
{
    if (program == NULL)
        return;
    if (program->fd >= 0)
        close(program->fd);
    for (size_t i = 0; i < program->n_leading; i++)
        free(program->leading[i]);
    free(program->leading);
    free(program->path);
    free(program->first);
    free(program->name);
    free(program);
}

/* --- run ------------------------------------------------------------------------------------ */

/* Fills argv, which has room for OCIPROGRAM_MAX_ARGS and a NULL. */
static void
make_argv(const struct ociprogram *program, const char *const *args, const char **argv)
{
    size_t n = 0;

    for (; n < program->n_leading; n++)
        argv[n] = program->leading[n];
    for (; *args != NULL; args++) {
        assert(n < OCIPROGRAM_MAX_ARGS);
        argv[n++] = *args;
    }
    argv[n] = NULL;
}

struct child *
ociprogram_spawn(const struct ociprogram *program, struct event_base *base,
                 const struct ociprogram_run *run, child_done_fn *done, void *owner,
                 struct err *err)
{
    const char *argv[OCIPROGRAM_MAX_ARGS + 1];
    const struct child_spec spec = {
        .argv = argv,
        .env = environment,
        .program = program->path,
        .stdin_fd = run->stdin_fd,
        .output_fd = run->output_fd,
        .timeout_ms = run->limit_ms,
    };

    make_argv(program, run->args, argv);
    return child_spawn(base, &spec, done, owner, err);
}

void
ociprogram_run_quietly(const struct ociprogram *program, const char *const *args, unsigned limit_ms)
{
    const char *argv[OCIPROGRAM_MAX_ARGS + 1];
    posix_spawn_file_actions_t files;
    pid_t pid;

    make_argv(program, args, argv);
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    int rc = posix_spawn(&pid, program->path, &files, NULL, (char *const *)argv,
                         (char *const *)environment);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0)
        return;
    cleanup_close int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {pidfd, POLLIN, 0};
    if (pidfd >= 0 && poll(&ended, 1, (int)limit_ms) != 1)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- found again ---------------------------------------------------------------------------- */

/* Whether the process was started for this bundle: the program, or what it forked and has not executed yet. */
static bool
is_helper(const struct ociprogram *program, pid_t pid, const char *bundle)
{
    char path[32], text[2048];
    size_t name_len = strlen(program->name), len = strlen(bundle) + 1; /* to an argument's end */

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    size_t n = smallfile_read(path, text, sizeof(text));
    if (n < len || memmem(text, n, bundle, len) == NULL)
        return false;
    return strcmp(text, program->first) == 0 || (strncmp(text, program->name, name_len) == 0 &&
                                                 (text[name_len] == '\0' || text[name_len] == '-'));
}

bool
ociprogram_signal_helpers(const struct ociprogram *program, const char *bundle, int signal)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    bool any = false;

    if (proc == NULL)
        return true;
    while ((entry = readdir(proc)) != NULL) {
        pid_t pid = smallfile_pid(entry->d_name);

        if (pid > 0 && pid != getpid() && is_helper(program, pid, bundle))
            any |= kill(pid, signal) == 0;
    }
    closedir(proc);
    return any;
}
