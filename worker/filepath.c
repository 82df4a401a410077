/* filepath.c - see filepath.h. */
#include "filepath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RETRIES = 64 }; /* of a path that somebody else changes all the time */

static int
keep_errno_close(int fd)
{
    const int saved = errno;

    close(fd);
    errno = saved;
    return -1;
}

static bool
has_openat2(void)
{
    static int has = -1;

    if (has < 0)
        has = syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == 0 || errno != ENOSYS;
    return has;
}

/* gVisor (release 20221219) goes through a link in spite of O_NOFOLLOW when O_DIRECTORY is with it. */
static int
open_checked(int at, const char *name, int flags)
{
    const int found = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int fd;

    if (found < 0)
        return -1;
    if (fstat(found, &st) < 0)
        return keep_errno_close(found);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return keep_errno_close(found);
    }
    fd = openat(found, ".", flags);
    (void)keep_errno_close(found);
    return fd;
}

int
filepath_directory(int at, const char *name, int flags)
{
    flags |= O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    return has_openat2() ? openat(at, name, flags) : open_checked(at, name, flags);
}

/* Component by component, through no link at all. */
static int
walk(int root, const char *path, int flags)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);

    while (at >= 0) {
        const char *slash = strchrnul(path, '/');
        char name[NAME_MAX + 1];
        int next;

        memcpy(name, path, (size_t)(slash - path));
        name[slash - path] = '\0';
        next = *slash || (flags & O_DIRECTORY)
                   ? filepath_directory(at, name, *slash ? 0 : flags)
                   : openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC, 0644);
        (void)keep_errno_close(at);
        if (next < 0 || *slash == '\0')
            return next;
        at = next;
        path = slash + 1;
    }
    return -1;
}

int
filepath_open(int root, const char *path, int flags)
{
    const struct open_how how = {
        .flags = (uint64_t)(uint32_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;

    if (!pathrule_allows(path)) {
        errno = EINVAL;
        return -1;
    }
    if (path[0] == '\0')
        return openat(root, ".", flags | O_CLOEXEC);
    for (int i = 0; i < RETRIES; i++) {
        fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 && errno == ENOSYS ? walk(root, path, flags) : fd;
}

int
filepath_parent(int root, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char parent[FILEPATH_MAX + 1] = "";

    if (!pathrule_allows(path) || path[0] == '\0') {
        errno = path[0] == '\0' ? EBUSY : EINVAL;
        return -1;
    }
    if (slash)
        memcpy(parent, path, (size_t)(slash - path));
    *name = slash ? slash + 1 : path;
    return filepath_open(root, parent, O_RDONLY | O_DIRECTORY);
}

static int
make_one(int root, const char *path)
{
    const char *name;
    const int dir = filepath_parent(root, path, &name);

    if (dir < 0)
        return -1;
    if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
        return keep_errno_close(dir);
    close(dir);
    return 0;
}

/* Most of the time all of them are there already. */
int
filepath_make_parents(int root, const char *path)
{
    char prefix[FILEPATH_MAX + 1];
    const char *name;
    int dir = filepath_parent(root, path, &name);

    if (dir >= 0) {
        close(dir);
        return 0;
    }
    if (errno != ENOENT)
        return -1;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        memcpy(prefix, path, (size_t)(slash - path));
        prefix[slash - path] = '\0';
        if (make_one(root, prefix) < 0)
            return -1;
    }
    return 0;
}
