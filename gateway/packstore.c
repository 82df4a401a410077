/*
 * packstore.c - see packstore.h.
 *
 * What has been looked at is looked at again only if the file is another one, or has changed: its ctime nobody can set.
 */
#include "packstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <event2/event.h>
#include <sodium.h>
#include <utlist.h>

#include "clock.h"
#include "discard.h"
#include "files.h"
#include "log.h"

enum {
    KEY_CHARS = PACKSTORE_KEY_SIZE - 1,
    PIECE = 64 << 10, /* bytes looked at in a turn of the loop */
};

#define SUFFIX ".tar"
#define UNFINISHED ".new"

/* What tells a file from another, and from itself when it has changed. */
struct version {
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct entry {
    char key[PACKSTORE_KEY_SIZE], sum[PACKSTORE_KEY_SIZE];
    off_t size;
    struct version seen; /* that had this sum; inode 0: none yet */
    struct entry *prev, *next;
};

struct packstore {
    struct event_base *base;
    char *dir;
    struct entry *entries; /* those used last are last */
    unsigned long n_files; /* ever begun */
};

struct packstore_check {
    struct packstore *store;
    struct event *turn; /* a timer: an event that activates itself would leave no turn to others */
    char key[PACKSTORE_KEY_SIZE];
    int fd; /* -1: it has not begun */
    off_t at;
    struct version version;
    crypto_hash_sha256_state hash;
    packstore_found_fn *found;
    void *owner;
};

struct packstore_file {
    struct packstore *store;
    char key[PACKSTORE_KEY_SIZE];
    char *path; /* as long as it is unfinished */
    int fd;
    off_t size, most;
    crypto_hash_sha256_state hash;
};

static char *
path_of(const struct packstore *s, const struct entry *e)
{
    return xasprintf("%s/%s-%s" SUFFIX, s->dir, e->key, e->sum);
}

/* One that nothing has, for an archive that is not kept yet, or not any more. */
static char *
new_path(struct packstore *s)
{
    return xasprintf("%s/%lu" UNFINISHED, s->dir, s->n_files++);
}

static struct entry *
find(const struct packstore *s, const char *key)
{
    struct entry *e;

    DL_FOREACH (s->entries, e)
        if (strcmp(e->key, key) == 0)
            return e;
    return NULL;
}

static void
finish_sum(crypto_hash_sha256_state *hash, char out[PACKSTORE_KEY_SIZE])
{
    unsigned char sum[crypto_hash_sha256_BYTES];

    crypto_hash_sha256_final(hash, sum);
    sodium_bin2hex(out, PACKSTORE_KEY_SIZE, sum, sizeof(sum));
}

void
packstore_key(const json_t *what, char out[PACKSTORE_KEY_SIZE])
{
    cleanup_free char *text = xnotnull(json_dumps(what, JSON_COMPACT | JSON_SORT_KEYS));
    crypto_hash_sha256_state hash;

    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, (const unsigned char *)text, strlen(text));
    finish_sum(&hash, out);
}

static void
remove_entry(struct packstore *s, struct entry *e)
{
    cleanup_free char *path = path_of(s, e), *aside = new_path(s);

    if (discard_file(s->base, path, NULL, aside) < 0 && errno != ENOENT)
        log_warn("packages: %s cannot be removed: %s", path, strerror(errno));
    DL_DELETE(s->entries, e);
    free(e);
}

/* --- looked at ---------------------------------------------------------------------------- */

static struct version
version_of(const struct stat *st)
{
    return (struct version){st->st_ino, st->st_size, st->st_ctim};
}

