/*
 * runtime_crun.c - containers by crun, one process for each start and each removal.
 *
 *   STATE/rootfs              root directory of all containers (rootfs.c)
 *   STATE/containers/ID       a container's bundle: config.json, pid
 *   STATE/crun/ID             crun's own notes of it
 *   cgroups                   cgroup.c
 *
 * The boot record waits in a pipe that becomes the container's stdin.  Its stdout and stderr are a memory file of a fixed
 * size, which also takes crun's own messages: it cannot grow, needs no reader, and is ours alone to read.
 */
#include "runtime_driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cgroup.h"
#include "child.h"
#include "log.h"
#include "mem.h"
#include "ocispec.h"
#include "rootfs.h"
#include "runtime.h"
#include "seccomp.h"
#include "smallfile.h"

enum {
    START_LIMIT_MS = 30000,
    DELETE_LIMIT_MS = 20000,
    PURGE_ATTEMPTS = 100, /* at removing one container at start-up ... */
    PURGE_REST_MS = 30,   /* ... and the time between them */
    OUTPUT_SIZE = 16 << 10,
    WORDS_SIZE = 4 << 10, /* of it that is logged */
    MAX_WORD_LINES = 20,
};

struct crun {
    struct event_base *base;
    char *root, *bundles, *rootfs; /* under the state directory */
    char *worker_path, *link_dir;
    char *program;  /* what is executed: a path, or an open file as one */
    int program_fd; /* -1: program is a path */
    struct cgroup_host *cgroups;
    json_t *seccomp;
};

struct box {
    struct crun *crun;
    char *id, *bundle;
    int stdin_fd;  /* until it has been started */
    int output_fd; /* -1: adopted */
    struct child *child;
    bool failed;
    runtime_started_fn *started;
    runtime_removed_fn *removed;
    void *owner;
};

/* Not ours: it may hold the token. */
static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

/* --- files ---------------------------------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static int
remove_directory(const char *path, struct err *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_MOUNT | FTW_PHYS) < 0 && errno != ENOENT)
        return err_sys(err, "remove %s", path);
    return 0;
}

static int
make_directory(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return err_sys(err, "make %s", path);
    return 0;
}

static int
write_config(const char *bundle, const json_t *spec, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/config.json", bundle);

    if (json_dump_file(spec, path, JSON_COMPACT) < 0)
        return err_sys(err, "write %s", path);
    return 0;
}

/* What make_bundle made.  Takes no descriptor: that there is none left may be why we are here. */
static void
unmake_bundle(const char *bundle)
{
    cleanup_free char *path = xasprintf("%s/config.json", bundle);

    unlink(path);
    rmdir(bundle);
}

static pid_t
read_pid(const char *bundle)
{
    cleanup_free char *path = xasprintf("%s/pid", bundle);
    char text[32];

    smallfile_read(path, text, sizeof(text));
    return smallfile_pid(text);
}

/* --- what the worker wrote ------------------------------------------------------------------ */

