/*
 * files.c - see files.h.
 *
 * A transfer is over when its process has been reaped and its socket read to the end, or to where nothing is (a process that
 * has inherited the socket may hold it open).  One that is aborted is only kept until it has been reaped.
 *
 * What an operation says goes over the link when the link has nothing else to send, so that a kernel's message waits for no
 * more of it than the socket itself holds.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bigendian.h"
#include "die.h"
#include "disk.h"
#include "fileop.h"
#include "sandbox.h"

enum {
    PROCESSES = 2 * TCI_FILES_MAX,
    EVENTS = PROCESSES,
    CHUNKS = 4,              /* of one operation in a turn */
    SOCKET_BUFFER = 1 << 20, /* as far as the host's limit allows */
    GRANT_AT = TCI_FILES_WINDOW / 4,
};

struct transfer {
    uint32_t id;
    pid_t pid; /* 0: reaped */
    int fd;    /* -1: read to its end, or given up */
    int status;
    bool aborted;
    bool ready;       /* there is something to do */
    uint32_t watched; /* epoll events; 0 = not at all */
    size_t credit;    /* bytes that the gateway still takes */
    /* Bytes that came for it and its socket has not taken. */
    uint8_t *input;
    size_t begin, end, size;
    bool input_ended, input_shut;
    size_t taken; /* and not granted yet */
    struct transfer *next;
};

struct files {
    struct uplink *uplink;
    uid_t uid;
    gid_t gid;
    int epoll;
    struct transfer *transfers;
    unsigned n;
    uint8_t chunk[TCI_FILES_CHUNK];
};

/* --- what goes over the link -------------------------------------------------------------- */

static void
say(struct files *f, enum tci_verb verb, uint32_t id, const void *data, size_t len)
{
    uint8_t number[4];
    const struct frame frames[2] = {{number, sizeof(number)}, {data, len}};

    bigendian_put32(number, id);
    uplink_send(f->uplink, verb, frames, 2);
}

/* --- starting one ------------------------------------------------------------------------- */

static void __attribute__((noreturn)) child_main(const struct files *f, int socket)
{
    static char program[] = TCI_PATH_WORKER, argument[] = FILEOP_ARGUMENT;
    char *argv[] = {program, argument, NULL}, *env[] = {NULL};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(socket, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || sandbox_detach() || sandbox_become(f->uid, f->gid) ||
        chdir("/") < 0)
        _exit(126);
    sandbox_close_others();
    execve(program, argv, env);
    _exit(127);
}

