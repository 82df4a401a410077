/* history.c - see history.h. */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <sodium.h>
#include <uthash.h>
#include <utlist.h>

#include "files.h"
#include "log.h"

#define MAGIC "tci-history 1 "

enum {
    NAME_BYTES = 16,                                /* of a hash, in a file's name */
    HEAD_MAX = 2 * HISTORY_HASH_BYTES + 4 * 20 + 8, /* of a record's line, with a NUL behind it */
    MAX_OPEN = 16,                                  /* files that stay open to be written to */
};

struct volume;

struct history_file {
    struct volume *volume;
    unsigned long long number;
    unsigned wanted; /* records */
    off_t size;
    int fd;                               /* to write to; -1: it is not open */
    struct history_file *prev, *next;     /* of the volume */
    struct history_file *hotter, *colder; /* of those that are open */
};

/* A session's files, the oldest first; there is at least one. */
struct volume {
    char *session;
    char hash[2 * NAME_BYTES + 1];
    struct history_file *files;
    UT_hash_handle hh;
};

struct history {
    char *dir;
    struct volume *volumes;    /* by session */
    struct history_file *open; /* the one that was written to last first */
    unsigned n_open;
    bool failing; /* the last record could not be written */
};

/* --- files -------------------------------------------------------------------------------- */

static char *
path_of(const struct history *h, const struct history_file *f)
{
    return xasprintf("%s/%s.%llu", h->dir, f->volume->hash, f->number);
}

static void
hash_name(const char *session, char hash[2 * NAME_BYTES + 1])
{
    unsigned char sum[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(sum, (const unsigned char *)session, strlen(session));
    sodium_bin2hex(hash, 2 * NAME_BYTES + 1, sum, NAME_BYTES);
}

/* A new one has no file: the caller adds one. */
static struct volume *
volume_of(struct history *h, const char *session)
{
    struct volume *v;

    HASH_FIND_STR(h->volumes, session, v);
    if (v)
        return v;
    v = xcalloc(1, sizeof(*v));
    v->session = xstrdup(session);
    hash_name(session, v->hash);
    HASH_ADD_KEYPTR(hh, h->volumes, v->session, strlen(v->session), v);
    return v;
}

static struct history_file *
add_file(struct volume *v, unsigned long long number)
{
    struct history_file *f = xcalloc(1, sizeof(*f));

    f->volume = v;
    f->number = number;
    f->fd = -1;
    DL_APPEND(v->files, f);
    return f;
}

static void
close_file(struct history *h, struct history_file *f)
{
    if (f->fd < 0)
        return;
    close(f->fd);
    f->fd = -1;
    DL_DELETE2(h->open, f, hotter, colder);
    h->n_open--;
}

/* Its descriptor, which is the file's; -1: errno says why. */
static int
open_file(struct history *h, struct history_file *f)
{
    cleanup_free char *path = NULL;

    if (f->fd >= 0) {
        DL_DELETE2(h->open, f, hotter, colder);
        DL_PREPEND2(h->open, f, hotter, colder);
        return f->fd;
    }
    path = path_of(h, f);
    f->fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return -1;
    if (h->n_open == MAX_OPEN)
        close_file(h, h->open->hotter); /* of the first one, that is the last one */
    DL_PREPEND2(h->open, f, hotter, colder);
    h->n_open++;
    return f->fd;
}

/* The volume goes with its last one. */
static void
free_file(struct history *h, struct history_file *f)
{
    struct volume *v = f->volume;

    close_file(h, f);
    DL_DELETE(v->files, f);
    free(f);
    if (v->files)
        return;
    HASH_DEL(h->volumes, v);
    free(v->session);
    free(v);
}

static void
remove_file(struct history *h, struct history_file *f)
{
    cleanup_free char *path = path_of(h, f);

    if (unlink(path) < 0 && errno != ENOENT)
        log_warn("history: %s cannot be removed: %s", path, strerror(errno));
    free_file(h, f);
}

/* The session's newest, or a new one. */
static struct history_file *
file_for(struct volume *v)
{
    struct history_file *last;

    if (v->files == NULL)
        return add_file(v, 0);
    last = v->files->prev;
    return last->size < HISTORY_FILE_BYTES ? last : add_file(v, last->number + 1);
}

/* --- writing ------------------------------------------------------------------------------ */

static int
write_at(int fd, struct iovec *pieces, int n, off_t at, size_t len)
{
    const ssize_t written = pwritev(fd, pieces, n, at);

    if (written >= 0 && (size_t)written < len)
        errno = ENOSPC;
    return written >= 0 && (size_t)written == len ? 0 : -1;
}

static size_t
print_head(char head[HEAD_MAX], const struct history_record *r)
{
    char hash[2 * HISTORY_HASH_BYTES + 1];

    sodium_bin2hex(hash, sizeof(hash), r->hash, sizeof(r->hash));
    return (size_t)snprintf(head, HEAD_MAX, "+ %zu %zu %" PRId64 " %s %llu\n", strlen(r->key),
                            r->len, r->ended, hash, r->serial);
}

/* What is behind the end that is known, of a record that could not be written whole, is written over. */
static int
append(struct history *h, struct history_file *f, const struct history_record *r,
       struct history_place *place)
{
    cleanup_free char *title = xasprintf(MAGIC "%s\n", f->volume->session);
    const int fd = open_file(h, f);
    char head[HEAD_MAX];
    struct iovec pieces[] = {
        {title, f->size > 0 ? 0 : strlen(title)},
        {head, print_head(head, r)},
        {(char *)r->key, strlen(r->key)},
        {(char *)r->answer, r->len},
        {(char *)"\n", 1},
    };
    const int n = sizeof(pieces) / sizeof(pieces[0]);
    size_t len = 0;

    for (int i = 0; i < n; i++)
        len += pieces[i].iov_len;
    if (fd < 0 || write_at(fd, pieces, n, f->size, len) < 0)
        return -1;
    place->file = f;
    place->at = f->size + (off_t)pieces[0].iov_len;
    place->body = place->at + (off_t)pieces[1].iov_len;
    place->end = f->size += (off_t)len;
    f->wanted++;
    return 0;
}

struct history_place
history_add(struct history *h, const char *session, const struct history_record *r)
{
    struct history_file *f = file_for(volume_of(h, session));
    struct history_place place = {.file = NULL};
    const bool failed = append(h, f, r, &place) < 0;

    if (failed && !h->failing)
        log_warn("history: executions are not kept for the next start: %s: %s", h->dir,
                 strerror(errno));
    h->failing = failed;
    if (f->wanted == 0)
        remove_file(h, f);
    return place;
}

/* The mark is enough for who reads it; what it was goes from the disk where the file system can punch holes. */
static void
erase_in(const struct history *h, const struct history_place *place)
{
    cleanup_free char *path = path_of(h, place->file);
    cleanup_close int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || pwrite(fd, "-", 1, place->at) != 1 ||
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place->body,
                  place->end - place->body) < 0)
        log_warn("history: %s: a record is not erased: %s", path, strerror(errno));
}

