/* download.c - files and directories of a session, down.  Part of transfer.h. */
#include "transfer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tarball.h"
#include "interrupt.h"
#include "outlet.h"
#include "progress.h"
#include "remotepath.h"
#include "retry.h"

enum { PIPE_PAUSE_MS = 100 };

static const char part_end[] = ".part", has_changed[] = "The file has changed meanwhile";

struct download {
    const struct transfer_place *place;
    const char *path, *local;
    char *url;
    int fd;         /* -1: not open yet */
    bool is_part;   /* it becomes the local file in the end */
    char *part;     /* its path, if so */
    char etag[128]; /* with its quotes; "": not known yet */
    int64_t have;   /* bytes */
    bool moved;     /* this connection has brought some */
    struct progress progress;
    bool begun;         /* the progress has */
    struct err problem; /* of what stands in the way here */
};

/* --- the part that there is --------------------------------------------------------------- */

/* Whether a tag is the gateway's own: three numbers in hexadecimal.  A part whose name has such a one in it is ours. */
static bool
is_ours(const char *etag)
{
    const char *p = etag + 1;

    if (etag[0] != '"' || strlen(etag) >= 80)
        return false;
    for (int i = 0; i < 3; i++) {
        const size_t n = strspn(p, "0123456789abcdef");

        if (n == 0 || p[n] != (i < 2 ? '-' : '"'))
            return false;
        p += n + 1;
    }
    return *p == '\0';
}

static char *
part_path(const char *local, const char *etag)
{
    return xasprintf("%s.%.*s%s", local, (int)strlen(etag) - 2, etag + 1, part_end);
}

static char *
directory_of(const char *local)
{
    const char *slash = strrchr(local, '/');

    if (slash == NULL)
        return xstrdup(".");
    return slash == local ? xstrdup("/") : xasprintf("%.*s", (int)(slash - local), local);
}

/* "name.ETAG.part": its tag, in quotes. */
static bool
take_tag(const char *entry, const char *name, char *etag, size_t size)
{
    const size_t len = strlen(name), total = strlen(entry), end = sizeof(part_end) - 1;

    if (total <= len + 1 + end || strncmp(entry, name, len) != 0 || entry[len] != '.' ||
        strcmp(entry + total - end, part_end) != 0)
        return false;
    snprintf(etag, size, "\"%.*s\"", (int)(total - len - 1 - end), entry + len + 1);
    return is_ours(etag);
}

/* An earlier attempt's part, if there is one, is the one to go on with. */
static void
find_part(struct download *d)
{
    cleanup_free char *directory = directory_of(d->local);
    const char *slash = strrchr(d->local, '/'), *name = slash ? slash + 1 : d->local;
    DIR *dir = opendir(directory);
    const struct dirent *e;
    char etag[sizeof(d->etag)];

    while (dir && d->etag[0] == '\0' && (e = readdir(dir)) != NULL)
        if (take_tag(e->d_name, name, etag, sizeof(etag)))
            memcpy(d->etag, etag, sizeof(etag));
    if (dir)
        closedir(dir);
}

