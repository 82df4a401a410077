/* ocibundle.c - see ocibundle.h. */
#include "ocibundle.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "log.h"
#include "runtime.h"
#include "smallfile.h"

enum {
    OUTPUT_SIZE = 16 << 10,
    WORDS_SIZE = 4 << 10, /* of it that is logged */
    MAX_WORD_LINES = 20,
};

/* --- files ---------------------------------------------------------------------------------- */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int
ocibundle_remove_tree(const char *path, struct err *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_MOUNT | FTW_PHYS) < 0 && errno != ENOENT)
        return err_sys(err, "remove %s", path);
    return 0;
}

static int
write_config(const char *dir, const json_t *config, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/config.json", dir);

    if (json_dump_file(config, path, JSON_COMPACT) < 0)
        return err_sys(err, "write %s", path);
    return 0;
}

json_t *
ocibundle_config(const char *dir)
{
    cleanup_free char *path = xasprintf("%s/config.json", dir);

    return json_load_file(path, 0, NULL);
}

/* What make_directory made.  Takes no descriptor: that there is none left may be why we are here. */
static void
unmake_directory(const char *dir)
{
    cleanup_free char *path = xasprintf("%s/config.json", dir);

    unlink(path);
    rmdir(dir);
}

static int
make_directory(const char *dir, const json_t *config, struct err *err)
{
    if (mkdir(dir, 0700) < 0)
        return err_sys(err, "make %s", dir);
    int rc = write_config(dir, config, err);
    if (rc < 0)
        unmake_directory(dir);
    return rc;
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
make_output(struct err *err)
{
    int fd = memfd_create("tci-worker-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return err_sys(err, "make a file for the worker's messages");
    /* Its mode: a container's own kernel may let others than the worker open it again, through /proc. */
    if (fchmod(fd, 0600) == 0 && ftruncate(fd, OUTPUT_SIZE) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
        return fd;
    err_sys(err, "fix the size of the file for the worker's messages");
    close(fd);
    return -1;
}

/* --- a bundle ------------------------------------------------------------------------------- */

void
ocibundle_init(struct ocibundle *bundle, const char *dir)
{
    bundle->dir = xstrdup(dir);
    bundle->pid_file = xasprintf("%s/pid", dir);
    bundle->stdin_fd = -1;
    bundle->output_fd = -1;
}

int
ocibundle_make(struct ocibundle *bundle, const json_t *config, const struct container_spec *spec,
               struct err *err)
{
    bundle->stdin_fd = boot_pipe(spec, err);
    bundle->output_fd = bundle->stdin_fd < 0 ? -1 : make_output(err);
    return bundle->output_fd < 0 ? -1 : make_directory(bundle->dir, config, err);
}

void
ocibundle_close_stdin(struct ocibundle *bundle)
{
    if (bundle->stdin_fd >= 0)
        close(bundle->stdin_fd);
    bundle->stdin_fd = -1;
}

void
ocibundle_clear(struct ocibundle *bundle)
{
    ocibundle_close_stdin(bundle);
    if (bundle->output_fd >= 0)
        close(bundle->output_fd);
    free(bundle->pid_file);
    free(bundle->dir);
}

pid_t
ocibundle_pid(const struct ocibundle *bundle)
{
    char text[32];

    errno = ESRCH;
    smallfile_read(bundle->pid_file, text, sizeof(text));
    return smallfile_pid(text);
}

/* --- what was written ----------------------------------------------------------------------- */

/* What is there up to the first NUL, at most size - 1 bytes. */
static void
read_output(const struct ocibundle *bundle, char *text, size_t size)
{
    ssize_t n = bundle->output_fd < 0 ? 0 : pread(bundle->output_fd, text, size - 1, 0);

    text[n > 0 ? n : 0] = '\0';
}

void
ocibundle_log_output(const struct ocibundle *bundle, const char *id, bool expected)
{
    char text[WORDS_SIZE], *save = NULL;
    int n = 0;

    read_output(bundle, text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &save); line != NULL && n < MAX_WORD_LINES; n++) {
        if (expected)
            log_debug("worker %s: %s", id, line);
        else
            log_warn("worker %s: %s", id, line);
        line = strtok_r(NULL, "\n", &save);
    }
}

void
ocibundle_explain(const struct ocibundle *bundle, const char *why, struct err *err)
{
    char text[WORDS_SIZE];

    read_output(bundle, text, sizeof(text));
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    const char *newline = strrchr(text, '\n');
    err_set(err, ERR_SYSTEM, "The container could not be started: %s%s%s", why, n > 0 ? ": " : "",
            newline != NULL ? newline + 1 : text);
}