void
history_drop(struct history *h, struct history_place *place, bool erase)
{
    struct history_file *f = place->file;

    if (f == NULL)
        return;
    if (--f->wanted == 0)
        remove_file(h, f);
    else if (erase)
        erase_in(h, place);
    place->file = NULL;
}

/* --- reading ------------------------------------------------------------------------------ */

/* What is read of a file. */
struct text {
    const char *data;
    size_t len, at;
};

/* The next line, without its end, as a new string; NULL: there is none, or it is longer than size - 1. */
static char *
take_line(struct text *t, size_t size)
{
    const size_t left = t->len - t->at;
    const char *start = t->data + t->at;
    const char *end = left > 0 ? memchr(start, '\n', left < size ? left : size) : NULL;

    if (end == NULL)
        return NULL;
    t->at += (size_t)(end - start) + 1;
    return xnotnull(strndup(start, (size_t)(end - start)));
}

/* The numbers and the hash of a record's line, which may have no serial; *mark: its first character. */
static bool
parse_head(const char *line, char *mark, size_t *key_len, struct history_record *r)
{
    char hash[2 * HISTORY_HASH_BYTES + 1];
    int end = 0, whole = 0;
    size_t bytes;

    if (sscanf(line, "%c %3zu %18zu %18" SCNd64 " %64[0-9a-f]%n %18llu%n", mark, key_len, &r->len,
               &r->ended, hash, &end, &r->serial, &whole) < 5)
        return false;
    if (whole == 0)
        r->serial = (unsigned long long)r->ended;
    return line[whole ? whole : end] == '\0' && (*mark == '+' || *mark == '-') &&
           *key_len <= HISTORY_KEY_MAX &&
           sodium_hex2bin(r->hash, sizeof(r->hash), hash, strlen(hash), NULL, &bytes, NULL) == 0 &&
           bytes == sizeof(r->hash);
}

struct reading {
    struct history *history;
    history_found_fn *found;
    void *owner;
};

