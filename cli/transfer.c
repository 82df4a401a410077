/* transfer.c - see transfer.h.  Downloads are download.c's. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tarball.h"
#include "interrupt.h"
#include "progress.h"
#include "remotepath.h"

/* What is sent: a file, or what comes out of a pipe. */
struct upload {
    int fd;
    bool may_wait; /* it is no file */
    int64_t left;  /* bytes of a file; -1: up to its end */
    const char *name;
    struct progress progress;
};

char *
transfer_url(const struct transfer_place *place, const char *verb, const char *path)
{
    cleanup_free char *encoded = remotepath_encode(path);

    return xasprintf("/v1/sessions/%s/files%s%s", place->session, verb, encoded);
}

/* --- bytes -------------------------------------------------------------------------------- */

/* False: Ctrl-C came first. */
static bool
wait_for_bytes(int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = interrupt_fd(), .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
    return fds[1].revents == 0;
}

static ssize_t
give(void *owner, char *bytes, size_t len, struct err *err)
{
    struct upload *u = owner;
    ssize_t n;

    if (u->may_wait && !wait_for_bytes(u->fd))
        return -1;
    if (u->left >= 0 && (int64_t)len > u->left)
        len = (size_t)u->left;
    while ((n = read(u->fd, bytes, len)) < 0 && errno == EINTR)
        ;
    if (n < 0)
        return err_sys(err, "%s", u->name);
    if (n == 0 && u->left > 0)
        return err_set(err, ERR_SYSTEM, "%s has become shorter", u->name);
    if (u->left >= 0)
        u->left -= n;
    progress_move(&u->progress, n);
    return n;
}

static void
on_turn(void *owner)
{
    struct upload *u = owner;

    progress_show(&u->progress);
}

static int
send(const struct transfer_place *place, struct upload *u, const char *method, const char *url,
     int64_t total, json_t **told, struct err *err)
{
    static const struct client_ops ops = {.give = give, .on_turn = on_turn};
    const struct client_request r = {
        .method = method, .path = url, .length = u->left, .ops = &ops, .owner = u};
    struct client_answer answer;
    int rc;

    progress_begin(&u->progress, u->name, 0, total, place->quiet);
    rc = client_perform(place->client, &r, &answer, err);
    progress_end(&u->progress);
    *told = answer.json;
    return rc;
}

/* --- up ----------------------------------------------------------------------------------- */

/* Of a file from where it is read next; -1: nobody knows, as of what the kernel makes up (/proc), which has a size of 0. */
static int64_t
bytes_left(int fd, const struct stat *st)
{
    const off_t at = S_ISREG(st->st_mode) && st->st_size > 0 ? lseek(fd, 0, SEEK_CUR) : -1;

    if (at < 0)
        return -1;
    return at < st->st_size ? st->st_size - at : 0;
}

static int
put_file(const struct transfer_place *place, int fd, const struct stat *st, const char *local,
         const char *path, json_t **told, struct err *err)
{
    struct upload u = {
        .fd = fd, .may_wait = !S_ISREG(st->st_mode), .left = bytes_left(fd, st), .name = local};
    cleanup_free char *url = transfer_url(place, "/", path);

    return send(place, &u, "PUT", url, u.left, told, err);
}

static int
make_directory(const struct transfer_place *place, const char *path, struct err *err)
{
    cleanup_free char *url = transfer_url(place, ":mkdir", "");
    json_t *body = json_pack("{s:s}", "path", path);

    if (path[0] == '\0')
        return 0;
    if (body == NULL)
        return err_set(err, ERR_CONFIG, "The path is no UTF-8");
    return client_call(place->client, "POST", url, body, NULL, err);
}

static int
put_directory(const struct transfer_place *place, const char *local, const char *path,
              json_t **told, struct err *err)
{
    cleanup_free char *url = transfer_url(place, ":archive?path=", path);
    struct tarball_job job;
    struct err packing = ERR_INIT;
    int rc;

    if (make_directory(place, path, err) < 0 || tarball_pack(local, &job, err) < 0)
        return -1;
    struct upload u = {.fd = job.pipe, .may_wait = true, .left = -1, .name = local};

    rc = send(place, &u, "POST", url, tarball_estimate(local), told, err);
    if (tarball_finish(&job, &packing) < 0 && rc == 0) {
        *err = packing;
        rc = -1;
    }
    return rc;
}

/* Of a named pipe that nobody writes to yet, too, without waiting here. */
static int
open_source(const char *local)
{
    const int fd = open(local, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        fcntl(fd, F_SETFL, 0);
    return fd;
}

int
transfer_put(const struct transfer_place *place, const char *local, const char *path, json_t **told,
             struct err *err)
{
    const bool is_stdin = strcmp(local, "-") == 0;
    const int fd = is_stdin ? STDIN_FILENO : open_source(local);
    struct stat st;
    int rc;

    *told = NULL;
    if (fd < 0)
        return err_sys(err, "%s", local);
    if (fstat(fd, &st) < 0)
        rc = err_sys(err, "%s", local);
    else if (S_ISFIFO(st.st_mode) && !is_stdin && !wait_for_bytes(fd))
        rc = err_set(err, ERR_NONE, "interrupted");
    else if (S_ISDIR(st.st_mode) && !is_stdin)
        rc = put_directory(place, local, path, told, err);
    else
        rc = put_file(place, fd, &st, is_stdin ? "stdin" : local, path, told, err);
    if (!is_stdin)
        close(fd);
    return rc;
}
