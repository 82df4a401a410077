/* skel.c - see skel.h. */
#include "skel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_CHUNK = 64 << 10, ENTRIES_CHUNK = 4 << 10 };

struct quota {
    unsigned entries;
    long long bytes;
};

static void
close_at(int *fd)
{
    const int saved = errno;

    if (*fd >= 0)
        close(*fd);
    errno = saved;
}

#define cleanup_close __attribute__((cleanup(close_at)))

static int copy_dir(int from, int to, int depth, struct quota *);

static int
over_quota(void)
{
    errno = EFBIG;
    return -1;
}

static int
write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, p, len);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int
copy_bytes(int from, int to, struct quota *q)
{
    static char chunk[COPY_CHUNK];
    ssize_t n;

    while ((n = read(from, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if ((q->bytes += n) > SKEL_MAX_BYTES)
            return over_quota();
        if (write_all(to, chunk, (size_t)n) < 0)
            return -1;
    }
    return 0;
}

/* Modification times are kept because compiled Python files are checked against their source's. */
static int
copy_times(int to, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    return futimens(to, times);
}

static int
copy_file(int from_dir, int to_dir, const char *name, const struct stat *st, struct quota *q)
{
    cleanup_close int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    cleanup_close int to = -1;

    if (from < 0)
        return -1;
    to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                (st->st_mode & 0777) | S_IRUSR | S_IWUSR);
    if (to < 0)
        return errno == EEXIST ? 0 : -1;
    return copy_bytes(from, to, q) < 0 ? -1 : copy_times(to, st);
}

static int
copy_link(int from_dir, int to_dir, const char *name)
{
    char target[PATH_MAX];
    const ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (n < 0)
        return -1;
    target[n] = '\0';
    return symlinkat(target, to_dir, name) < 0 && errno != EEXIST ? -1 : 0;
}

static int
copy_subdir(int from_dir, int to_dir, const char *name, const struct stat *st, int depth,
            struct quota *q)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int from = openat(from_dir, name, flags);
    cleanup_close int to = -1;

    if (from < 0)
        return -1;
    if (depth >= SKEL_MAX_DEPTH)
        return over_quota();
    if (mkdirat(to_dir, name, (st->st_mode & 0777) | S_IRWXU) < 0 && errno != EEXIST)
        return -1;
    to = openat(to_dir, name, flags);
    if (to < 0 || copy_dir(from, to, depth + 1, q) < 0)
        return -1;
    return copy_times(to, st);
}

static int
copy_entry(int from, int to, const char *name, int depth, struct quota *q)
{
    struct stat st;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (++q->entries > SKEL_MAX_ENTRIES)
        return over_quota();
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, name, &st, q);
    if (S_ISDIR(st.st_mode))
        return copy_subdir(from, to, name, &st, depth, q);
    return S_ISLNK(st.st_mode) ? copy_link(from, to, name) : 0;
}

/* getdents64 rather than readdir, which allocates. */
static int
copy_dir(int from, int to, int depth, struct quota *q)
{
    _Alignas(struct dirent64) char entries[ENTRIES_CHUNK];
    ssize_t n;

    while ((n = getdents64(from, entries, sizeof(entries))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *e = (const void *)(entries + at);

            if (copy_entry(from, to, e->d_name, depth, q) < 0)
                return -1;
            at += e->d_reclen;
        }
    return n < 0 ? -1 : 0;
}

int
skel_copy(const char *from, const char *to)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    cleanup_close int from_fd = open(from, flags);
    cleanup_close int to_fd = -1;
    struct quota q = {0, 0};

    if (from_fd < 0)
        return errno == ENOENT ? 0 : -1;
    to_fd = open(to, flags);
    return to_fd < 0 ? -1 : copy_dir(from_fd, to_fd, 0, &q);
}