static void
widen(int fd)
{
    const int size = SOCKET_BUFFER;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* NULL with errno. */
static struct transfer *
spawn(struct files *f)
{
    struct transfer *t;
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return NULL;
    widen(pair[0]);
    widen(pair[1]);
    pid = fork();
    if (pid == 0)
        child_main(f, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        const int error = errno;

        close(pair[0]);
        errno = error;
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    t->pid = pid;
    t->fd = pair[0];
    t->credit = TCI_FILES_WINDOW;
    t->next = f->transfers;
    f->transfers = t;
    f->n++;
    return t;
}

static void
add_input(struct transfer *t, const void *data, size_t len)
{
    if (t->begin > 0) {
        memmove(t->input, t->input + t->begin, t->end - t->begin);
        t->end -= t->begin;
        t->begin = 0;
    }
    if (t->end + len > t->size) {
        t->size = t->end + len;
        t->input = realloc(t->input, t->size);
        if (t->input == NULL)
            die(TCI_EXIT_SYSTEM, "out of memory");
    }
    memcpy(t->input + t->end, data, len);
    t->end += len;
}

static void
begin(struct files *f, uint32_t id, const struct frame *request)
{
    struct transfer *t = f->n < PROCESSES ? spawn(f) : NULL;
    uint8_t len[4];
    char why[160];

    if (t == NULL) {
        if (f->n >= PROCESSES)
            snprintf(why, sizeof(why), "%d file operations of the session run already", PROCESSES);
        else
            snprintf(why, sizeof(why), "no process can be started for it: %s", strerror(errno));
        say(f, TCI_ENDED, id, why, strlen(why));
        return;
    }
    t->id = id;
    t->ready = true;
    bigendian_put32(len, (uint32_t)request->len);
    add_input(t, len, sizeof(len));
    add_input(t, request->data, request->len);
}

/* --- its bytes ---------------------------------------------------------------------------- */

static void
watch(const struct files *f, struct transfer *t)
{
    const bool reads = t->credit > 0 && uplink_is_idle(f->uplink);
    const uint32_t events =
        t->fd < 0 ? 0 : (reads ? EPOLLIN : 0U) | (t->end > t->begin ? EPOLLOUT : 0U);
    struct epoll_event event = {.events = events, .data.ptr = t};
    const int op = events == 0 ? EPOLL_CTL_DEL : t->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    if (events == t->watched)
        return;
    if (epoll_ctl(f->epoll, op, t->fd, &event) < 0)
        die(TCI_EXIT_SYSTEM, "cannot watch a file operation: %s", strerror(errno));
    t->watched = events;
}

static void
hang_up(const struct files *f, struct transfer *t)
{
    if (t->fd < 0)
        return;
    if (t->watched)
        epoll_ctl(f->epoll, EPOLL_CTL_DEL, t->fd, NULL);
    t->watched = 0;
    close(t->fd);
    t->fd = -1;
}

/* What it does not read any more is thrown away: it has answered, or will end. */
static void
feed(struct transfer *t)
{
    ssize_t n = 0;

    if (t->fd < 0 || t->input_shut)
        t->begin = t->end = 0;
    if (t->end > t->begin) {
        n = send(t->fd, t->input + t->begin, t->end - t->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            n = (ssize_t)(t->end - t->begin);
            t->input_shut = true;
        }
        if (n > 0) {
            t->begin += (size_t)n;
            t->taken += (size_t)n;
        }
    }
    if (t->begin == t->end && t->input_ended && !t->input_shut && t->fd >= 0) {
        shutdown(t->fd, SHUT_WR);
        t->input_shut = true;
    }
}

static void
grant(struct files *f, struct transfer *t)
{
    uint8_t number[4];

    if (t->taken < GRANT_AT || t->input_ended || t->aborted)
        return;
    bigendian_put32(number, (uint32_t)t->taken);
    say(f, TCI_GRANT, t->id, number, sizeof(number));
    t->taken = 0;
}

/* One chunk, if the link has nothing else to do. */
static void
carry(struct files *f, struct transfer *t)
{
    const size_t most = t->credit < sizeof(f->chunk) ? t->credit : sizeof(f->chunk);
    ssize_t n;

    if (t->fd < 0 || most == 0 || !uplink_is_idle(f->uplink))
        return;
    n = recv(t->fd, f->chunk, most, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && t->pid != 0)))
        return;
    if (n <= 0) {
        hang_up(f, t);
        if (t->pid != 0)
            kill(t->pid, SIGKILL); /* it has nothing to say any more */
        return;
    }
    t->credit -= (size_t)n;
    say(f, TCI_DATA, t->id, f->chunk, (size_t)n);
}

/* --- its end ------------------------------------------------------------------------------ */

static void
explain(const struct transfer *t, char *why, size_t size)
{
    why[0] = '\0';
    if (WIFSIGNALED(t->status) && WTERMSIG(t->status) != SIGKILL)
        snprintf(why, size, "it was ended by signal %d", WTERMSIG(t->status));
    else if (WIFSIGNALED(t->status))
        snprintf(why, size, "it was killed");
    else if (WEXITSTATUS(t->status) != 0)
        snprintf(why, size, "it broke off");
}

static void
transfer_free(struct files *f, struct transfer **at)
{
    struct transfer *t = *at;

    hang_up(f, t);
    *at = t->next;
    f->n--;
    free(t->input);
    free(t);
}

/* One that was aborted may have done all that it was to do. */
static void
tell_end(struct files *f, const struct transfer *t)
{
    char why[80];

    disk_tell(f->uplink);
    explain(t, why, sizeof(why));
    if (!t->aborted)
        say(f, TCI_ENDED, t->id, why, strlen(why));
}

