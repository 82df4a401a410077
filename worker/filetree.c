/*
 * filetree.c - see filetree.h.
 *
 * A directory may have a million entries, and change while it is read.  So it is read from its beginning for each batch,
 * which are the smallest names behind the last of the batch before.
 */
#include "filetree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "die.h"
#include "filepath.h"
#include "protocol.h"

#define TIME_FIRST INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define TIME_LAST INT64_C(253402300799)  /* 9999-12-31T23:59:59Z */

struct batch {
    char *names[FILETREE_BATCH];
    size_t n;
};

static void
batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->names[i]);
    b->n = 0;
}

/* Where the name is, or has to be. */
static size_t
batch_find(const struct batch *b, const char *name)
{
    size_t low = 0, high = b->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (strcmp(b->names[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
batch_add(struct batch *b, const char *name)
{
    size_t at;

    if (b->n == FILETREE_BATCH && strcmp(name, b->names[b->n - 1]) >= 0)
        return;
    at = batch_find(b, name);
    if (b->n == FILETREE_BATCH)
        free(b->names[--b->n]);
    memmove(b->names + at + 1, b->names + at, (b->n - at) * sizeof(b->names[0]));
    b->names[at] = strdup(name);
    if (b->names[at] == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    b->n++;
}

static bool
is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A stream over the directory, from its beginning; the descriptor stays the caller's. */
static DIR *
open_stream(int dir)
{
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL && fd >= 0)
        close(fd);
    return stream;
}

/* The smallest names from `from` on, itself only if it is wanted. */
static int
batch_read(struct batch *b, int dir, const char *from, bool inclusive)
{
    DIR *stream = open_stream(dir);
    const struct dirent *e;

    if (stream == NULL)
        return -1;
    while ((e = readdir(stream)) != NULL) {
        const int order = strcmp(e->d_name, from);

        if (!is_dot(e->d_name) && (order > 0 || (order == 0 && inclusive)))
            batch_add(b, e->d_name);
    }
    closedir(stream);
    return 0;
}

/* --- walking ------------------------------------------------------------------------------ */

/* Where a walk is.  Each directory's is on the stack of that before it. */
struct place {
    struct filetree_walk *walk;
    char path[FILEPATH_MAX + 1];
    size_t len;
    int depth;
};

static int walk_dir(struct place *, int dir, const char *after);

static int
walk_into(struct place *p, int dir, const char *name, const char *after)
{
    const int sub = filepath_directory(dir, name, O_NONBLOCK);
    int rc;

    if (sub < 0)
        return errno == EMFILE ? -1 : 0; /* it has gone, or is closed to the user */
    if (p->depth == FILETREE_DEPTH) {
        p->walk->truncated = true;
        close(sub);
        return 0;
    }
    p->depth++;
    rc = walk_dir(p, sub, after);
    p->depth--;
    close(sub);
    return rc;
}

/* after: NULL for one that has not been visited; else where in it to go on. */
static int
walk_entry(struct place *p, int dir, const char *name, const char *after)
{
    const size_t len = p->len, name_len = strlen(name);
    struct stat st;
    const struct filetree_entry e = {dir, name, p->path, &st};
    int rc = 0;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (len + name_len + 1 > FILEPATH_MAX) {
        p->walk->truncated = true;
        return 0;
    }
    if (len > 0)
        p->path[p->len++] = '/';
    memcpy(p->path + p->len, name, name_len + 1);
    p->len += name_len;
    if (after == NULL)
        rc = p->walk->visit(p->walk->arg, &e);
    if (rc == 0 && S_ISDIR(st.st_mode) && p->walk->recursive)
        rc = walk_into(p, dir, name, after ? after : "");
    p->len = len;
    p->path[len] = '\0';
    return rc;
}

static int
walk_batch(struct place *p, int dir, const struct batch *b, const char *first, const char *rest)
{
    int rc = 0;

    for (size_t i = 0; i < b->n && rc == 0; i++)
        rc = walk_entry(p, dir, b->names[i], strcmp(b->names[i], first) == 0 ? rest : NULL);
    return rc;
}

static int
walk_dir(struct place *p, int dir, const char *after)
{
    const size_t len = strcspn(after, "/");
    const char *rest = after[len] ? after + len + 1 : "";
    char from[NAME_MAX + 1] = "", first[NAME_MAX + 1] = "";
    bool inclusive = len > 0;
    struct batch *b = calloc(1, sizeof(*b));
    int rc = 0;
    bool full = true;

    if (b == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    memcpy(first, after, len <= NAME_MAX ? len : NAME_MAX);
    memcpy(from, first, sizeof(from));
    while (rc == 0 && full) {
        rc = batch_read(b, dir, from, inclusive);
        if (rc == 0)
            rc = walk_batch(p, dir, b, first, rest);
        full = b->n == FILETREE_BATCH;
        if (b->n > 0)
            memcpy(from, b->names[b->n - 1], strlen(b->names[b->n - 1]) + 1);
        inclusive = false;
        batch_clear(b);
    }
    free(b);
    return rc;
}

int
filetree_walk(int dir, const char *prefix, struct filetree_walk *walk)
{
    struct place p = {.walk = walk};

    p.len = (size_t)snprintf(p.path, sizeof(p.path), "%s", prefix);
    return walk_dir(&p, dir, walk->after);
}

/* --- removing ----------------------------------------------------------------------------- */

/* A tree may be deeper than there are descriptors: what lies deep is moved up to where the removal began. */
struct removal {
    int top;
    unsigned moved;
    int depth;
};

static int remove_all(struct removal *, int dir);

/* A name that nobody has thought of; where it is taken, the next one is tried. */
static int
move_up(struct removal *r, int dir, const char *name)
{
    char to[48];

    for (int i = 0; i < 1000; i++) {
        snprintf(to, sizeof(to), ".tci-removed-%d-%u", (int)getpid(), r->moved++);
        if (renameat2(dir, name, r->top, to, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Its owner may have closed a directory to himself. */
static int
open_to_remove(int dir, const char *name)
{
    int fd = filepath_directory(dir, name, O_NONBLOCK);

    if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
        fd = filepath_directory(dir, name, O_NONBLOCK);
    return fd;
}

static int
remove_dir(struct removal *r, int dir, const char *name)
{
    int sub, rc;

    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno == EACCES)
        (void)fchmod(dir, 0700);
    if (r->depth == FILETREE_DEPTH)
        return move_up(r, dir, name);
    sub = open_to_remove(dir, name);
    if (sub < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    r->depth++;
    rc = remove_all(r, sub);
    r->depth--;
    close(sub);
    if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return -1;
    return rc;
}

static int
remove_one(struct removal *r, int dir, const char *name)
{
    int rc = unlinkat(dir, name, 0);

    if (rc < 0 && errno == EACCES && fchmod(dir, 0700) == 0)
        rc = unlinkat(dir, name, 0);
    if (rc == 0 || errno == ENOENT)
        return 0;
    return errno == EISDIR || errno == EPERM ? remove_dir(r, dir, name) : -1;
}

/* Removing while reading may leave something out: until nothing was there. */
static int
remove_all(struct removal *r, int dir)
{
    unsigned n, rounds = 0;
    int rc = 0;

    do {
        DIR *stream = open_stream(dir);
        const struct dirent *e;

        if (stream == NULL)
            return -1;
        for (n = 0; rc == 0 && (e = readdir(stream)) != NULL; n += !is_dot(e->d_name))
            if (!is_dot(e->d_name))
                rc = remove_one(r, dir, e->d_name);
        closedir(stream);
    } while (rc == 0 && n > 0 && ++rounds < 1000);
    return rc;
}

int
filetree_empty(int dir)
{
    struct removal r = {.top = dir};

    return remove_all(&r, dir);
}

int
filetree_remove(int dir, const char *name)
{
    struct removal r = {.top = -1};
    int rc = unlinkat(dir, name, 0);

    if (rc == 0 || (errno != EISDIR && errno != EPERM))
        return rc;
    r.top = open_to_remove(dir, name);
    if (r.top < 0)
        return -1;
    rc = remove_all(&r, r.top);
    close(r.top);
    return rc < 0 ? rc : unlinkat(dir, name, AT_REMOVEDIR);
}

/* --- what is told of them ----------------------------------------------------------------- */

static const char *
type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    default:
        return "other";
    }
}

void
filetree_etag(const struct stat *st, char out[FILETREE_ETAG_MAX])
{
    snprintf(out, FILETREE_ETAG_MAX, "%llx-%llx-%llx%09lx", (unsigned long long)st->st_ino,
             (unsigned long long)st->st_size, (unsigned long long)st->st_ctim.tv_sec,
             (unsigned long)st->st_ctim.tv_nsec);
}

/* A file may have any time; those that RFC 3339 has no year for are told as the nearest second that it has. */
static json_t *
time_text(const struct timespec *t)
{
    const time_t seconds = t->tv_sec < TIME_FIRST  ? TIME_FIRST
                           : t->tv_sec > TIME_LAST ? TIME_LAST
                                                   : t->tv_sec;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    return json_sprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
                        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t->tv_nsec / 1000000);
}

/* Names are bytes and JSON is UTF-8: what is none comes with the bytes that are none as '?', and as unreachable. */
static void
set_text(json_t *object, const char *key, const char *text)
{
    char copy[FILEPATH_MAX + 1];
    json_t *string = json_string(text);

    if (string == NULL) {
        snprintf(copy, sizeof(copy), "%s", text);
        for (char *p = copy; *p; p++)
            if (*p & 0x80)
                *p = '?';
        string = json_string(copy);
        json_object_set_new(object, "unreachable", json_true());
    }
    json_object_set_new(object, key, string);
}

json_t *
filetree_describe(const struct filetree_entry *e)
{
    json_t *entry = json_object();
    char etag[FILETREE_ETAG_MAX], target[FILEPATH_MAX + 1];
    ssize_t n;

    filetree_etag(e->st, etag);
    set_text(entry, "path", e->path);
    json_object_set_new(entry, "type", json_string(type_of(e->st->st_mode)));
    json_object_set_new(entry, "size", json_integer(S_ISREG(e->st->st_mode) ? e->st->st_size : 0));
    json_object_set_new(entry, "mode", json_sprintf("%04o", (unsigned)e->st->st_mode & 07777));
    json_object_set_new(entry, "modified_at", time_text(&e->st->st_mtim));
    json_object_set_new(entry, "etag", json_string(etag));
    if (S_ISLNK(e->st->st_mode) &&
        (n = readlinkat(e->dir, e->name, target, sizeof(target) - 1)) >= 0) {
        target[n] = '\0';
        set_text(entry, "target", target);
    }
    return entry;
}
