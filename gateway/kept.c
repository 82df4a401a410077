/* kept.c - see kept.h.  A file is NAME.tar, and gets that name when all of it is there. */
#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sodium.h>
#include <utlist.h>

#include "caller.h"
#include "config.h"
#include "discard.h"
#include "files.h"
#include "log.h"
#include "timestamp.h"

#define SUFFIX ".tar"
#define UNFINISHED ".new"
#define DAY_MS ((int64_t)24 * 3600 * 1000)

struct entry {
    char name[KEPT_NAME_SIZE];
    off_t size;
    int64_t made_ms;
    struct entry *prev, *next;
};

struct kept {
    struct event_base *base;
    const struct config *config;
    char *dir;
    struct entry *entries;
    struct kept_file *unfinished; /* those that are being written */
    unsigned long n_files;        /* ever begun */
};

struct kept_file {
    struct kept *kept;
    char name[KEPT_NAME_SIZE];
    char *path; /* as long as it is unfinished */
    int fd;
    off_t size;
    struct kept_file *prev, *next;
};

void
kept_name(const struct caller *owner, const char *session, char out[KEPT_NAME_SIZE])
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof(sum) + 1];

    crypto_hash_sha256(sum, (const unsigned char *)session, strlen(session));
    snprintf(out, KEPT_NAME_SIZE, "%.*s-%s", KEY_ID_CHARS,
             caller_is_master(owner) ? "000000000000" : owner->key,
             sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum)));
}

static char *
path_of(const struct kept *k, const char *name)
{
    return xasprintf("%s/%s" SUFFIX, k->dir, name);
}

/* One that nothing has, for a file that is not kept yet, or not any more. */
static char *
new_path(struct kept *k)
{
    return xasprintf("%s/%lu" UNFINISHED, k->dir, k->n_files++);
}

static void
remove_entry(struct kept *k, struct entry *e)
{
    cleanup_free char *path = path_of(k, e->name), *aside = new_path(k);

    if (discard_file(k->base, path, NULL, aside) < 0 && errno != ENOENT)
        log_warn("kept files: %s cannot be removed: %s", path, strerror(errno));
    DL_DELETE(k->entries, e);
    free(e);
}

static void
remove_old(struct kept *k)
{
    const int64_t oldest = timestamp_now() - k->config->keep_days * DAY_MS;
    struct entry *e, *next;

    DL_FOREACH_SAFE (k->entries, e, next)
        if (e->made_ms < oldest)
            remove_entry(k, e);
}

static struct entry *
find_any(const struct kept *k, const char *name)
{
    struct entry *e;

    DL_FOREACH (k->entries, e)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

static struct entry *
find(struct kept *k, const char *name)
{
    remove_old(k);
    return find_any(k, name);
}

bool
kept_has(struct kept *k, const char *name)
{
    return find(k, name) != NULL;
}

int
kept_open(struct kept *k, const char *name, off_t *size, struct err *err)
{
    struct entry *e = find(k, name);
    cleanup_free char *path = path_of(k, name);
    struct stat st;
    int fd;

    if (e == NULL)
        return err_set(err, ERR_NOT_FOUND, "There are no files kept of that session");
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, "open the files that were kept");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, ERR_SYSTEM, "The files that were kept cannot be read");
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED); /* read before they are asked for */
    *size = st.st_size;
    return fd;
}

void
kept_remove(struct kept *k, const char *name)
{
    struct entry *e = find(k, name);

    if (e)
        remove_entry(k, e);
}

/* --- a new one ---------------------------------------------------------------------------- */

/* Whether they are of another session of the same owner. */
static bool
is_another(const char *one, const char *name)
{
    return strncmp(one, name, KEY_ID_CHARS) == 0 && strcmp(one, name) != 0;
}

/* Of other sessions of that name's owner, those included that will be kept when they have been written. */
static unsigned
count_others(const struct kept *k, const char *name)
{
    const struct kept_file *f;
    const struct entry *e;
    unsigned n = 0;

    DL_FOREACH (k->entries, e)
        n += is_another(e->name, name);
    DL_FOREACH (k->unfinished, f)
        n += is_another(f->name, name) && find_any(k, f->name) == NULL;
    return n;
}

static int
check_quota(struct kept *k, const char *name, struct err *err)
{
    unsigned n;

    if (k->config->keep_mb == 0)
        return err_field(err, ERR_FORBIDDEN, "keep_files",
                         "keep_files: this server keeps no files (TCI_KEEP_MB is 0)");
    remove_old(k);
    n = count_others(k, name);
    if (n < k->config->keep_sessions)
        return 0;
    return err_field(err, ERR_QUOTA, "keep_files",
                     "keep_files: files of %u sessions are kept already, as many as may be", n);
}

