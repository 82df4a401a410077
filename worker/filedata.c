/*
 * filedata.c - the bytes of one file, read and written.  Part of fileop.h.
 *
 * What is written goes to a file without a name, which gets its name when all of it is there: nobody sees the half of it, and
 * when this process is ended before, nothing is left of it.  Where there are no such files (gVisor) it has a name of its own,
 * which another process removes when this one has ended.
 */
#include "fileop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fileio.h"
#include "filepath.h"
#include "filetree.h"

/* --- reading ------------------------------------------------------------------------------ */

struct range {
    json_int_t first, last; /* bytes, both included; all of it: 0, size - 1 */
    bool partial;
};

/*
 * {"first", "last"}, either missing: "first-", "-last", where the latter are so many bytes of the end.  False when there is
 * nothing of it in the file.
 */
static bool
find_range(const json_t *wanted, json_int_t size, struct range *r)
{
    const json_int_t first = fileop_integer(wanted, "first", -1);
    const json_int_t last = fileop_integer(wanted, "last", -1);

    *r = (struct range){0, size - 1, wanted != NULL};
    if (wanted == NULL)
        return true;
    if (first < 0) {
        r->first = last < size ? size - last : 0;
        return last > 0 && size > 0;
    }
    r->first = first;
    if (last >= 0 && last < size)
        r->last = last;
    return first < size;
}

static json_t *
wanted_range(const json_t *request, const char *etag)
{
    const char *only_if = json_string_value(json_object_get(request, "if_range"));

    return only_if && strcmp(only_if, etag) != 0 ? NULL : json_object_get(request, "range");
}

static void
send_range(int file, const struct range *r)
{
    json_int_t left = r->last - r->first + 1;

    if (lseek(file, r->first, SEEK_SET) < 0)
        fileio_break();
    while (left > 0) {
        const ssize_t n = fileio_send_file(file, left < INT32_MAX ? (size_t)left : INT32_MAX);

        if (n <= 0) /* or somebody has made it shorter */
            fileio_break();
        left -= n;
    }
}

/* Not what would wait for somebody, or be somebody. */
static int
open_regular(int root, const char *path, struct stat *st)
{
    const int file = filepath_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (file < 0 || fstat(file, st) < 0)
        fileio_fail_errno();
    if (!S_ISREG(st->st_mode)) {
        errno = S_ISDIR(st->st_mode) ? EISDIR : ENODEV;
        fileio_fail_errno();
    }
    return file;
}

void
fileop_read(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    struct stat st;
    const int file = open_regular(root, path, &st);
    const struct filetree_entry e = {root, path, path, &st};
    char etag[FILETREE_ETAG_MAX];
    struct range r;

    filetree_etag(&st, etag);
    if (!find_range(wanted_range(request, etag), st.st_size, &r)) {
        fileio_reply(json_pack("{s:{s:s,s:s},s:I,s:o}", "error", "code", "range", "message",
                               "The file has no such part", "size", (json_int_t)st.st_size, "entry",
                               filetree_describe(&e)));
        return;
    }
    fileio_reply(json_pack("{s:o,s:I,s:I,s:b}", "entry", filetree_describe(&e), "first", r.first,
                           "length", r.last - r.first + 1, "partial", (int)r.partial));
    if (!fileop_flag(request, "head"))
        send_range(file, &r);
}

/* --- writing ------------------------------------------------------------------------------ */

struct upload {
    int dir, file;
    const char *name; /* in dir */
    char temporary[FILEIO_NAME_SIZE];
    bool named; /* it has its temporary name already */
    const json_t *if_match;
    bool if_none;
};

static void __attribute__((noreturn)) give_up(const struct upload *u)
{
    const int error = errno;

    if (u->named)
        unlinkat(u->dir, u->temporary, 0);
    errno = error;
    fileio_fail_errno();
}

/* Outlives us, however we end.  A file that has been given its real name has this one no more. */
static void
begin_removal(const struct upload *u)
{
    int ends[2];
    char none;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return;
    if (fork() == 0) {
        close(ends[1]);
        close(FILEIO_SOCKET);
        while (read(ends[0], &none, 1) < 0 && errno == EINTR)
            ;
        unlinkat(u->dir, u->temporary, 0);
        _exit(EXIT_SUCCESS);
    }
    close(ends[0]); /* the other end is open until our own */
}

