/*
 * filewatch.c - what changes below a directory, told as it happens.  Part of fileop.h.
 *
 * By looking again and again, and comparing: inotify's instances are counted for the host's root, to whom all containers'
 * user namespaces belong, so no sandbox may have any (gateway/seccomp.c).
 */
#include "fileop.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "die.h"
#include "fileio.h"
#include "filepath.h"
#include "filetree.h"
#include "protocol.h"

enum {
    WATCH_MAX = 10000, /* files; more are not watched */
    INTERVAL_MS = 400, /* between two looks ... */
    IDLE_FACTOR = 9,   /* ... and at least so many times as long as one takes */
    EVENTS_MAX = 1000, /* of one look; more are told as one that says so */
};

struct seen {
    char *path;
    bool is_dir;
    char etag[FILETREE_ETAG_MAX];
};

struct snapshot {
    struct seen *seen; /* in the order of the walk */
    size_t n;
};

static int
see(void *arg, const struct filetree_entry *e)
{
    struct snapshot *s = arg;
    struct seen *one = &s->seen[s->n];

    if (s->n == WATCH_MAX)
        return 1;
    one->path = strdup(e->path);
    if (one->path == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    one->is_dir = S_ISDIR(e->st->st_mode);
    filetree_etag(e->st, one->etag);
    s->n++;
    return 0;
}

static void
snapshot_clear(struct snapshot *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->seen[i].path);
    s->n = 0;
}

/* 0: all of it.  1: there are too many files. */
static int
look(int root, const char *path, bool recursive, struct snapshot *s)
{
    struct filetree_walk walk = {see, s, recursive, "", false};
    const int dir = filepath_open(root, path, O_RDONLY | O_DIRECTORY);
    int rc;

    if (dir < 0)
        return 0; /* it may come back */
    rc = filetree_walk(dir, path, &walk);
    close(dir);
    return rc > 0;
}

/* As a walk has it: what is in a directory behind it, and before what the directory's name is less than. */
static int
order(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (*a == '\0' || *b == '\0')
        return (unsigned char)*a - (unsigned char)*b;
    if (*a == '/' || *b == '/')
        return *a == '/' ? -1 : 1;
    return (unsigned char)*a - (unsigned char)*b;
}

static void
tell(json_t *events, const char *what, const struct seen *one)
{
    json_t *event;

    if (json_array_size(events) >= EVENTS_MAX)
        return;
    event = json_pack("{s:s,s:s,s:s}", "event", what, "path", one->path, "type",
                      one->is_dir ? "directory" : "file");
    if (event) /* else its name is no UTF-8 */
        json_array_append_new(events, event);
}

/* A directory changes with what is in it, which is told anyway. */
static void
compare(const struct snapshot *before, const struct snapshot *now, json_t *events)
{
    size_t i = 0, j = 0;

    while (i < before->n || j < now->n) {
        const int rc = i == before->n ? 1
                       : j == now->n  ? -1
                                      : order(before->seen[i].path, now->seen[j].path);

        if (rc < 0)
            tell(events, "deleted", &before->seen[i]);
        else if (rc > 0)
            tell(events, "created", &now->seen[j]);
        else if (!now->seen[j].is_dir && strcmp(before->seen[i].etag, now->seen[j].etag) != 0)
            tell(events, "changed", &now->seen[j]);
        i += rc <= 0;
        j += rc >= 0;
    }
}

static void
pause_ms(int64_t ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void
swap(struct snapshot *a, struct snapshot *b)
{
    const struct snapshot old = *a;

    *a = *b;
    *b = old;
}

static struct snapshot
snapshot_new(void)
{
    struct snapshot s = {calloc(WATCH_MAX, sizeof(*s.seen)), 0};

    if (s.seen == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    return s;
}

/* Behind the reply each event is a reply of its own.  Ends when nobody listens any more. */
void
fileop_watch(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    const bool recursive = fileop_flag(request, "recursive");
    struct snapshot before = snapshot_new(), now = snapshot_new();
    const int dir = filepath_open(root, path, O_RDONLY | O_DIRECTORY);
    int too_many;

    if (dir < 0)
        fileio_fail_errno();
    close(dir);
    too_many = look(root, path, recursive, &before);
    fileio_reply(json_pack("{s:b,s:i}", "truncated", too_many, "files", (int)before.n));
    for (;;) {
        const int64_t begun = clock_ms();
        json_t *events = json_array();
        int64_t took;

        (void)look(root, path, recursive, &now);
        compare(&before, &now, events);
        for (size_t i = 0; i < json_array_size(events); i++)
            fileio_reply(json_incref(json_array_get(events, i)));
        if (json_array_size(events) >= EVENTS_MAX)
            fileio_reply(json_pack("{s:s}", "event", "overflow"));
        json_decref(events);
        snapshot_clear(&before);
        swap(&before, &now);
        took = clock_ms() - begun;
        pause_ms(took * IDLE_FACTOR > INTERVAL_MS ? took * IDLE_FACTOR : INTERVAL_MS);
    }
}