static int
make_output(struct err *err)
{
    int fd = memfd_create("tci-worker-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return err_sys(err, "make a file for the worker's messages");
    if (ftruncate(fd, OUTPUT_SIZE) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
        return fd;
    err_sys(err, "fix the size of the file for the worker's messages");
    close(fd);
    return -1;
}

/* What is there up to the first NUL, at most size - 1 bytes. */
static void
read_output(const struct box *box, char *text, size_t size)
{
    ssize_t n = box->output_fd < 0 ? 0 : pread(box->output_fd, text, size - 1, 0);

    text[n > 0 ? n : 0] = '\0';
}

static void
last_words(const void *arg, bool expected)
{
    const struct box *box = arg;
    char text[WORDS_SIZE], *save = NULL;
    int n = 0;

    read_output(box, text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &save); line != NULL && n < MAX_WORD_LINES; n++) {
        if (expected)
            log_debug("worker %s: %s", box->id, line);
        else
            log_warn("worker %s: %s", box->id, line);
        line = strtok_r(NULL, "\n", &save);
    }
}

/* crun's last line, which says what was wrong. */
static void
explain_failure(const struct box *box, const char *why, struct err *err)
{
    char text[WORDS_SIZE];

    read_output(box, text, sizeof(text));
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    const char *newline = strrchr(text, '\n');
    err_set(err, ERR_SYSTEM, "The container could not be started: %s%s%s", why, n > 0 ? ": " : "",
            newline != NULL ? newline + 1 : text);
}

/* --- the program ---------------------------------------------------------------------------- */

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
seal_program(struct crun *crun)
{
    cleanup_close int from = open(crun->program, O_RDONLY | O_CLOEXEC);
    int to = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (to < 0)
        return;
    if (copy_and_seal(from, to) < 0) {
        close(to);
        return;
    }
    free(crun->program);
    /* Opened by the child before it executes anything, so the descriptor itself is not inherited. */
    crun->program = xasprintf("/proc/self/fd/%d", to);
    crun->program_fd = to;
}

/* Fills argv: crun with its global options, then what is given, then NULL. */
#define CRUN_ARGV(crun, ...)                                                                       \
    {                                                                                              \
        "crun", "--root", (crun)->root, "--cgroup-manager=cgroupfs", __VA_ARGS__, NULL             \
    }

static struct child *
launch(struct box *box, const char *const *argv, unsigned limit_ms, child_done_fn *done,
       struct err *err)
{
    const struct child_spec spec = {
        .argv = argv,
        .env = environment,
        .stdin_fd = box->stdin_fd,
        .output_fd = box->stdin_fd >= 0 ? box->output_fd : -1,
        .program = box->crun->program,
        .timeout_ms = limit_ms,
    };

    return child_spawn(box->crun->base, &spec, done, box, err);
}

/* --- start ---------------------------------------------------------------------------------- */

static void
close_stdin(struct box *box)
{
    if (box->stdin_fd >= 0)
        close(box->stdin_fd);
    box->stdin_fd = -1;
}

static void
on_run(void *owner, bool ok, const char *why)
{
    struct box *box = owner;
    struct err err = ERR_INIT;
    pid_t init = ok ? read_pid(box->bundle) : 0;

    box->child = NULL;
    close_stdin(box);
    if (!ok)
        explain_failure(box, why, &err);
    else if (init == 0)
        err_set(&err, ERR_SYSTEM, "The container could not be started: crun names no process");
    box->failed = init == 0;
    box->started(box->owner, init, init == 0 ? &err : NULL);
}

static int
start(void *arg, runtime_started_fn *started, void *owner, struct err *err)
{
    struct box *box = arg;
    cleanup_free char *pid_file = xasprintf("%s/pid", box->bundle);
    const char *argv[] = CRUN_ARGV(box->crun, "run", "--detach", "--bundle", box->bundle,
                                   "--pid-file", pid_file, box->id);

    box->started = started;
    box->owner = owner;
    box->child = launch(box, argv, START_LIMIT_MS, on_run, err);
    return box->child != NULL ? 0 : -1;
}

/* --- removal -------------------------------------------------------------------------------- */

/* Whether the process was started for this bundle: crun, or what it forked and has not executed yet. */
static bool
is_helper(pid_t pid, const char *bundle)
{
    char path[32], text[2048];
    size_t len = strlen(bundle) + 1; /* an argument of its own: with its NUL */

    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    size_t n = smallfile_read(path, text, sizeof(text));
    return n >= len && memcmp(text, "crun", 5) == 0 && memmem(text, n, bundle, len) != NULL;
}

/*
 * A start that was cut off may still be going on in a process that nobody waits for.  True if there was one, or may be:
 * what it does until it is gone may have to be undone.
 */
static bool
kill_helpers(const char *bundle)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    bool any = false;

    if (proc == NULL)
        return true;
    while ((entry = readdir(proc)) != NULL) {
        pid_t pid = smallfile_pid(entry->d_name);

        if (pid > 0 && pid != getpid() && is_helper(pid, bundle))
            any |= kill(pid, SIGKILL) == 0;
    }
    closedir(proc);
    return any;
}

/* What crun left.  -1 while something is there. */
static int
clean_up(const struct crun *crun, const char *id, const char *bundle, bool cut_off, struct err *err)
{
    cleanup_free char *notes = xasprintf("%s/%s", crun->root, id);

    if ((cut_off && kill_helpers(bundle)) || cgroup_kill(crun->cgroups, id))
        return err_set(err, ERR_SYSTEM, "processes are left");
    if (cgroup_remove(crun->cgroups, id, err) < 0 || remove_directory(notes, err) < 0)
        return -1;
    return remove_directory(bundle, err);
}