static bool
is_same(const struct version *a, const struct version *b)
{
    return a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static void
check_free(struct packstore_check *c)
{
    if (c->fd >= 0)
        close(c->fd);
    event_free(c->turn);
    free(c);
}

static void
end_check(struct packstore_check *c, bool usable)
{
    packstore_found_fn *found = c->found;
    void *owner = c->owner;
    const int fd = usable ? c->fd : -1;
    const off_t size = c->version.size;

    if (usable)
        c->fd = -1;
    check_free(c);
    found(owner, fd, size);
}

/* -1: it cannot be read.  *gone: it never will, for there is no such file; else what is in the way may pass. */
static int
open_entry(struct packstore_check *c, const struct entry *e, bool *gone)
{
    cleanup_free char *path = path_of(c->store, e);
    struct stat st;

    c->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *gone = c->fd < 0 && (errno == ENOENT || errno == ELOOP);
    if (c->fd < 0 || fstat(c->fd, &st) < 0) {
        if (!*gone)
            log_warn("packages: %s cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    *gone = !S_ISREG(st.st_mode);
    c->version = version_of(&st);
    return *gone ? -1 : 0;
}

static void
use(struct packstore *s, struct entry *e)
{
    DL_DELETE(s->entries, e);
    DL_APPEND(s->entries, e);
}

static void
begin_check(struct packstore_check *c)
{
    struct entry *e = find(c->store, c->key);
    bool gone;

    if (e == NULL) {
        end_check(c, false);
    } else if (open_entry(c, e, &gone) < 0) {
        if (gone)
            remove_entry(c->store, e);
        end_check(c, false);
    } else if (is_same(&e->seen, &c->version)) {
        use(c->store, e);
        end_check(c, true);
    } else {
        crypto_hash_sha256_init(&c->hash);
        clock_arm(c->turn, 0);
    }
}

static void
conclude(struct packstore_check *c)
{
    struct entry *e = find(c->store, c->key);
    char sum[PACKSTORE_KEY_SIZE];
    bool usable;

    finish_sum(&c->hash, sum);
    usable = e && strcmp(e->sum, sum) == 0;
    if (e && !usable) {
        log_warn("packages: %s/%s-%s" SUFFIX " is not what was put there, and is removed",
                 c->store->dir, e->key, e->sum);
        remove_entry(c->store, e);
    } else if (e) {
        e->seen = c->version;
        use(c->store, e);
    }
    end_check(c, usable);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    static unsigned char piece[PIECE];
    struct packstore_check *c = arg;
    ssize_t n;

    (void)fd, (void)what;
    if (c->fd < 0) {
        begin_check(c);
        return;
    }
    n = pread(c->fd, piece, sizeof(piece), c->at);
    if (n < 0) { /* the file may be well */
        log_warn("packages: %s cannot be read: %s", c->key, strerror(errno));
        end_check(c, false);
        return;
    }
    if (n == 0) {
        conclude(c);
        return;
    }
    crypto_hash_sha256_update(&c->hash, piece, (size_t)n);
    c->at += n;
    clock_arm(c->turn, 0);
}

struct packstore_check *
packstore_look(struct packstore *s, const char *key, packstore_found_fn *found, void *owner)
{
    struct packstore_check *c = xcalloc(1, sizeof(*c));

    c->store = s;
    c->fd = -1;
    c->found = found;
    c->owner = owner;
    snprintf(c->key, sizeof(c->key), "%s", key);
    c->turn = xnotnull(evtimer_new(s->base, on_turn, c));
    clock_arm(c->turn, 0);
    return c;
}

void
packstore_cancel(struct packstore_check *c)
{
    if (c)
        check_free(c);
}

/* --- written ------------------------------------------------------------------------------ */

struct packstore_file *
packstore_create(struct packstore *s, const char *key, off_t most, struct err *err)
{
    struct packstore_file *f = xcalloc(1, sizeof(*f));

    f->store = s;
    f->most = most;
    snprintf(f->key, sizeof(f->key), "%s", key);
    f->path = new_path(s);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    crypto_hash_sha256_init(&f->hash);
    if (f->fd >= 0)
        return f;
    err_sys(err, "make %s", f->path);
    packstore_abort(f);
    return NULL;
}

int
packstore_write(struct packstore_file *f, const void *data, size_t len, struct err *err)
{
    if ((off_t)len > f->most - f->size)
        return err_set(err, ERR_INSTALL,
                       "The packages are larger than what is kept of all of them "
                       "together (TCI_PACKAGES_CACHE_MB)");
    for (size_t at = 0; at < len;) {
        const ssize_t n = write(f->fd, (const char *)data + at, len - at);

        if (n < 0 && errno != EINTR)
            return err_sys(err, "write %s", f->path);
        at += n > 0 ? (size_t)n : 0;
    }
    crypto_hash_sha256_update(&f->hash, data, len);
    f->size += (off_t)len;
    return 0;
}

/* The oldest ones, until what is left is no more than that. */
static void
evict(struct packstore *s, off_t most)
{
    off_t sum = 0;
    struct entry *e, *next;

    DL_FOREACH (s->entries, e)
        sum += e->size;
    DL_FOREACH_SAFE (s->entries, e, next) {
        if (sum <= most)
            return;
        sum -= e->size;
        log_info("packages: %s is removed to make room", e->key);
        remove_entry(s, e);
    }
}

int
packstore_commit(struct packstore_file *f, off_t most, struct err *err)
{
    struct packstore *s = f->store;
    struct entry *old = find(s, f->key), *e = xcalloc(1, sizeof(*e));
    cleanup_free char *path = NULL, *aside = new_path(s);
    struct stat st;

    memcpy(e->key, f->key, sizeof(e->key));
    finish_sum(&f->hash, e->sum);
    e->size = f->size;
    path = path_of(s, e);
    if (discard_file(s->base, path, f->path, aside) < 0 || fstat(f->fd, &st) < 0) {
        err_sys(err, "make %s", path);
        free(e);
        packstore_abort(f);
        return -1;
    }
    if (old && strcmp(old->sum, e->sum) != 0)
        remove_entry(s, old);
    else if (old) {
        DL_DELETE(s->entries, old);
        free(old);
    }
    e->seen = version_of(&st);
    DL_APPEND(s->entries, e);
    free(f->path);
    f->path = NULL;
    packstore_abort(f);
    evict(s, most);
    return 0;
}

void
packstore_abort(struct packstore_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->path)
        unlink(f->path);
    free(f->path);
    free(f);
}

/* --- all of them -------------------------------------------------------------------------- */

/* What is there of an earlier gateway, to be sorted by when it was made. */
struct found {
    struct entry *entry;
    struct timespec made;
    struct found *prev, *next;
};

static int
by_age(const struct found *a, const struct found *b)
{
    if (a->made.tv_sec != b->made.tv_sec)
        return a->made.tv_sec < b->made.tv_sec ? -1 : 1;
    return a->made.tv_nsec < b->made.tv_nsec ? -1 : a->made.tv_nsec > b->made.tv_nsec;
}

static bool
is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") >= KEY_CHARS;
}

static bool
is_entry(const char *name)
{
    return strlen(name) == 2 * KEY_CHARS + 1 + strlen(SUFFIX) && is_hex(name) &&
           name[KEY_CHARS] == '-' && is_hex(name + KEY_CHARS + 1) &&
           strcmp(name + 2 * KEY_CHARS + 1, SUFFIX) == 0;
}

static void
take_in(const char *name, const struct stat *st, struct found **list)
{
    struct found *f = xcalloc(1, sizeof(*f));

    f->entry = xcalloc(1, sizeof(*f->entry));
    snprintf(f->entry->key, sizeof(f->entry->key), "%.*s", KEY_CHARS, name);
    snprintf(f->entry->sum, sizeof(f->entry->sum), "%.*s", KEY_CHARS, name + KEY_CHARS + 1);
    f->entry->size = st->st_size;
    f->made = st->st_mtim;
    DL_APPEND(*list, f);
}

static int
read_dir(struct packstore *s, struct found **list, struct err *err)
{
    DIR *dir = opendir(s->dir);
    const struct dirent *d;
    struct stat st;

    if (dir == NULL)
        return err_sys(err, "read %s", s->dir);
    while ((d = readdir(dir)) != NULL) {
        const size_t len = strlen(d->d_name), suffix = strlen(UNFINISHED);

        if (len > suffix && strcmp(d->d_name + len - suffix, UNFINISHED) == 0)
            unlinkat(dirfd(dir), d->d_name, 0);
        else if (is_entry(d->d_name) && fstatat(dirfd(dir), d->d_name, &st, 0) == 0)
            take_in(d->d_name, &st, list);
    }
    closedir(dir);
    return 0;
}

struct packstore *
packstore_new(struct event_base *base, const char *dir, struct err *err)
{
    struct packstore *s = xcalloc(1, sizeof(*s));
    struct found *list = NULL, *f, *next;

    s->base = base;
    s->dir = xstrdup(dir);
    if (files_make_dir(dir, 0700, err) < 0 || read_dir(s, &list, err) < 0) {
        packstore_free(s);
        return NULL;
    }
    /* cppcheck-suppress nullPointer ; the macro looks */
    DL_SORT(list, by_age);
    DL_FOREACH_SAFE (list, f, next) {
        DL_APPEND(s->entries, f->entry);
        DL_DELETE(list, f);
        free(f);
    }
    return s;
}

void
packstore_free(struct packstore *s)
{
    struct entry *e, *next;

    if (s == NULL)
        return;
    DL_FOREACH_SAFE (s->entries, e, next)
        free(e);
    free(s->dir);
    free(s);
}
