/* tarball.c - see tarball.h. */
#include "tarball.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <archive.h>
#include <archive_entry.h>

enum { BLOCK = 256 << 10, TAR_BLOCK = 512 };

/* --- in the process of its own ------------------------------------------------------------ */

/* Never waits, as nobody reads it before the end. */
static void
complain(int notes, const char *name, const char *why)
{
    cleanup_free char *text =
        xasprintf("%s%s%s", name ? name : "", name ? ": " : "", why ? why : "an unknown error");

    (void)!write(notes, text, strlen(text));
}

static bool
is_wanted(struct archive_entry *entry)
{
    const mode_t type = archive_entry_filetype(entry);

    return archive_entry_hardlink(entry) == NULL &&
           (type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK);
}

/* Holes of a file are zeros of the archive. */
static int
put_zeros(struct archive *to, int64_t n)
{
    static const char zeros[64 << 10];

    while (n > 0) {
        const size_t len = n < (int64_t)sizeof(zeros) ? (size_t)n : sizeof(zeros);

        if (archive_write_data(to, zeros, len) < 0)
            return -1;
        n -= (int64_t)len;
    }
    return 0;
}

/* 0; -1: the reader has gone; -2: it cannot be read; -3: it is no longer of that size. */
static int
pack_bytes(struct archive *from, struct archive *to, int64_t size)
{
    const void *bytes;
    int64_t offset, at = 0;
    size_t len;
    int rc;

    while ((rc = archive_read_data_block(from, &bytes, &len, &offset)) == ARCHIVE_OK) {
        if (put_zeros(to, offset - at) < 0 || archive_write_data(to, bytes, len) < 0)
            return -1;
        at = offset + (int64_t)len;
    }
    if (rc != ARCHIVE_EOF)
        return -2;
    return offset < size ? -3 : 0; /* which is where a hole at the end has its end, too */
}

/* "./a" is "a" in the archive, and "." is not in it. */
static const char *
name_in_archive(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname(entry);

    if (name && strncmp(name, "./", 2) == 0)
        name += 2;
    return name && name[0] && strcmp(name, ".") != 0 ? name : NULL;
}

/* 0: go on; 1: something is missing; -1: the reader has gone. */
static int
pack_entry(struct archive *from, struct archive *to, struct archive_entry *entry, int notes)
{
    const char *found = name_in_archive(entry);
    cleanup_free char *name = found ? xstrdup(found) : NULL;
    int rc;

    if (name == NULL || !is_wanted(entry))
        return 0;
    archive_entry_copy_pathname(entry, name);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_sparse_clear(entry);
    if (archive_write_header(to, entry) < ARCHIVE_WARN)
        return -1;
    rc = archive_entry_filetype(entry) == AE_IFREG ? pack_bytes(from, to, archive_entry_size(entry))
                                                   : 0;
    if (rc >= -1)
        return rc;
    complain(notes, name, rc == -2 ? archive_error_string(from) : "has become shorter");
    return 1;
}

static int
pack_all(struct archive *from, struct archive *to, int notes)
{
    struct archive_entry *entry = archive_entry_new();
    int rc, bad = 0;

    while ((rc = archive_read_next_header2(from, entry)) != ARCHIVE_EOF) {
        if (rc < ARCHIVE_OK) {
            complain(notes, NULL, archive_error_string(from));
            bad = 1;
        }
        if (rc == ARCHIVE_FATAL)
            break;
        if (rc >= ARCHIVE_WARN) {
            archive_read_disk_descend(from);
            rc = pack_entry(from, to, entry, notes);
            if (rc < 0)
                return 1;
            bad |= rc;
        }
        archive_entry_clear(entry);
    }
    archive_entry_free(entry);
    return bad;
}

static int
pack(int out, int notes)
{
    struct archive *from = archive_read_disk_new(), *to = archive_write_new();
    int bad;

    archive_read_disk_set_symlink_physical(from);
    archive_read_disk_set_behavior(from, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL |
                                             ARCHIVE_READDISK_NO_FFLAGS);
    archive_write_set_format_pax_restricted(to);
    archive_write_add_filter_none(to);
    archive_write_set_bytes_per_block(to, BLOCK);
    archive_write_set_bytes_in_last_block(to, 1);
    if (archive_write_open_fd(to, out) != ARCHIVE_OK ||
        archive_read_disk_open(from, ".") != ARCHIVE_OK) {
        complain(notes, NULL, archive_error_string(from));
        return 1;
    }
    bad = pack_all(from, to, notes);
    archive_read_free(from);
    archive_write_free(to);
    return bad;
}