static void
open_upload(struct upload *u)
{
    u->file = openat(u->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (u->file >= 0 || !fileio_has_no_tmpfile(errno))
        return;
    u->file =
        openat(u->dir, u->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    u->named = u->file >= 0;
    if (u->named)
        begin_removal(u);
}

static bool
matches(const json_t *wanted, const struct stat *st)
{
    char etag[FILETREE_ETAG_MAX];

    if (json_is_true(wanted)) /* any */
        return true;
    filetree_etag(st, etag);
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *text = json_string_value(json_array_get(wanted, i));

        if (text && strcmp(text, etag) == 0)
            return true;
    }
    return false;
}

static void __attribute__((noreturn))
refuse(const struct upload *u, const char *code, const char *message)
{
    if (u->named)
        unlinkat(u->dir, u->temporary, 0);
    fileio_fail(code, message);
}

/* Whether the file may be replaced.  Its mode is kept. */
static void
check(const struct upload *u, bool *exists)
{
    struct stat st;

    *exists = fstatat(u->dir, u->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (*exists && u->if_none)
        refuse(u, "precondition", "There is something at this path already");
    if (u->if_match && (!*exists || !matches(u->if_match, &st)))
        refuse(u, "precondition", "The file has changed, or is not there");
    if (*exists && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        give_up(u);
    }
    if (*exists && S_ISREG(st.st_mode))
        (void)fchmod(u->file, st.st_mode & 0777);
}

/* Told before the bytes are sent, rather than after. */
static void
check_room(const struct upload *u, json_int_t length)
{
    struct statvfs fs;

    if (length <= 0 || fstatvfs(u->file, &fs) < 0)
        return;
    if ((unsigned long long)length > (unsigned long long)fs.f_bavail * fs.f_frsize) {
        errno = ENOSPC;
        give_up(u);
    }
}

static void
write_all(const struct upload *u, const char *p, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(u->file, p, len);

        if (n < 0 && errno != EINTR)
            give_up(u);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static void
receive(const struct upload *u, json_int_t length)
{
    static char chunk[FILEIO_CHUNK];
    json_int_t got = 0;
    size_t n;

    while ((n = fileio_receive(chunk, sizeof(chunk))) > 0) {
        write_all(u, chunk, n);
        got += (json_int_t)n;
    }
    if (length >= 0 && got != length)
        refuse(u, "invalid", "The body ended early");
}

static int
name_it(const struct upload *u, const char *name)
{
    char self[40];

    if (u->named)
        return linkat(u->dir, u->temporary, u->dir, name, 0);
    snprintf(self, sizeof(self), "/proc/self/fd/%d", u->file);
    return linkat(AT_FDCWD, self, u->dir, name, AT_SYMLINK_FOLLOW);
}

/* A link can be made only where nothing is, and a file be replaced only by one that has a name. */
static void
commit(struct upload *u)
{
    if (name_it(u, u->name) == 0) {
        if (u->named)
            unlinkat(u->dir, u->temporary, 0);
        return;
    }
    if (errno != EEXIST)
        give_up(u);
    if (u->if_none)
        refuse(u, "precondition", "There is something at this path already");
    if (!u->named && name_it(u, u->temporary) < 0)
        give_up(u);
    u->named = true;
    if (renameat(u->dir, u->temporary, u->dir, u->name) < 0)
        give_up(u);
}

void
fileop_write(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    const json_int_t length = fileop_integer(request, "length", -1);
    struct upload u = {.if_match = json_object_get(request, "if_match"),
                       .if_none = fileop_flag(request, "if_none_match")};
    struct stat st;
    bool existed;

    if (filepath_make_parents(root, path) < 0)
        fileio_fail_errno();
    u.dir = filepath_parent(root, path, &u.name);
    if (u.dir < 0)
        fileio_fail_errno();
    fileio_draw_name(u.temporary);
    open_upload(&u);
    if (u.file < 0)
        fileio_fail_errno();
    check(&u, &existed);
    check_room(&u, length);
    receive(&u, length);
    check(&u, &existed);
    commit(&u);
    if (fstat(u.file, &st) < 0)
        fileio_fail_errno();
    fileio_reply(json_pack("{s:b,s:o}", "created", !existed, "entry",
                           filetree_describe(&(struct filetree_entry){u.dir, u.name, path, &st})));
}
