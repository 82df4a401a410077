/* fileop.c - see fileop.h. */
#include "fileop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fileio.h"
#include "filepath.h"
#include "filetree.h"
#include "protocol.h"
#include "skel.h"

enum {
    LIST_MAX = 1000,        /* entries of one page */
    LIST_BYTES = 160 << 10, /* of their JSON, before the last one */
};

/* --- requests ----------------------------------------------------------------------------- */

const char *
fileop_path(const json_t *request, const char *key)
{
    const char *path = json_string_value(json_object_get(request, key));

    if (path == NULL || !pathrule_allows(path))
        fileio_fail("invalid", "That is no path of a file");
    return path;
}

json_int_t
fileop_integer(const json_t *request, const char *key, json_int_t missing)
{
    const json_t *value = json_object_get(request, key);

    return json_is_integer(value) ? json_integer_value(value) : missing;
}

int
fileop_flag(const json_t *request, const char *key)
{
    return json_is_true(json_object_get(request, key));
}

/* --- what has no bytes behind it ---------------------------------------------------------- */

static void
do_stat(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path"), *name;
    const int dir = filepath_parent(root, path, &name);
    struct stat st;
    const struct filetree_entry e = {dir, name, path, &st};

    if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fileio_fail_errno();
    fileio_reply(json_pack("{s:o}", "entry", filetree_describe(&e)));
}

struct listing {
    json_t *entries;
    json_int_t limit;
    size_t bytes;
    char last[FILEPATH_MAX + 1];
};

static int
list_one(void *arg, const struct filetree_entry *e)
{
    struct listing *l = arg;
    json_t *entry;

    if ((json_int_t)json_array_size(l->entries) == l->limit || l->bytes > LIST_BYTES)
        return 1;
    entry = filetree_describe(e);
    l->bytes += json_dumpb(entry, NULL, 0, JSON_COMPACT);
    json_array_append_new(l->entries, entry);
    snprintf(l->last, sizeof(l->last), "%s", e->path);
    return 0;
}

/* What the cursor says; and what of it is in the directory. */
static const char *
behind(const char *path, const json_t *request, char after[FILEPATH_MAX + 1])
{
    const char *cursor = json_string_value(json_object_get(request, "after"));
    const size_t len = strlen(path);

    if (cursor == NULL || !pathrule_decode(cursor, after))
        fileio_fail("invalid", "That is no cursor of a listing");
    if (len == 0 || after[0] == '\0')
        return after;
    if (strncmp(path, after, len) != 0 || after[len] != '/')
        fileio_fail("invalid", "The cursor does not belong to this directory");
    return after + len + 1;
}

/* Of a listing that goes on behind that path. */
static json_t *
cursor_of(const char *last)
{
    char encoded[PATHRULE_CURSOR_MAX + 1];
    json_t *cursor = json_string(last);

    if (cursor == NULL) { /* it is no UTF-8 */
        pathrule_encode(last, encoded);
        cursor = json_string(encoded);
    }
    return cursor;
}

static void
do_list(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path");
    char after[FILEPATH_MAX + 1];
    struct listing l = {json_array(), fileop_integer(request, "limit", LIST_MAX), 0, ""};
    struct filetree_walk walk = {list_one, &l, fileop_flag(request, "recursive"),
                                 behind(path, request, after), false};
    const int dir = filepath_open(root, path, O_RDONLY | O_DIRECTORY);
    int rc;

    if (l.limit < 1 || l.limit > LIST_MAX)
        fileio_fail("invalid", "A page has 1 to 1000 entries");
    if (dir < 0)
        fileio_fail_errno();
    rc = filetree_walk(dir, path, &walk);
    if (rc < 0)
        fileio_fail_errno();
    fileio_reply(json_pack("{s:o,s:o,s:b}", "entries", l.entries, "next",
                           rc ? cursor_of(l.last) : json_null(), "truncated", (int)walk.truncated));
}

static void
check_match(int dir, const char *name, const json_t *wanted)
{
    struct stat st;
    char etag[FILETREE_ETAG_MAX];

    if (wanted == NULL)
        return;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fileio_fail("precondition", "The file is not there");
    filetree_etag(&st, etag);
    for (size_t i = 0; i < json_array_size(wanted); i++)
        if (strcmp(json_string_value(json_array_get(wanted, i)), etag) == 0)
            return;
    if (json_array_size(wanted) > 0)
        fileio_fail("precondition", "The file has changed");
}