static int
unpack_bytes(struct archive *from, struct archive *to)
{
    const void *bytes;
    int64_t offset;
    size_t len;
    int rc;

    while ((rc = archive_read_data_block(from, &bytes, &len, &offset)) == ARCHIVE_OK)
        if (archive_write_data_block(to, bytes, len, offset) < ARCHIVE_WARN)
            return -1;
    return rc == ARCHIVE_EOF ? 0 : -1;
}

static int
unpack_all(struct archive *from, struct archive *to, int notes)
{
    struct archive_entry *entry;
    int rc, bad = 0;

    while ((rc = archive_read_next_header(from, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        if (!is_wanted(entry))
            continue;
        if (archive_write_header(to, entry) < ARCHIVE_WARN ||
            (archive_entry_size(entry) > 0 && unpack_bytes(from, to) < 0) ||
            archive_write_finish_entry(to) < ARCHIVE_WARN) {
            complain(notes, archive_entry_pathname(entry), archive_error_string(to));
            return 1;
        }
    }
    if (rc != ARCHIVE_EOF) {
        complain(notes, NULL, archive_error_string(from));
        bad = 1;
    }
    return bad;
}

static int
unpack(int in, int notes)
{
    struct archive *from = archive_read_new(), *to = archive_write_disk_new();
    char rest[4096];
    int bad;

    archive_read_support_format_tar(from);
    archive_write_disk_set_options(to, ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                           ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                           ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS |
                                           ARCHIVE_EXTRACT_UNLINK);
    archive_read_open_fd(from, in, BLOCK);
    bad = unpack_all(from, to, notes);
    if (archive_write_free(to) < ARCHIVE_WARN) {
        complain(notes, NULL, "some directories have not got their times");
        bad = 1;
    }
    archive_read_free(from);
    while (!bad && read(in, rest, sizeof(rest)) > 0)
        ; /* what fills the last block */
    return bad;
}

/* --- around it ---------------------------------------------------------------------------- */

static void
become(const char *dir, int data, int notes, bool packing)
{
    signal(SIGINT, SIG_IGN); /* whoever is interrupted closes the pipe */
    signal(SIGPIPE, SIG_IGN);
    if (chdir(dir) < 0) {
        complain(notes, dir, strerror(errno));
        _exit(1);
    }
    _exit(packing ? pack(data, notes) : unpack(data, notes));
}

static int
start(const char *dir, bool packing, struct tarball_job *job, struct err *err)
{
    int data[2], notes[2];
    const int theirs = packing ? 1 : 0;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (pipe2(data, O_CLOEXEC) < 0)
        return err_sys(err, "pipe");
    if (pipe2(notes, O_CLOEXEC | O_NONBLOCK) < 0) {
        close(data[0]);
        close(data[1]);
        return err_sys(err, "pipe");
    }
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0) {
        close(data[1 - theirs]);
        close(notes[0]);
        become(dir, data[theirs], notes[1], packing);
    }
    close(data[theirs]);
    close(notes[1]);
    job->pipe = data[1 - theirs];
    job->notes = notes[0];
    sigaction(SIGPIPE, &ignore,
              &job->before); /* a pipe whose other end has gone is an error like others */
    return job->pid < 0 ? err_sys(err, "fork") : 0;
}

int
tarball_pack(const char *dir, struct tarball_job *job, struct err *err)
{
    return start(dir, true, job, err);
}

int
tarball_unpack(const char *dir, struct tarball_job *job, struct err *err)
{
    return start(dir, false, job, err);
}

int
tarball_finish(struct tarball_job *job, struct err *err)
{
    char text[300] = "";
    int status = 0;
    ssize_t n;

    close(job->pipe);
    while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
        ;
    n = read(job->notes, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(job->notes);
    sigaction(SIGPIPE, &job->before, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "%s", text[0] ? text : "The archive's process failed");
}

int64_t
tarball_estimate(const char *dir)
{
    char *const paths[] = {(char *)dir, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *e;
    int64_t sum = 2 * (int64_t)TAR_BLOCK;

    if (walk == NULL)
        return -1;
    while ((e = fts_read(walk)) != NULL)
        if (e->fts_info == FTS_F)
            sum += TAR_BLOCK + (e->fts_statp->st_size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        else if (e->fts_info == FTS_D || e->fts_info == FTS_SL)
            sum += TAR_BLOCK;
    fts_close(walk);
    return sum;
}