/* Its answer does not matter: it fails where it has nothing to do, too. */
static void
on_delete(void *owner, bool ok, const char *why)
{
    struct box *box = owner;
    struct err err = ERR_INIT;

    box->child = NULL;
    if (!ok)
        log_debug("container %s: %s", box->id, why);
    int rc = clean_up(box->crun, box->id, box->bundle, box->failed, &err);
    box->removed(box->owner, rc < 0 ? &err : NULL);
}

static int
remove_box(void *arg, runtime_removed_fn *removed, void *owner, struct err *err)
{
    struct box *box = arg;
    const char *argv[] = CRUN_ARGV(box->crun, "delete", "--force", box->id);

    if (box->failed)
        kill_helpers(box->bundle);
    close_stdin(box);
    box->removed = removed;
    box->owner = owner;
    box->child = launch(box, argv, DELETE_LIMIT_MS, on_delete, err);
    return box->child != NULL ? 0 : -1;
}

/* --- boxes ---------------------------------------------------------------------------------- */

static struct box *
box_new(struct crun *crun, const char *id)
{
    struct box *box = xcalloc(1, sizeof(*box));

    box->crun = crun;
    box->id = xstrdup(id);
    box->bundle = xasprintf("%s/%s", crun->bundles, id);
    box->stdin_fd = -1;
    box->output_fd = -1;
    return box;
}

static void
forget(void *arg)
{
    struct box *box = arg;

    if (box->child != NULL)
        child_cancel(box->child);
    close_stdin(box);
    if (box->output_fd >= 0)
        close(box->output_fd);
    free(box->bundle);
    free(box->id);
    free(box);
}

static void *
adopt(void *arg, const char *id)
{
    return box_new(arg, id);
}

/* The reading end of a pipe that has the boot record in it and nothing more to come. */
static int
boot_pipe(const struct container_spec *spec, struct err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, "make a pipe for the boot record");
    ssize_t n = write(ends[1], spec->boot, spec->boot_len);
    close(ends[1]);
    if (n != (ssize_t)spec->boot_len) {
        close(ends[0]);
        return err_set(err, ERR_SYSTEM, "The boot record could not be written");
    }
    return ends[0];
}

static int
make_bundle(const struct crun *crun, const char *bundle, const struct container_spec *spec,
            struct err *err)
{
    const struct ocispec_host host = {
        .rootfs = crun->rootfs,
        .worker_path = crun->worker_path,
        .link_dir = crun->link_dir,
        .seccomp = crun->seccomp,
        .limits_swap = cgroup_limits_swap(crun->cgroups),
        .limits_tcp = cgroup_limits_tcp(crun->cgroups),
    };
    cleanup_free char *cgroup = cgroup_path(crun->cgroups, spec->id);
    json_auto_t *config = ocispec_new(&host, spec, cgroup);

    if (mkdir(bundle, 0700) < 0) /* exists: another container's, not to be touched */
        return err_sys(err, "make %s", bundle);
    int rc = write_config(bundle, config, err);
    if (rc < 0)
        unmake_bundle(bundle);
    return rc;
}

static void *
create(void *arg, const struct container_spec *spec, struct err *err)
{
    struct crun *crun = arg;
    struct box *box = box_new(crun, spec->id);

    box->stdin_fd = boot_pipe(spec, err);
    box->output_fd = box->stdin_fd < 0 ? -1 : make_output(err);
    if (box->output_fd >= 0 && make_bundle(crun, box->bundle, spec, err) == 0)
        return box;
    forget(box);
    return NULL;
}

static bool
was_oom(const void *arg)
{
    const struct box *box = arg;

    return cgroup_oom_killed(box->crun->cgroups, box->id);
}

static void
set_shares(const void *arg, unsigned shares)
{
    const struct box *box = arg;

    cgroup_set_shares(box->crun->cgroups, box->id, shares);
}

/* --- what earlier gateways left ------------------------------------------------------------- */

struct names {
    char **list; /* NULL-terminated */
    size_t n;
};

static void
add_name(void *arg, const char *name)
{
    struct names *names = arg;

    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->list[i], name) == 0)
            return;
    }
    names->list = xrealloc(names->list, (names->n + 2) * sizeof(*names->list));
    names->list[names->n++] = xstrdup(name);
    names->list[names->n] = NULL;
}

static void
add_directories(struct names *names, const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            add_name(names, entry->d_name);
    }
    closedir(dir);
}

static char **
list(void *arg)
{
    struct crun *crun = arg;
    struct names names = {xcalloc(1, sizeof(char *)), 0};

    add_directories(&names, crun->bundles);
    add_directories(&names, crun->root);
    cgroup_each(crun->cgroups, add_name, &names);
    return names.list;
}

