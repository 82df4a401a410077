/*
 * filearchive.c - archives of the workspace's files, made and unpacked.  Part of fileop.h.
 *
 * Of an archive nothing is taken on trust: names go the way of all paths (filepath.h), so that none leads out of the directory
 * that it is unpacked in, owners and devices are left out, and what is too much for the workspace ends at its limit.
 */
#include "fileop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fileio.h"
#include "filepath.h"
#include "filetree.h"
#include "libarchive.h"
#include "protocol.h"

enum { BLOCK = 128 << 10, MAGIC = 4 };

static void
load(void)
{
    if (!libarchive_load())
        fileio_fail("unsupported", "This host has no " LIBARCHIVE_FILE);
    setlocale(LC_CTYPE, "C.UTF-8"); /* names are, in most archives */
}

/* --- making one --------------------------------------------------------------------------- */

struct making {
    struct archive *a;
    struct archive_entry *entry;
    size_t skip; /* characters of a path that are not the archive's */
};

static la_ssize_t
put(struct archive *a, void *arg, const void *data, size_t len)
{
    (void)a, (void)arg;
    fileio_send(data, len);
    return (la_ssize_t)len;
}

/* A file that is shorter than it was: libarchive fills it up. */
static void
put_file(const struct making *m, int file, off_t size)
{
    static char chunk[FILEIO_CHUNK];

    while (size > 0) {
        const size_t most = size < (off_t)sizeof(chunk) ? (size_t)size : sizeof(chunk);
        const ssize_t n = read(file, chunk, most);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        if (libarchive.archive_write_data(m->a, chunk, (size_t)n) < 0)
            fileio_break();
        size -= n;
    }
}

static void
set_header(const struct making *m, const struct filetree_entry *e, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t n;

    libarchive.archive_entry_clear(m->entry);
    libarchive.archive_entry_copy_stat(m->entry, st);
    libarchive.archive_entry_copy_pathname(m->entry, e->path + m->skip);
    libarchive.archive_entry_set_uid(m->entry, 0);
    libarchive.archive_entry_set_gid(m->entry, 0);
    if (S_ISLNK(st->st_mode) &&
        (n = readlinkat(e->dir, e->name, target, sizeof(target) - 1)) >= 0) {
        target[n] = '\0';
        libarchive.archive_entry_copy_symlink(m->entry, target);
    }
    if (!S_ISREG(st->st_mode))
        libarchive.archive_entry_set_size(m->entry, 0);
}

static int
put_entry(void *arg, const struct filetree_entry *e)
{
    const struct making *m = arg;
    struct stat st = *e->st;
    int file = -1;

    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return 0;
    if (S_ISREG(st.st_mode)) {
        file = openat(e->dir, e->name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
            if (file >= 0)
                close(file);
            return 0; /* it is another thing now, or closed to the user */
        }
    }
    set_header(m, e, &st);
    if (libarchive.archive_write_header(m->a, m->entry) < ARCHIVE_WARN)
        fileio_break();
    if (file >= 0) {
        put_file(m, file, st.st_size);
        close(file);
    }
    return 0;
}

static bool
set_format(struct archive *a, const char *format)
{
    libarchive.archive_write_set_bytes_per_block(a, BLOCK);
    libarchive.archive_write_set_bytes_in_last_block(
        a, 1); /* not filled up: a zip's end is its last bytes */
    if (strcmp(format, "zip") == 0)
        return libarchive.archive_write_set_format_zip(a) == ARCHIVE_OK;
    if (libarchive.archive_write_set_format_pax_restricted(a) != ARCHIVE_OK)
        return false;
    if (strcmp(format, "tar") == 0)
        return libarchive.archive_write_add_filter_none(a) == ARCHIVE_OK;
    return strcmp(format, "tar.gz") == 0 &&
           libarchive.archive_write_add_filter_gzip(a) == ARCHIVE_OK;
}

void
fileop_archive(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    const char *format = json_string_value(json_object_get(request, "format"));
    const int dir = filepath_open(root, path, O_RDONLY | O_DIRECTORY);
    struct making m = {.skip = path[0] ? strlen(path) + 1 : 0};
    struct filetree_walk walk = {put_entry, &m, true, "", false};

    if (dir < 0)
        fileio_fail_errno();
    load();
    m.a = libarchive.archive_write_new();
    m.entry = libarchive.archive_entry_new();
    if (m.a == NULL || m.entry == NULL || format == NULL || !set_format(m.a, format))
        fileio_fail("invalid", "There is no such format of archives");
    fileio_reply(json_object());
    if (libarchive.archive_write_open(m.a, NULL, NULL, put, NULL) != ARCHIVE_OK ||
        filetree_walk(dir, path, &walk) < 0 || walk.truncated ||
        libarchive.archive_write_close(m.a) != ARCHIVE_OK)
        fileio_break();
}