/* Nobody else's business until it is whole.  One that cannot be found again has a name that nothing has. */
static int
open_part(struct download *d)
{
    struct stat st;

    free(d->part);
    if (is_ours(d->etag)) {
        d->part = part_path(d->local, d->etag);
        d->fd = open(d->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    } else {
        d->part = xasprintf("%s.XXXXXX%s", d->local, part_end);
        d->fd = mkostemps(d->part, sizeof(part_end) - 1, O_CLOEXEC);
    }
    if (d->fd < 0) {
        err_sys(&d->problem, "%s", d->part);
        free(mem_steal(&d->part)); /* what is there is not ours */
        return -1;
    }
    if (fstat(d->fd, &st) < 0)
        return err_sys(&d->problem, "%s", d->part);
    if (!S_ISREG(st.st_mode))
        return err_set(&d->problem, ERR_SYSTEM, "%s is no file", d->part);
    d->have = st.st_size;
    if (lseek(d->fd, 0, SEEK_END) < 0)
        return err_sys(&d->problem, "%s", d->part);
    return 0;
}

/* A named pipe opens when somebody reads it; only Ctrl-C ends that wait. */
static int
open_no_file(struct download *d, bool is_pipe)
{
    struct pollfd interrupt = {.fd = interrupt_fd(), .events = POLLIN};

    while ((d->fd = open(d->local, O_WRONLY | O_CLOEXEC | O_NONBLOCK)) < 0 && errno == ENXIO &&
           is_pipe)
        if (poll(&interrupt, 1, PIPE_PAUSE_MS) > 0)
            return err_set(&d->problem, ERR_NONE, "interrupted");
    if (d->fd < 0)
        return err_sys(&d->problem, "%s", d->local);
    fcntl(d->fd, F_SETFL, 0);
    return 0;
}

/* stdout, what is no file, or a part.  A directory has its turn when the server has said that its thing is one, too. */
static int
open_local(struct download *d)
{
    struct stat st;

    d->fd = -1;
    if (strcmp(d->local, "-") == 0) {
        d->fd = STDOUT_FILENO;
        return 0;
    }
    if (stat(d->local, &st) == 0 && !S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? 0 : open_no_file(d, S_ISFIFO(st.st_mode));
    d->is_part = true;
    find_part(d);
    return d->etag[0] ? open_part(d) : 0;
}

/* --- what comes --------------------------------------------------------------------------- */

/* Not what the part is of: all of it comes anew. */
static int
start_anew(struct download *d, const struct client_head *head)
{
    if (!d->is_part && d->fd < 0) {
        errno = EISDIR;
        return err_sys(&d->problem, "%s", d->local);
    }
    if (!d->is_part && d->have > 0)
        return err_set(&d->problem, ERR_SYSTEM, has_changed);
    if (d->part && strcmp(d->etag, head->etag) != 0) {
        unlink(d->part);
        close(d->fd);
        d->fd = -1;
    }
    memcpy(d->etag, head->etag, sizeof(d->etag));
    if (d->is_part && d->fd < 0 && open_part(d) < 0)
        return -1;
    if (d->is_part && (ftruncate(d->fd, 0) < 0 || lseek(d->fd, 0, SEEK_SET) < 0))
        return err_sys(&d->problem, "%s", d->part);
    d->have = 0;
    return 0;
}

static bool
on_head(void *owner, const struct client_head *head)
{
    struct download *d = owner;

    if (head->status != 206)
        (void)start_anew(d, head); /* take tells */
    if (!d->begun)
        progress_begin(&d->progress, remotepath_name(d->path), d->have,
                       head->length < 0 ? -1 : d->have + head->length, d->place->quiet);
    d->begun = true;
    return true;
}

static int
take(void *owner, const char *bytes, size_t len, struct err *err)
{
    struct download *d = owner;

    if (d->problem.code != ERR_NONE) {
        *err = d->problem;
        return -1;
    }
    if (outlet_write(d->fd, bytes, len) < 0)
        return errno == EINTR ? -1 : err_sys(err, "%s cannot be written", d->local);
    d->have += (int64_t)len;
    d->moved = true;
    progress_move(&d->progress, (int64_t)len);
    return 0;
}

static void
on_turn(void *owner)
{
    struct download *d = owner;

    progress_show(&d->progress);
}

/* --- connections -------------------------------------------------------------------------- */

static int
ask(struct download *d, struct client_answer *answer, struct err *err)
{
    static const struct client_ops ops = {.wants = on_head, .take = take, .on_turn = on_turn};
    cleanup_free char *range = xasprintf("Range: bytes=%lld-", (long long)d->have);
    cleanup_free char *condition = xasprintf("If-Range: %s", d->etag);
    struct client_request r = {.method = "GET", .path = d->url, .ops = &ops, .owner = d};

    if (d->have > 0 && d->etag[0]) {
        r.headers[0] = range;
        r.headers[1] = condition;
    }
    d->moved = false;
    return client_perform(d->place->client, &r, answer, err);
}

/* An empty body has no first piece, by which the file would have been made, or what is there of an earlier one would have gone. */
static int
take_nothing(struct download *d, const struct client_head *head, struct err *err)
{
    if (d->moved || head->status == 206)
        return 0;
    (void)on_head(d, head);
    if (d->problem.code == ERR_NONE)
        return 0;
    *err = d->problem;
    return -1;
}

/* The part has all the bytes that there are (416), if it is a part of this file: 0; else it is of another, and goes. */
static int
judge_part(struct download *d, struct err *err)
{
    struct client_request r = {.method = "HEAD", .path = d->url};
    struct client_answer answer;

    if (client_perform(d->place->client, &r, &answer, err) < 0)
        return -1;
    if (strcmp(answer.head.etag, d->etag) == 0 && answer.head.length == d->have)
        return 0;
    if (!d->is_part)
        return err_set(err, ERR_SYSTEM, has_changed);
    d->have = 0;
    return 1;
}

static int
wait_for_next(struct retry *retry, struct err *err)
{
    switch (retry_wait(retry)) {
    case RETRY_GIVEN_UP:
        return -1;
    case RETRY_INTERRUPTED:
        return err_set(err, ERR_NONE, "interrupted");
    case RETRY_NOW:
        break;
    }
    return 0;
}

static int
fetch(struct download *d, struct client_answer *answer, struct err *err)
{
    struct retry retry;

    retry_begin(&retry);
    for (bool first = true;; first = false) {
        const int rc = ask(d, answer, err);
        const bool known = d->have > 0 && d->etag[0];

        json_decref(answer->json);
        if (rc == 0)
            return take_nothing(d, &answer->head, err);
        if (answer->head.status == 416 && known) {
            const int verdict = judge_part(d, err);

            if (verdict <= 0)
                return verdict;
            continue;
        }
        if (answer->loss == LOST_NOTHING || (first && answer->loss == LOST_UNREACHED) ||
            (d->have > 0 && !known))
            return -1;
        if (d->moved)
            retry_moved(&retry);
        if (wait_for_next(&retry, err) < 0)
            return -1;
    }
}

/* --- a file ------------------------------------------------------------------------------- */

/* Of the file that is there; else of a new one. */
static mode_t
mode_of(const char *local)
{
    struct stat st;
    mode_t mask;

    if (stat(local, &st) == 0 && S_ISREG(st.st_mode))
        return st.st_mode & 0777;
    mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static int
finish(struct download *d, json_t **told, struct err *err)
{
    if (d->is_part)
        (void)!fchmod(d->fd, mode_of(d->local)); /* not every file system has modes */
    if (d->is_part && (close(d->fd) < 0 || rename(d->part, d->local) < 0)) {
        d->fd = -1;
        return err_sys(err, "%s", d->local);
    }
    if (d->is_part)
        d->fd = -1;
    *told = json_pack("{s:s%,s:s%,s:s,s:I}", "path", d->path, strlen(d->path), "local", d->local,
                      strlen(d->local), "type", "file", "bytes", (json_int_t)d->have);
    return 0;
}

/* 1: it is a directory. */
static int
get_file(const struct transfer_place *place, const char *path, const char *local, json_t **told,
         struct err *err)
{
    struct download d = {.place = place, .path = path, .local = local, .problem = ERR_INIT};
    struct client_answer answer = {.json = NULL};
    int rc;

    d.url = transfer_url(place, "/", path);
    rc = open_local(&d);
    if (rc < 0)
        *err = d.problem;
    else
        rc = fetch(&d, &answer, err);
    if (d.begun)
        progress_end(&d.progress);
    if (rc == 0)
        rc = finish(&d, told, err);
    else if (answer.head.status == 409)
        rc = 1;
    if (d.fd > STDERR_FILENO)
        close(d.fd);
    if (rc != 0 && d.part && (d.have == 0 || !is_ours(d.etag)))
        unlink(d.part);
    free(d.part);
    free(d.url);
    return rc;
}

/* --- a directory -------------------------------------------------------------------------- */

struct unpacking {
    int fd;
    bool is_stdout;
    int64_t bytes;
    struct progress progress;
};

static int
take_archive(void *owner, const char *bytes, size_t len, struct err *err)
{
    struct unpacking *u = owner;

    if (outlet_write(u->fd, bytes, len) < 0)
        return errno == EINTR ? -1
                              : err_sys(err, "The archive cannot be %s",
                                        u->is_stdout ? "written" : "unpacked");
    u->bytes += (int64_t)len;
    progress_move(&u->progress, (int64_t)len);
    return 0;
}

static void
show_archive(void *owner)
{
    struct unpacking *u = owner;

    progress_show(&u->progress);
}

static int
fetch_archive(const struct transfer_place *place, const char *path, struct unpacking *u,
              struct err *err)
{
    static const struct client_ops ops = {.take = take_archive, .on_turn = show_archive};
    cleanup_free char *url = transfer_url(place, ":archive?path=", path);
    const struct client_request r = {.method = "GET", .path = url, .ops = &ops, .owner = u};
    struct client_answer answer;
    int rc;

    progress_begin(&u->progress, remotepath_name(path), 0, -1, place->quiet);
    rc = client_perform(place->client, &r, &answer, err);
    progress_end(&u->progress);
    json_decref(answer.json);
    return rc;
}

static int
get_directory(const struct transfer_place *place, const char *path, const char *local,
              json_t **told, struct err *err)
{
    const bool to_stdout = strcmp(local, "-") == 0;
    struct unpacking u = {.fd = STDOUT_FILENO, .is_stdout = to_stdout};
    struct tarball_job job;
    struct err unpacking = ERR_INIT;
    int rc;

    if (!to_stdout && mkdir(local, 0777) < 0 && errno != EEXIST)
        return err_sys(err, "%s", local);
    if (!to_stdout && tarball_unpack(local, &job, err) < 0)
        return -1;
    if (!to_stdout)
        u.fd = job.pipe;
    rc = fetch_archive(place, path, &u, err);
    /* What was cut is no archive, which is then not worth mentioning; of what it says itself the pipe knows nothing. */
    if (!to_stdout && tarball_finish(&job, &unpacking) < 0 &&
        (rc == 0 || err->code == ERR_SYSTEM)) {
        *err = unpacking;
        rc = -1;
    }
    if (rc == 0)
        *told = json_pack("{s:s%,s:s%,s:s,s:I}", "path", path, strlen(path), "local", local,
                          strlen(local), "type", "directory", "bytes", (json_int_t)u.bytes);
    return rc;
}

int
transfer_get(const struct transfer_place *place, const char *path, const char *local, json_t **told,
             struct err *err)
{
    int rc = 1;

    *told = NULL;
    if (path[0])
        rc = get_file(place, path, local, told, err);
    return rc == 1 ? get_directory(place, path, local, told, err) : rc;
}
