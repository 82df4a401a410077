/*
 * changes.c - see changes.h.
 *
 * Most of two listings is the same in the same order, at their beginning and at their end.  What is between is put in order by
 * path and merged.
 */
#include "changes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "die.h"
#include "listing.h"
#include "protocol.h"

enum { MAX_TICK_NS = 10000000 };

struct change {
    char kind; /* enum tci_change */
    const char *path;
};

/* One that is to be merged. */
struct merged {
    const struct listing_file *file;
};

struct changes {
    const char *path;
    int dir;     /* listing_open; -1: not yet */
    bool coarse; /* times of files are those of the last tick */
    struct listing before, after;
    struct merged sorted[2][LISTING_MAX]; /* before, after */
    struct change found[2 * LISTING_MAX];
    size_t n_found;
    char flags;
    char text[TCI_CHANGES_MAX];
    size_t n_text;
};

/* From Linux 6.13 on a file whose times have been looked at gets an exact one with its next change. */
static bool
has_coarse_times(void)
{
    struct utsname host;
    unsigned major, minor;

    return uname(&host) < 0 || sscanf(host.release, "%u.%u", &major, &minor) != 2 || major < 6 ||
           (major == 6 && minor < 13);
}

struct changes *
changes_new(const char *dir)
{
    struct changes *c = calloc(1, sizeof(*c)); /* pages that nobody needs are never there */

    if (c == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    c->path = dir;
    c->dir = -1;
    c->coarse = has_coarse_times();
    return c;
}

void
changes_free(struct changes *c)
{
    if (c && c->dir >= 0)
        close(c->dir);
    free(c);
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static void
outwait_tick(const struct timespec *newest)
{
    struct timespec now, tick;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (is_before(newest, &now))
        return;
    clock_getres(CLOCK_REALTIME_COARSE, &tick);
    if (tick.tv_sec > 0 || tick.tv_nsec > MAX_TICK_NS)
        tick = (struct timespec){0, MAX_TICK_NS};
    nanosleep(&tick, NULL);
}

void
changes_begin(struct changes *c)
{
    if (c->dir < 0)
        c->dir = listing_open(c->path);
    listing_read(&c->before, c->dir);
    if (c->coarse && c->before.whole && c->before.n > 0)
        outwait_tick(&c->before.newest);
}

/* --- what is different -------------------------------------------------------------------- */

static void
find(struct changes *c, enum tci_change kind, const char *path)
{
    c->found[c->n_found++] = (struct change){(char)kind, path};
}

static bool
is_same(const struct listing_file *a, const struct listing_file *b)
{
    return a->inode == b->inode && a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* One that was, one that is, or both, under the same path.  What was not seen again may be where nobody has looked. */
static void
compare(struct changes *c, const struct listing_file *was, const struct listing_file *is)
{
    const bool file_was = was && !was->is_dir, file_is = is && !is->is_dir;

    if (file_was && file_is && !is_same(was, is))
        find(c, TCI_CHANGED, c->after.text + is->path);
    else if (file_is && !file_was)
        find(c, TCI_CREATED, c->after.text + is->path);
    else if (file_was && !file_is && c->after.whole)
        find(c, TCI_DELETED, c->before.text + was->path);
}

static int
by_path(const void *a, const void *b, void *text)
{
    const struct merged *x = a, *y = b;

    return strcmp((const char *)text + x->file->path, (const char *)text + y->file->path);
}

/* Files first to end of a listing, in order of their paths, behind NULL. */
static size_t
sort(struct listing *l, size_t first, size_t end, struct merged *out)
{
    for (size_t i = first; i < end; i++)
        out[i - first].file = &l->files[i];
    qsort_r(out, end - first, sizeof(*out), by_path, l->text);
    return end - first;
}

static void
merge(struct changes *c, size_t n_was, size_t n_is)
{
    const struct merged *was = c->sorted[0], *is = c->sorted[1];
    size_t i = 0, j = 0;

    while (i < n_was || j < n_is) {
        const int order = i == n_was  ? 1
                          : j == n_is ? -1
                                      : strcmp(c->before.text + was[i].file->path,
                                               c->after.text + is[j].file->path);

        compare(c, order <= 0 ? was[i].file : NULL, order >= 0 ? is[j].file : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

static bool
is_same_path(const struct changes *c, size_t i, size_t j)
{
    return strcmp(listing_path(&c->before, i), listing_path(&c->after, j)) == 0;
}

static void
compare_all(struct changes *c)
{
    size_t first = 0, was_end = c->before.n, is_end = c->after.n;

    c->n_found = 0;
    for (; first < was_end && first < is_end && is_same_path(c, first, first); first++)
        compare(c, &c->before.files[first], &c->after.files[first]);
    while (was_end > first && is_end > first && is_same_path(c, was_end - 1, is_end - 1)) {
        was_end--;
        is_end--;
        compare(c, &c->before.files[was_end], &c->after.files[is_end]);
    }
    merge(c, sort(&c->before, first, was_end, c->sorted[0]),
          sort(&c->after, first, is_end, c->sorted[1]));
}

/* --- as text ------------------------------------------------------------------------------ */

static int
by_change(const void *a, const void *b)
{
    return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

static bool
put(struct changes *c, const struct change *change)
{
    const size_t len = strlen(change->path) + 1;

    if (1 + len > sizeof(c->text) - c->n_text)
        return false;
    c->text[c->n_text] = change->kind;
    memcpy(c->text + c->n_text + 1, change->path, len);
    c->n_text += 1 + len;
    return true;
}

static bool
write_all(struct changes *c)
{
    qsort(c->found, c->n_found, sizeof(c->found[0]), by_change);
    c->n_text = 0;
    for (size_t i = 0; i < c->n_found; i++)
        if (i == TCI_CHANGES_MAX_PATHS || !put(c, &c->found[i]))
            return false;
    return true;
}

bool
changes_end(struct changes *c, struct frame frames[2])
{
    c->n_text = 0;
    c->flags = TCI_CHANGES_UNKNOWN;
    if (c->before.whole) {
        listing_read(&c->after, c->dir);
        compare_all(c);
        c->flags = write_all(c) && c->after.whole ? TCI_CHANGES_ALL : TCI_CHANGES_SOME;
    }
    frames[0] = (struct frame){&c->flags, 1};
    frames[1] = (struct frame){c->text, c->n_text};
    return c->flags != TCI_CHANGES_ALL || c->n_text > 0;
}