/* False: the text ends here, or what comes is no record. */
static bool
read_record(const struct reading *reading, struct history_file *f, struct text *t)
{
    struct history_place place = {.file = f, .at = (off_t)t->at};
    struct history_record r = {.key = ""};
    char key[HISTORY_KEY_MAX + 1], mark;
    cleanup_free char *line = take_line(t, HEAD_MAX);
    size_t key_len;

    if (line == NULL || !parse_head(line, &mark, &key_len, &r) ||
        t->len - t->at < key_len + r.len + 1) {
        t->at = (size_t)place.at;
        return false;
    }
    snprintf(key, sizeof(key), "%.*s", (int)key_len, t->data + t->at);
    r.key = key;
    r.answer = t->data + t->at + key_len;
    place.body = (off_t)t->at;
    t->at += key_len + r.len + 1;
    place.end = (off_t)t->at;
    if (mark == '+') {
        f->wanted++;
        reading->found(reading->owner, f->volume->session, &r, &place);
    }
    return true;
}

/* One file; its records are wanted until they are dropped. */
static void
read_text(const struct reading *reading, const char *name, unsigned long long number,
          struct text *t)
{
    struct history *h = reading->history;
    cleanup_free char *title = take_line(t, PATH_MAX);
    const char *session;
    char hash[2 * NAME_BYTES + 1];
    struct history_file *f;

    if (title == NULL || strncmp(title, MAGIC, strlen(MAGIC)) != 0)
        return;
    session = title + strlen(MAGIC);
    hash_name(session, hash);
    if (strncmp(name, hash, strlen(hash)) != 0)
        return;
    f = add_file(volume_of(h, session), number);
    f->wanted = 1; /* so that it does not go while it is read */
    while (read_record(reading, f, t))
        ;
    f->size = (off_t)t->at;
    if (--f->wanted == 0)
        remove_file(h, f);
}

static void
read_file(const struct reading *reading, const char *name, unsigned long long number)
{
    cleanup_free char *path = xasprintf("%s/%s", reading->history->dir, name);
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st = {.st_size = 0};
    struct text text = {.at = 0};
    void *data;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return;
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return;
    text.data = data;
    text.len = (size_t)st.st_size;
    read_text(reading, name, number, &text);
    munmap(data, (size_t)st.st_size);
}

/* HASH.NUMBER */
static bool
parse_name(const char *name, unsigned long long *number)
{
    int end = 0;

    return strspn(name, "0123456789abcdef") == 2 * (size_t)NAME_BYTES &&
           sscanf(name + 2 * NAME_BYTES, ".%18llu%n", number, &end) == 1 &&
           name[2 * NAME_BYTES + end] == '\0';
}

static int
is_ours(const struct dirent *d)
{
    unsigned long long number;

    return parse_name(d->d_name, &number);
}

/* A session's files next to each other, the oldest first. */
static int
compare(const struct dirent **a, const struct dirent **b)
{
    unsigned long long m, n;
    const int names = strncmp((*a)->d_name, (*b)->d_name, 2 * (size_t)NAME_BYTES);

    if (names != 0 || !parse_name((*a)->d_name, &m) || !parse_name((*b)->d_name, &n))
        return names;
    return m < n ? -1 : m > n;
}

void
history_read(struct history *h, history_found_fn *found, void *owner)
{
    const struct reading reading = {h, found, owner};
    struct dirent **entries = NULL;
    const int n = scandir(h->dir, &entries, is_ours, compare);
    unsigned long long number;

    if (n < 0)
        log_warn("history: %s cannot be read: %s", h->dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (parse_name(entries[i]->d_name, &number))
            read_file(&reading, entries[i]->d_name, number);
        free(entries[i]);
    }
    free(entries);
}

void
history_remove(const char *dir)
{
    struct dirent **entries = NULL;
    const int n = scandir(dir, &entries, is_ours, NULL);

    for (int i = 0; i < n; i++) {
        cleanup_free char *path = xasprintf("%s/%s", dir, entries[i]->d_name);

        if (unlink(path) < 0)
            log_warn("history: %s cannot be removed: %s", path, strerror(errno));
        free(entries[i]);
    }
    free(entries);
}

/* --- life --------------------------------------------------------------------------------- */

struct history *
history_new(const char *dir, struct err *err)
{
    struct history *h;

    if (files_make_dir(dir, 0700, err) < 0)
        return NULL;
    h = xcalloc(1, sizeof(*h));
    h->dir = xstrdup(dir);
    return h;
}

void
history_free(struct history *h)
{
    if (h == NULL)
        return;
    while (h->volumes)
        free_file(h, h->volumes->files);
    free(h->dir);
    free(h);
}
