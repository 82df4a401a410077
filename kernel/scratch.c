/* scratch.c - see scratch.h. */
#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPEN_DIRECTORIES = 16 };

char *
scratch_new(struct err *err)
{
    const char *top = getenv("TMPDIR");
    char *dir = xasprintf("%s/cells-XXXXXX", top != NULL && top[0] == '/' ? top : "/tmp");

    if (mkdtemp(dir) != NULL)
        return dir;
    err_sys(err, "cannot make the directory %s", dir);
    free(dir);
    return NULL;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    (void)remove(path); /* what cannot be removed stays, and so does its directory */
    return 0;
}

void
scratch_remove(const char *dir)
{
    (void)nftw(dir, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

char *
scratch_subdir(const char *dir, const char *name, struct err *err)
{
    char *path = xasprintf("%s/%s", dir, name);

    scratch_remove(path);
    if (mkdir(path, 0755) == 0)
        return path;
    err_sys(err, "cannot make the directory %s", path);
    free(path);
    return NULL;
}

char *
scratch_write(const char *dir, const char *name, const char *data, size_t len, struct err *err)
{
    char *path = xasprintf("%s/%s", dir, name);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    size_t done = 0;
    ssize_t n = 0;

    while (fd >= 0 && done < len && (n = write(fd, data + done, len - done)) > 0)
        done += (size_t)n;
    if (fd >= 0 && done == len)
        return path;
    err_sys(err, "cannot write %s", path);
    free(path);
    return NULL;
}

int
scratch_fifo(const char *dir, const char *name, char **path, struct err *err)
{
    int fd;

    *path = xasprintf("%s/%s", dir, name);
    if (mkfifo(*path, 0600) == 0 && (fd = open(*path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) >= 0)
        return fd;
    err_sys(err, "cannot make %s", *path);
    free(*path);
    *path = NULL;
    return -1;
}
