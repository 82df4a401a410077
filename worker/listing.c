/* listing.c - see listing.h. */
#include "listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filepath.h"

enum {
    NAMES = 32 << 10, /* bytes of directory entries in one go */
    BREATH = 64,      /* files between two looks at the clock */
};

struct walk {
    struct listing *to;
    dev_t device;     /* of the directory that it began with */
    int64_t until_ns; /* of processor time; 0 = not looked at yet: a few files take none */
};

/* Processor time: how busy others are is no matter of what is there. */
static int64_t
cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool
give_up(struct walk *w)
{
    w->to->whole = false;
    return false;
}

static bool
is_out_of_time(struct walk *w)
{
    if (w->to->n == 0 || w->to->n % BREATH != 0)
        return false;
    if (w->until_ns == 0)
        w->until_ns = cpu_ns() + (int64_t)LISTING_CPU_MS * 1000000;
    return cpu_ns() > w->until_ns;
}

/* Puts "directory/name" behind the other paths; false: there is no room. */
static bool
add_path(struct listing *l, const char *directory, const char *name)
{
    char *out = l->text + l->n_text;

    if (strlen(directory) + strlen(name) + 2 > LISTING_TEXT - l->n_text)
        return false;
    out = stpcpy(out, directory);
    if (directory[0] != '\0')
        *out++ = '/';
    out = stpcpy(out, name) + 1;
    l->n_text = (size_t)(out - l->text);
    return true;
}

static bool
is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static void
describe(struct listing *l, const struct stat *st, uint32_t path)
{
    l->files[l->n++] = (struct listing_file){
        .path = path,
        .is_dir = S_ISDIR(st->st_mode),
        .inode = st->st_ino,
        .size = (uint64_t)st->st_size,
        .modified = st->st_mtim,
        .changed = st->st_ctim,
    };
    if (!S_ISDIR(st->st_mode) && is_later(&st->st_ctim, &l->newest))
        l->newest = st->st_ctim;
}

/* False: no more.  What has gone meanwhile is not there, and what is mounted is not the directory's. */
static bool
add(struct walk *w, int fd, const char *directory, const char *name)
{
    struct listing *l = w->to;
    const uint32_t path = (uint32_t)l->n_text;
    struct stat st;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || give_up(w);
    if (st.st_dev != w->device)
        return true;
    if (l->n == LISTING_MAX || is_out_of_time(w) || !add_path(l, directory, name))
        return give_up(w);
    describe(l, &st, path);
    return true;
}

/* All names of one directory, before anything below it: so one buffer does for all. */
static bool
read_directory(struct walk *w, int fd, const char *directory)
{
    static char names[NAMES] __attribute__((aligned(8)));
    ssize_t n;

    while ((n = getdents64(fd, names, sizeof(names))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(names + at);

            if (!add(w, fd, directory, entry->d_name))
                return false;
            at += entry->d_reclen;
        }
    }
    return n == 0 || give_up(w);
}

static const char *
last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* False: no more. */
static bool
walk(struct walk *w, int fd, const char *directory, unsigned depth)
{
    const size_t first = w->to->n;
    bool more = read_directory(w, fd, directory);
    const size_t end = w->to->n;

    for (size_t i = first; more && i < end; i++) {
        const char *path = listing_path(w->to, i);
        int below;

        if (!w->to->files[i].is_dir)
            continue;
        below = depth < LISTING_DEPTH ? filepath_directory(fd, last_name(path), O_NONBLOCK) : -1;
        if (below < 0) {
            more = depth < LISTING_DEPTH && errno == ENOENT ? true : give_up(w);
            continue;
        }
        more = walk(w, below, path, depth + 1);
        close(below);
    }
    return more;
}

int
listing_open(const char *dir)
{
    return open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A later change has a later time, however coarse the clock is that files have theirs from. */
static bool
is_settled(const struct stat *st)
{
    return st->st_ctim.tv_sec + 1 < time(NULL);
}

static bool
is_empty_still(const struct listing *l, const struct stat *st)
{
    return l->empty.tv_sec > 0 && l->empty.tv_sec == st->st_ctim.tv_sec &&
           l->empty.tv_nsec == st->st_ctim.tv_nsec;
}

void
listing_read(struct listing *l, int dir)
{
    struct walk w = {.to = l};
    struct stat st;
    const bool there = dir >= 0 && fstat(dir, &st) == 0;

    if (there && is_empty_still(l, &st))
        return;
    l->n = l->n_text = 0;
    l->newest = l->empty = (struct timespec){0, 0};
    l->whole = there && lseek(dir, 0, SEEK_SET) == 0;
    if (!l->whole)
        return;
    w.device = st.st_dev;
    if (walk(&w, dir, "", 1) && l->n == 0 && is_settled(&st))
        l->empty = st.st_ctim;
}
