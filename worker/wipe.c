/*
 * wipe.c - see wipe.h.
 *
 * What is below a directory at the top is moved up beside it, so that nothing has to be descended into, however deep it is.
 */
#include "wipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A stream of its own over the directory, from its beginning. */
static DIR *
open_at(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (dir == NULL && fd >= 0)
        close(fd);
    return dir;
}

/* Under a name that nothing has. */
static int
move_up(int from, const char *name, int top)
{
    static unsigned long n;
    char fresh[32];

    if (fchmodat(from, name, 0700, 0) < 0) /* moving a directory writes to it */
        return -1;
    do
        snprintf(fresh, sizeof(fresh), ".wipe-%lu", n++);
    while (faccessat(top, fresh, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
    return renameat(from, name, top, fresh);
}

/* Files are removed, directories moved up. */
static int
empty_one(int top, const char *name)
{
    const struct dirent *entry;
    int rc = 0;
    DIR *dir;

    if (fchmodat(top, name, 0700, 0) < 0 || (dir = open_at(top, name)) == NULL)
        return -1;
    while (rc == 0 && (entry = readdir(dir)) != NULL)
        if (!is_dots(entry->d_name) && unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            rc = move_up(dirfd(dir), entry->d_name, top);
    closedir(dir);
    return rc < 0 ? -1 : unlinkat(top, name, AT_REMOVEDIR);
}

/* One look at the directory; *more: it was not empty. */
static int
pass(int top, bool *more)
{
    DIR *dir = open_at(top, ".");
    const struct dirent *entry;
    int rc = 0;

    *more = false;
    if (dir == NULL)
        return -1;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (is_dots(entry->d_name))
            continue;
        *more = true;
        if (unlinkat(top, entry->d_name, 0) < 0)
            rc = empty_one(top, entry->d_name);
    }
    closedir(dir);
    return rc;
}

int
wipe_dir(const char *path)
{
    int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool more = true;
    int rc = top < 0 ? -1 : 0;

    while (rc == 0 && more)
        rc = pass(top, &more);
    if (top >= 0)
        close(top);
    return rc;
}