void
files_reaped(struct files *f, pid_t pid, int status)
{
    if (f == NULL)
        return;
    for (struct transfer *t = f->transfers; t; t = t->next) {
        if (t->pid == pid) {
            t->pid = 0;
            t->status = status;
        }
    }
}

static void
abort_transfer(const struct files *f, struct transfer *t)
{
    hang_up(f, t);
    t->aborted = true;
    if (t->pid != 0)
        kill(t->pid, SIGKILL);
}

/* --- all of them -------------------------------------------------------------------------- */

/* Without a link there is nobody whose they are. */
static void
abort_all(const struct files *f)
{
    for (struct transfer *t = f->transfers; t; t = t->next)
        if (!t->aborted)
            abort_transfer(f, t);
}

static void
mark_ready(struct files *f)
{
    struct epoll_event events[EVENTS];
    const int n = epoll_wait(f->epoll, events, EVENTS, 0);

    for (int i = 0; i < n; i++)
        ((struct transfer *)events[i].data.ptr)->ready = true;
}

/* Processes that have been reaped said all they will: the rest of it is read without being told. */
static void
serve(struct files *f, struct transfer *t)
{
    if (!t->ready && t->pid != 0)
        return;
    t->ready = false;
    feed(t);
    grant(f, t);
    for (int i = 0; i < CHUNKS; i++)
        carry(f, t);
}

/* The one that was first is last the next time. */
static void
take_turns(struct files *f)
{
    struct transfer *first = f->transfers, **end = &f->transfers;

    if (first == NULL)
        return;
    f->transfers = first->next;
    first->next = NULL;
    while (*end)
        end = &(*end)->next;
    *end = first;
}

void
files_run(struct files *f)
{
    if (f == NULL || f->transfers == NULL)
        return;
    if (!uplink_is_up(f->uplink))
        abort_all(f);
    mark_ready(f);
    for (struct transfer **at = &f->transfers; *at;) {
        serve(f, *at);
        if ((*at)->pid == 0 && (*at)->fd < 0) {
            tell_end(f, *at);
            transfer_free(f, at);
        } else {
            watch(f, *at);
            at = &(*at)->next;
        }
    }
    take_turns(f);
}

bool
files_request(struct files *f, const struct request *r, const struct frame *frames)
{
    struct transfer *t = f->transfers;
    const struct frame *data = &frames[r->first];

    while (t && (t->id != r->id || t->aborted))
        t = t->next;
    if (r->verb == TCI_FILES) {
        if (t == NULL)
            begin(f, r->id, data);
        return t == NULL;
    }
    if (t == NULL)
        return true; /* it has ended meanwhile */
    if (r->verb == TCI_ABORT) {
        abort_transfer(f, t);
    } else if (r->verb == TCI_GRANT) {
        t->credit += r->granted;
        return t->credit <= TCI_FILES_WINDOW;
    } else if (data->len == 0) {
        t->input_ended = t->ready = true;
    } else if (t->end - t->begin + data->len > TCI_FILES_WINDOW + TCI_FILES_MAX_REQUEST + 4) {
        return false;
    } else if (!t->input_shut && t->fd >= 0) {
        add_input(t, data->data, data->len);
        t->ready = true;
    }
    return true;
}

int
files_fd(const struct files *f)
{
    return f ? f->epoll : -1;
}

struct files *
files_new(struct uplink *uplink, uid_t uid, gid_t gid)
{
    struct files *f = calloc(1, sizeof(*f));

    if (f == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    f->uplink = uplink;
    f->uid = uid;
    f->gid = gid;
    f->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (f->epoll < 0)
        die(TCI_EXIT_SYSTEM, "cannot make an epoll set: %s", strerror(errno));
    return f;
}

void
files_free(struct files *f)
{
    if (f == NULL)
        return;
    abort_all(f);
    while (f->transfers)
        transfer_free(f, &f->transfers);
    close(f->epoll);
    free(f);
}