/* --- unpacking one ------------------------------------------------------------------------ */

struct unpacking {
    int root; /* the directory that it is unpacked in */
    struct archive *a;
    json_int_t files, directories, skipped, bytes;
    char magic[MAGIC]; /* the archive's first bytes, read already */
    size_t n_magic;
};

static la_ssize_t
take(struct archive *a, void *arg, const void **data)
{
    static char chunk[FILEIO_CHUNK];
    struct unpacking *u = arg;
    const size_t n = u->n_magic;

    (void)a;
    *data = chunk;
    if (n > 0) {
        memcpy(chunk, u->magic, n);
        u->n_magic = 0;
        return (la_ssize_t)n;
    }
    return (la_ssize_t)fileio_receive(chunk, sizeof(chunk));
}

/* A file without a name. */
static int
open_spool(int root)
{
    char name[FILEIO_NAME_SIZE];
    int file = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (file >= 0 || !fileio_has_no_tmpfile(errno))
        return file;
    fileio_draw_name(name);
    file = openat(root, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0)
        unlinkat(root, name, 0);
    return file;
}

/* A zip's table of contents is its end, and what stands before may be anything: all of it goes to a file first. */
static int
spool(struct unpacking *u)
{
    const int file = open_spool(u->root);
    const void *data;
    la_ssize_t n;

    if (file < 0)
        fileio_fail_errno();
    while ((n = take(NULL, u, &data)) > 0)
        for (la_ssize_t at = 0, put_now; at < n; at += put_now) {
            put_now = write(file, (const char *)data + at, (size_t)(n - at));
            if (put_now < 0)
                fileio_fail_errno();
        }
    if (lseek(file, 0, SEEK_SET) < 0)
        fileio_fail_errno();
    return file;
}

static void __attribute__((noreturn)) refuse_archive(const struct unpacking *u)
{
    const char *why = libarchive.archive_error_string(u->a);
    char message[200];

    snprintf(message, sizeof(message), "The archive cannot be read: %.150s",
             why ? why : "it is none");
    for (char *p = message; *p; p++)
        if ((unsigned char)*p < ' ' || (*p & 0x80))
            *p = '?';
    fileio_fail("invalid", message);
}

static void
open_archive(struct unpacking *u)
{
    size_t n;
    int rc;

    while (u->n_magic < MAGIC &&
           (n = fileio_receive(u->magic + u->n_magic, MAGIC - u->n_magic)) > 0)
        u->n_magic += n;
    u->a = libarchive.archive_read_new();
    if (u->a == NULL)
        fileio_break();
    if (u->n_magic == MAGIC && memcmp(u->magic, "PK", 2) == 0) {
        libarchive.archive_read_support_format_zip_seekable(u->a);
        rc = libarchive.archive_read_open_fd(u->a, spool(u), BLOCK);
    } else {
        libarchive.archive_read_support_filter_gzip(u->a);
        libarchive.archive_read_support_filter_bzip2(u->a);
        libarchive.archive_read_support_filter_xz(u->a);
        libarchive.archive_read_support_filter_zstd(u->a);
        libarchive.archive_read_support_format_tar(u->a);
        rc = libarchive.archive_read_open(u->a, u, NULL, take, NULL);
    }
    if (rc != ARCHIVE_OK)
        refuse_archive(u);
}

/* The archive's name as a path: without "./" before it and '/' behind it.  False: that is none. */
static bool
clean(const char *name, char out[FILEPATH_MAX + 1])
{
    size_t len;

    if (name == NULL)
        return false;
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    len = strlen(name);
    while (len > 0 && name[len - 1] == '/')
        len--;
    if (len == 0 && name[0] == '/')
        return false;
    if (len == 1 && name[0] == '.')
        len = 0;
    if (len > FILEPATH_MAX)
        return false;
    memcpy(out, name, len);
    out[len] = '\0';
    return pathrule_allows(out);
}

/* The directory that it is to be in, which is made, and its name there.  What is there already goes, unless a directory. */
static int
make_place(const struct unpacking *u, const char *path, const char **name)
{
    int dir;

    if (filepath_make_parents(u->root, path) < 0)
        fileio_fail_errno();
    dir = filepath_parent(u->root, path, name);
    if (dir < 0 || (unlinkat(dir, *name, 0) < 0 && errno != ENOENT))
        fileio_fail_errno();
    return dir;
}