struct kept_file *
kept_create(struct kept *k, const char *name, struct err *err)
{
    struct kept_file *f;

    if (check_quota(k, name, err) < 0)
        return NULL;
    f = xcalloc(1, sizeof(*f));
    f->kept = k;
    DL_APPEND(k->unfinished, f);
    snprintf(f->name, sizeof(f->name), "%s", name);
    f->path = new_path(k);
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->fd >= 0)
        return f;
    err_sys(err, "make %s", f->path);
    kept_abort(f);
    return NULL;
}

/* Those that there are, but for the one whose place it will take, and all that are being written. */
static off_t
bytes_but(const struct kept *k, const char *name)
{
    const struct kept_file *f;
    const struct entry *e;
    off_t sum = 0;

    DL_FOREACH (k->unfinished, f)
        sum += f->size;
    DL_FOREACH (k->entries, e)
        if (strcmp(e->name, name) != 0)
            sum += e->size;
    return sum;
}

int
kept_write(struct kept_file *f, const void *data, size_t len, struct err *err)
{
    const off_t most = (off_t)f->kept->config->keep_mb << 20;

    if (bytes_but(f->kept, f->name) + (off_t)len > most)
        return err_field(err, ERR_NO_SPACE, "keep_files",
                         "keep_files: there is no room for these files (TCI_KEEP_MB)");
    for (size_t at = 0; at < len;) {
        const ssize_t n = write(f->fd, (const char *)data + at, len - at);

        if (n < 0 && errno == ENOSPC)
            return err_field(err, ERR_NO_SPACE, "keep_files", "keep_files: the disk is full");
        if (n < 0 && errno != EINTR)
            return err_sys(err, "write %s", f->path);
        at += n > 0 ? (size_t)n : 0;
    }
    f->size += (off_t)len;
    return 0;
}

static void
add(struct kept *k, const char *name, off_t size, int64_t made_ms)
{
    struct entry *e = xcalloc(1, sizeof(*e));

    snprintf(e->name, sizeof(e->name), "%s", name);
    e->size = size;
    e->made_ms = made_ms;
    DL_APPEND(k->entries, e);
}

int
kept_commit(struct kept_file *f, struct err *err)
{
    struct kept *k = f->kept;
    cleanup_free char *path = path_of(k, f->name), *aside = new_path(k);
    struct entry *old = find(k, f->name);

    if (discard_file(k->base, path, f->path, aside) < 0) {
        err_sys(err, "make %s", path);
        kept_abort(f);
        return -1;
    }
    if (old) {
        DL_DELETE(k->entries, old);
        free(old);
    }
    add(k, f->name, f->size, timestamp_now());
    free(f->path);
    f->path = NULL;
    kept_abort(f);
    return 0;
}

void
kept_abort(struct kept_file *f)
{
    if (f == NULL)
        return;
    DL_DELETE(f->kept->unfinished, f);
    if (f->fd >= 0)
        close(f->fd);
    if (f->path)
        unlink(f->path);
    free(f->path);
    free(f);
}

/* --- all of them -------------------------------------------------------------------------- */

static bool
ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);

    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool
is_kept(const char *file)
{
    return strlen(file) == KEPT_NAME_SIZE - 1 + strlen(SUFFIX) && ends_with(file, SUFFIX) &&
           strspn(file, "0123456789abcdef-") == KEPT_NAME_SIZE - 1;
}

static int
read_dir(struct kept *k, struct err *err)
{
    DIR *dir = opendir(k->dir);
    const struct dirent *d;
    struct stat st;
    char name[KEPT_NAME_SIZE];

    if (dir == NULL)
        return err_sys(err, "read %s", k->dir);
    while ((d = readdir(dir)) != NULL) {
        if (ends_with(d->d_name, UNFINISHED)) {
            unlinkat(dirfd(dir), d->d_name, 0);
        } else if (is_kept(d->d_name) && fstatat(dirfd(dir), d->d_name, &st, 0) == 0) {
            snprintf(name, sizeof(name), "%.*s", KEPT_NAME_SIZE - 1, d->d_name);
            add(k, name, st.st_size, (int64_t)st.st_mtim.tv_sec * 1000);
        }
    }
    closedir(dir);
    return 0;
}

struct kept *
kept_new(struct event_base *base, const struct config *config, const char *dir, struct err *err)
{
    struct kept *k = xcalloc(1, sizeof(*k));

    k->base = base;
    k->config = config;
    k->dir = xstrdup(dir);
    if (files_make_dir(dir, 0700, err) == 0 && read_dir(k, err) == 0)
        return k;
    kept_free(k);
    return NULL;
}

void
kept_free(struct kept *k)
{
    struct entry *e, *next;

    if (k == NULL)
        return;
    DL_FOREACH_SAFE (k->entries, e, next)
        free(e);
    free(k->dir);
    free(k);
}