/* Runs crun to its end, or to the limit. */
static void
run_delete(const struct crun *crun, const char *id)
{
    const char *argv[] = CRUN_ARGV(crun, "delete", "--force", id);
    posix_spawn_file_actions_t files;
    pid_t pid;

    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    int rc = posix_spawn(&pid, crun->program, &files, NULL, (char *const *)argv,
                         (char *const *)environment);
    posix_spawn_file_actions_destroy(&files);
    if (rc != 0)
        return;
    cleanup_close int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {pidfd, POLLIN, 0};
    if (pidfd >= 0 && poll(&ended, 1, DELETE_LIMIT_MS) != 1)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int
purge(void *arg, const char *id, struct err *err)
{
    static const struct timespec pause = {0, PURGE_REST_MS * 1000000L};
    struct crun *crun = arg;
    cleanup_free char *bundle = xasprintf("%s/%s", crun->bundles, id);

    kill_helpers(bundle);
    cgroup_kill(crun->cgroups, id);
    run_delete(crun, id);
    for (int i = 0; i < PURGE_ATTEMPTS; i++) {
        if (clean_up(crun, id, bundle, true, err) == 0)
            return 0;
        nanosleep(&pause, NULL);
    }
    return -1;
}

/* --- the driver ----------------------------------------------------------------------------- */

static void
close_crun(void *arg)
{
    struct crun *crun = arg;

    cgroup_close(crun->cgroups);
    json_decref(crun->seccomp);
    if (crun->program_fd >= 0)
        close(crun->program_fd);
    free(crun->program);
    free(crun->root);
    free(crun->bundles);
    free(crun->rootfs);
    free(crun->worker_path);
    free(crun->link_dir);
    free(crun);
}

/* A container's root, an unprivileged user of the host, has to come to the root directory. */
static int
check_passable(const char *state_dir, struct err *err)
{
    char *path = xstrdup(state_dir);
    struct stat st;
    int rc = 0;

    for (char *slash; rc == 0 && (slash = strrchr(path, '/')) != NULL; *slash = '\0') {
        if (slash[1] == '\0')
            continue;
        if (stat(path, &st) < 0)
            rc = err_sys(err, "look at %s", path);
        else if (!(st.st_mode & S_IXOTH))
            rc = err_field(err, ERR_CONFIG, "state_dir",
                           "The state directory %s cannot be used: containers, whose users are "
                           "not root on this host, may not pass %s (mode %03o)",
                           state_dir, path, st.st_mode & 0777);
    }
    free(path);
    return rc;
}

static int
prepare(struct crun *crun, const char *state_dir, struct err *err)
{
    crun->program = find_program("crun");
    if (crun->program == NULL)
        return err_field(err, ERR_CONFIG, "runtime", "The program crun is not in PATH");
    seal_program(crun);
    crun->cgroups = cgroup_open("/sys/fs/cgroup", state_dir, err);
    if (crun->cgroups == NULL)
        return -1;
    if (make_directory(state_dir, 0711, err) < 0 || make_directory(crun->root, 0700, err) < 0 ||
        make_directory(crun->bundles, 0700, err) < 0 || check_passable(state_dir, err) < 0)
        return -1;
    return rootfs_make(crun->rootfs, err);
}

static void *
open_crun(struct event_base *base, const struct runtime_host *host, struct err *err)
{
    struct crun *crun = xcalloc(1, sizeof(*crun));

    crun->base = base;
    crun->program_fd = -1;
    crun->root = xasprintf("%s/crun", host->state_dir);
    crun->bundles = xasprintf("%s/containers", host->state_dir);
    crun->rootfs = xasprintf("%s/rootfs", host->state_dir);
    crun->worker_path = xstrdup(host->worker_path);
    crun->link_dir = xstrdup(host->link_dir);
    crun->seccomp = seccomp_profile();
    if (prepare(crun, host->state_dir, err) < 0) {
        close_crun(crun);
        return NULL;
    }
    return crun;
}

const struct runtime_driver runtime_crun = {
    .name = "crun",
    .open = open_crun,
    .close = close_crun,
    .create = create,
    .adopt = adopt,
    .forget = forget,
    .start = start,
    .remove = remove_box,
    .was_oom = was_oom,
    .set_shares = set_shares,
    .last_words = last_words,
    .list = list,
    .purge = purge,
};