static void
unpack_data(struct unpacking *u, int file)
{
    const void *data;
    size_t len;
    la_int64_t offset;
    int rc;

    while ((rc = libarchive.archive_read_data_block(u->a, &data, &len, &offset)) == ARCHIVE_OK) {
        for (size_t at = 0; at < len;) {
            const ssize_t n = pwrite(file, (const char *)data + at, len - at, offset + (off_t)at);

            if (n < 0)
                fileio_fail_errno();
            at += (size_t)n;
        }
        u->bytes += (json_int_t)len;
    }
    if (rc != ARCHIVE_EOF)
        refuse_archive(u);
}

static void
unpack_file(struct unpacking *u, struct archive_entry *entry, const char *path)
{
    const char *name;
    const int dir = make_place(u, path, &name);
    const int file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = libarchive.archive_entry_mtime(entry)}};

    if (file < 0)
        fileio_fail_errno();
    unpack_data(u, file);
    (void)fchmod(file, (libarchive.archive_entry_perm(entry) & 0777) | S_IRUSR | S_IWUSR);
    if (libarchive.archive_entry_mtime_is_set(entry))
        (void)futimens(file, times);
    close(file);
    close(dir);
    u->files++;
}

/* And those that it is in; they may be there. */
static void
make_directory(int root, const char *path)
{
    const char *name;
    int dir;

    if (path[0] == '\0')
        return;
    if (filepath_make_parents(root, path) < 0)
        fileio_fail_errno();
    dir = filepath_parent(root, path, &name);
    if (dir < 0 || (mkdirat(dir, name, 0755) < 0 && errno != EEXIST))
        fileio_fail_errno();
    close(dir);
}

static void
unpack_directory(struct unpacking *u, const char *path)
{
    make_directory(u->root, path);
    u->directories += path[0] != '\0';
}

/* What it leads to is not looked at: whoever goes through it goes as the sandbox user, or not out of the workspace. */
static void
unpack_symlink(struct unpacking *u, struct archive_entry *entry, const char *path)
{
    const char *name, *target = libarchive.archive_entry_symlink(entry);
    const int dir = make_place(u, path, &name);

    if (target && target[0] && symlinkat(target, dir, name) == 0)
        u->files++;
    else
        u->skipped++;
    close(dir);
}

static void
unpack_hardlink(struct unpacking *u, const char *of, const char *path)
{
    char target[FILEPATH_MAX + 1];
    const char *name, *target_name;
    int dir, target_dir;

    if (!clean(of, target) || strcmp(target, path) == 0) {
        u->skipped++;
        return;
    }
    dir = make_place(u, path, &name);
    target_dir = filepath_parent(u->root, target, &target_name);
    if (target_dir >= 0 && linkat(target_dir, target_name, dir, name, 0) == 0)
        u->files++;
    else
        u->skipped++;
    if (target_dir >= 0)
        close(target_dir);
    close(dir);
}

static void
unpack_entry(struct unpacking *u, struct archive_entry *entry)
{
    const char *of = libarchive.archive_entry_hardlink(entry);
    const mode_t type = libarchive.archive_entry_filetype(entry);
    char path[FILEPATH_MAX + 1];

    if (!clean(libarchive.archive_entry_pathname(entry), path))
        fileio_fail("invalid", "The archive has a name that is no path below where it is unpacked");
    if (type == AE_IFDIR)
        unpack_directory(u, path);
    else if (path[0] != '\0' && of)
        unpack_hardlink(u, of, path);
    else if (path[0] != '\0' && type == AE_IFREG)
        unpack_file(u, entry, path);
    else if (path[0] != '\0' && type == AE_IFLNK)
        unpack_symlink(u, entry, path);
    else
        u->skipped++;
}

/* Interpreters that have looked into it before see by its time that it has changed, which no clock tick may hide. */
static void
touch(int dir)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

    clock_gettime(CLOCK_REALTIME, &times[1]);
    (void)futimens(dir, times);
}

void
fileop_extract(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    struct unpacking u = {.root = -1};
    struct archive_entry *entry;
    int rc;

    if (fileop_flag(request, "packages"))
        root = open(TCI_PATH_PACKAGES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        fileio_fail("unsupported", "The session was made before packages could be had");
    make_directory(root, path);
    u.root = filepath_open(root, path, O_RDONLY | O_DIRECTORY);
    if (u.root < 0)
        fileio_fail_errno();
    load();
    open_archive(&u);
    while ((rc = libarchive.archive_read_next_header(u.a, &entry)) == ARCHIVE_OK ||
           rc == ARCHIVE_WARN)
        unpack_entry(&u, entry);
    if (rc != ARCHIVE_EOF)
        refuse_archive(&u);
    touch(u.root);
    fileio_reply(json_pack("{s:I,s:I,s:I,s:I}", "files", u.files, "directories", u.directories,
                           "skipped", u.skipped, "bytes", u.bytes));
}