static void
do_delete(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path"), *name;
    const int dir = filepath_parent(root, path, &name);
    int rc;

    if (dir < 0)
        fileio_fail_errno();
    check_match(dir, name, json_object_get(request, "if_match"));
    if (fileop_flag(request, "recursive")) {
        rc = filetree_remove(dir, name);
    } else {
        rc = unlinkat(dir, name, 0);
        if (rc < 0 && (errno == EISDIR || errno == EPERM))
            rc = unlinkat(dir, name, AT_REMOVEDIR);
    }
    if (rc < 0)
        fileio_fail_errno();
    fileio_reply(json_object());
}

static void
do_mkdir(int root, const json_t *request)
{
    const char *path = fileop_path(request, "path"), *name;
    const bool parents = fileop_flag(request, "parents");
    struct stat st;
    int dir, rc;

    if (parents && filepath_make_parents(root, path) < 0)
        fileio_fail_errno();
    dir = filepath_parent(root, path, &name);
    if (dir < 0)
        fileio_fail_errno();
    rc = mkdirat(dir, name, 0755);
    if (rc < 0 && !(errno == EEXIST && parents))
        fileio_fail_errno();
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (rc < 0 && !S_ISDIR(st.st_mode))) {
        errno = EEXIST;
        fileio_fail_errno();
    }
    fileio_reply(json_pack("{s:b,s:o}", "created", rc == 0, "entry",
                           filetree_describe(&(struct filetree_entry){dir, name, path, &st})));
}

static void
do_move(int root, const json_t *request)
{
    const char *from = fileop_path(request, "from"), *to = fileop_path(request, "to");
    const char *old_name, *new_name;
    const int old_dir = filepath_parent(root, from, &old_name);
    struct stat st;
    int new_dir;

    if (old_dir < 0)
        fileio_fail_errno();
    if (fileop_flag(request, "parents") && filepath_make_parents(root, to) < 0)
        fileio_fail_errno();
    new_dir = filepath_parent(root, to, &new_name);
    if (new_dir < 0 ||
        renameat2(old_dir, old_name, new_dir, new_name,
                  fileop_flag(request, "overwrite") ? 0 : RENAME_NOREPLACE) < 0 ||
        fstatat(new_dir, new_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fileio_fail_errno();
    fileio_reply(json_pack(
        "{s:o}", "entry", filetree_describe(&(struct filetree_entry){new_dir, new_name, to, &st})));
}

static void
do_usage(int root, const json_t *request)
{
    struct statvfs fs;
    json_t *files;

    (void)request;
    if (fstatvfs(root, &fs) < 0)
        fileio_fail_errno();
    files = fs.f_files > 0 ? json_integer((json_int_t)(fs.f_files - fs.f_ffree)) : json_null();
    fileio_reply(json_pack("{s:I,s:I,s:o}", "bytes_total", (json_int_t)(fs.f_blocks * fs.f_frsize),
                           "bytes_free", (json_int_t)(fs.f_bfree * fs.f_frsize), "files", files));
}

/* As it was when the session began. */
static void
do_wipe(int root, const json_t *request)
{
    static const char *const others[] = {TCI_PATH_HOME, "/tmp", "/dev/shm", TCI_PATH_PACKAGES};

    (void)request;
    if (filetree_empty(root) < 0)
        fileio_fail_errno();
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        const int dir = open(others[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (dir >= 0 && filetree_empty(dir) < 0)
            fileio_fail_errno();
        if (dir >= 0)
            close(dir);
    }
    if (skel_copy(TCI_PATH_SKEL, TCI_PATH_HOME) < 0)
        fileio_fail_errno();
    fileio_reply(json_object());
}

/* --- all of them -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    fileop_fn *fn;
} operations[] = {
    {"archive", fileop_archive}, {"delete", do_delete},   {"extract", fileop_extract},
    {"install", fileop_install}, {"list", do_list},       {"mkdir", do_mkdir},
    {"move", do_move},           {"read", fileop_read},   {"stat", do_stat},
    {"usage", do_usage},         {"watch", fileop_watch}, {"wipe", do_wipe},
    {"write", fileop_write},
};

static void
limit_time(void)
{
    const struct rlimit limit = {FILEOP_CPU_S, FILEOP_CPU_S};

    (void)setrlimit(RLIMIT_CPU, &limit); /* a lower one holds anyway */
    signal(SIGPIPE, SIG_IGN);
}

void
fileop_main(void)
{
    const int root = open(TCI_PATH_WORKSPACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    json_t *request = NULL;
    const char *name;

    limit_time();
    if (root < 0)
        fileio_fail_errno();
    request = fileio_request();
    name = json_string_value(json_object_get(request, "op"));
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (name && strcmp(operations[i].name, name) == 0) {
            operations[i].fn(root, request);
            _exit(EXIT_SUCCESS);
        }
    }
    fileio_fail("invalid", "There is no such operation");
}
