/*
 * loop.c - see loop.h.
 *
 *   WAITING ──CONFIG──▶ RUNNING ──kernel ended──▶ DRAINING ──▶ PARTING ──▶ OVER
 *      │                   └──────kernel given up─────────────────▲
 *      └───────────────────kernel cannot be run───────────────────┘
 *   and from each of them to OVER: QUIT, SIGTERM, no gateway for too long
 *
 *   RUNNING ──RENEW──▶ CLEARING ──no process is left──▶ WIPING ──▶ RUNNING
 *
 * The end of the kernel is seen before its last words may be: DRAINING reads on until there has been silence
 * for a moment, but not for long, for a grandchild may hold the pipes.
 *
 * PARTING sends EXITED and then waits for the gateway to end us, so that it hears why before it sees that the
 * container has ended.
 *
 * Both last longer while the gateway lets us wait, as it does for a client who reads slowly: until it has taken all, or has
 * taken nothing for long.
 */
#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>

#include "clock.h"
#include "die.h"
#include "disk.h"
#include "files.h"
#include "forward.h"
#include "launch.h"
#include "protocol.h"
#include "relay.h"
#include "request.h"
#include "spawn.h"
#include "uplink.h"

enum {
    REQUEST_BUDGET = 64, /* messages of the gateway in one turn */
    QUIET_MS = 10,       /* of silence after which an ended kernel has said all */
    DRAIN_MS = 250,      /* but no longer than this */
    PARTING_MS = 2000,   /* for the gateway to read all and end us */
    STALLED_MS = 600000, /* in which the gateway takes nothing of what waits for it */
    LINGER_MS = 500,     /* for the last messages to leave the process */
    RENEW_MS = 20000,    /* for everything to end, and for directories to be emptied */
};

enum phase { WAITING, RUNNING, CLEARING, WIPING, DRAINING, PARTING, OVER };

struct loop {
    const struct boot *boot;
    struct uplink *uplink;
    struct relay relay;
    struct forward *forward; /* NULL: the session has no way out */
    struct files *files;     /* NULL: before CONFIG */
    bool uplink_pending;     /* look for messages though its descriptor is silent */
    int signals;
    enum phase phase;
    pid_t kernel;        /* its process group as well; 0 = no process */
    char farewell[400];  /* EXITED's JSON */
    bool said_farewell;  /* PARTING: EXITED is on its way */
    int64_t heard_at_ms; /* when the kernel last said something */
    int64_t deadline_ms; /* DRAINING, PARTING, CLEARING, WIPING: over in any case */
    bool waits;          /* DRAINING, PARTING: for the gateway to read ... */
    size_t unsent;       /* ... what was so many bytes */
    struct launch next;  /* CLEARING, WIPING: what will run */
    bool wipe;           /* ... in empty directories */
    pid_t wiper;         /* WIPING */
    int exit_code;
};

/* Places in the array that is polled. */
enum {
    AT_SIGNALS,
    AT_UPLINK,
    AT_FORWARD,
    AT_FILES,
    AT_CHANNELS,
    AT_PIPES = AT_CHANNELS + CHANNELS_COUNT,
    N_ITEMS = AT_PIPES + SPAWN_PIPES,
};

static void
finish(struct loop *l, int exit_code)
{
    l->phase = OVER;
    l->exit_code = exit_code;
}

static void
kill_kernel(struct loop *l)
{
    if (l->kernel > 0)
        kill(-l->kernel, SIGKILL);
    l->kernel = 0;
}

static void
set_reason(struct loop *l, const char *reason)
{
    json_auto_t *json = json_pack("{s:s}", "reason", reason);
    const size_t n = json ? json_dumpb(json, l->farewell, sizeof(l->farewell) - 1, 0) : 0;

    l->farewell[n < sizeof(l->farewell) ? n : 0] = '\0';
}

static void
part(struct loop *l)
{
    l->phase = PARTING;
    l->waits = false;
    l->deadline_ms = clock_ms() + PARTING_MS;
}

static void
give_up(struct loop *l, const char *reason)
{
    note("the kernel was given up: %s", reason);
    kill_kernel(l);
    set_reason(l, reason);
    part(l);
}

static void
on_kernel_end(struct loop *l, int status)
{
    const int64_t now = clock_ms();

    if (WIFEXITED(status))
        snprintf(l->farewell, sizeof(l->farewell), "{\"exit\":%d}", WEXITSTATUS(status));
    else
        snprintf(l->farewell, sizeof(l->farewell), "{\"signal\":%d}", WTERMSIG(status));
    l->kernel = 0;
    l->phase = DRAINING;
    relay_hurry(&l->relay);
    l->heard_at_ms = now;
    l->deadline_ms = now + DRAIN_MS;
}

static void start_kernel(struct loop *, const struct launch *);

/* All that ran has ended: files are next, the kernel's sockets in any case. */
static void
on_cleared(struct loop *l)
{
    static const char *const sockets[] = {TCI_PATH_KERNEL_DIR, NULL};
    static const char *const all[] = {TCI_PATH_KERNEL_DIR,
                                      TCI_PATH_WORKSPACE,
                                      TCI_PATH_HOME,
                                      TCI_PATH_PACKAGES,
                                      "/tmp",
                                      "/dev/shm",
                                      NULL};

    l->phase = WIPING;
    l->wiper = spawn_wiper(&l->next, l->wipe ? all : sockets);
}

static void
on_wiped(struct loop *l, int status)
{
    l->wiper = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        start_kernel(l, &l->next);
    } else {
        set_reason(l, "its directories could not be emptied");
        part(l);
    }
    launch_clear(&l->next);
}

/* As PID 1 the worker inherits every orphan of the sandbox. */
static void
reap(struct loop *l)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == l->kernel && l->phase == RUNNING)
            on_kernel_end(l, status);
        else if (pid == l->wiper && l->phase == WIPING)
            on_wiped(l, status);
        files_reaped(l->files, pid, status);
    }
    if (l->phase == CLEARING && pid < 0 && errno == ECHILD)
        on_cleared(l);
}

/* The container's own processes are all of this pid namespace but this one. */
static void
renew(struct loop *l, const struct request *request, const struct frame *config)
{
    const char *why;

    if (l->phase != RUNNING)
        return; /* its end is on the way to the gateway */
    if (launch_parse(config->data, config->len, &l->next, &why) < 0)
        die(TCI_EXIT_BOOT, "the gateway sent an unusable RENEW: %s", why);
    l->wipe = request->wipe;
    l->kernel = 0;
    relay_close(&l->relay);
    l->phase = CLEARING;
    l->deadline_ms = clock_ms() + RENEW_MS;
    kill(-1, SIGKILL);
    reap(l);
}

static void
give_up_renewing(struct loop *l)
{
    launch_clear(&l->next);
    set_reason(l, "its processes did not end, or its directories are too full to be emptied");
    part(l);
}

static void
on_signals(struct loop *l)
{
    struct signalfd_siginfo info;

    while (read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            reap(l);
        else
            finish(l, TCI_EXIT_OK);
    }
}

static void
start_kernel(struct loop *l, const struct launch *launch)
{
    struct spawned spawned;
    char why[sizeof(l->farewell) / 2];

    if (spawn_kernel(launch, &spawned, why, sizeof(why)) < 0) {
        note("%s", why);
        set_reason(l, why);
        part(l);
        return;
    }
    l->kernel = spawned.pid;
    relay_open(&l->relay, l->uplink, &spawned, launch->flow_control);
    l->phase = RUNNING;
    uplink_set_running(l->uplink);
    uplink_send(l->uplink, TCI_STARTED, NULL, 0);
    disk_tell(l->uplink);
}

static void
on_config(struct loop *l, struct message *m)
{
    struct launch launch;
    const char *why;

    if (l->phase != WAITING)
        die(TCI_EXIT_PROTOCOL, "the gateway sent CONFIG twice");
    if (launch_parse(m->frames[1].data, m->frames[1].len, &launch, &why) < 0)
        die(TCI_EXIT_BOOT, "the gateway sent an unusable CONFIG: %s", why);
    l->files = files_new(l->uplink, launch.uid, launch.gid);
    start_kernel(l, &launch);
    launch_clear(&launch);
}

static void
on_files(struct loop *l, const struct request *request, const struct frame *frames)
{
    if (l->files == NULL)
        die(TCI_EXIT_PROTOCOL, "the gateway sent a message about files before CONFIG");
    if (!files_request(l->files, request, frames))
        die(TCI_EXIT_PROTOCOL, "the gateway sent more for a file operation than was granted");
}

/* The whole group, as a terminal's Ctrl-C would: os.system() waits for its child and ignores the signal itself. */
static void
interrupt(struct loop *l)
{
    if (l->kernel > 0 && kill(-l->kernel, SIGINT) < 0)
        note("cannot interrupt the kernel: %s", strerror(errno));
    relay_hurry(&l->relay);
}

static void
on_request(struct loop *l, struct message *m)
{
    struct request request;
    const char *why;

    if (request_parse(m->frames, m->n, &request, &why) < 0)
        die(TCI_EXIT_PROTOCOL, "the gateway sent %s", why);
    switch (request.verb) {
    case TCI_CONFIG:
        on_config(l, m);
        break;
    case TCI_NETWORK:
        if (l->forward == NULL)
            l->forward = forward_new(&m->frames[request.first]);
        break;
    case TCI_FILES:
    case TCI_DATA:
    case TCI_GRANT:
    case TCI_ABORT:
        on_files(l, &request, m->frames);
        break;
    case TCI_INTERRUPT:
        interrupt(l);
        break;
    case TCI_RENEW:
        if (l->phase == WAITING)
            die(TCI_EXIT_PROTOCOL, "the gateway sent RENEW before CONFIG");
        renew(l, &request, &m->frames[request.first]);
        break;
    case TCI_QUIT:
        finish(l, TCI_EXIT_OK);
        break;
    default:
        if (l->phase == WAITING)
            die(TCI_EXIT_PROTOCOL, "the gateway sent a message for a kernel before CONFIG");
        if (l->phase == RUNNING)
            relay_request(&l->relay, &request, m);
    }
}

static void
on_uplink(struct loop *l)
{
    for (int i = 0; i < REQUEST_BUDGET && l->phase != OVER; i++) {
        struct message m;
        const int rc = uplink_recv(l->uplink, &m);

        if (rc == 0) {
            l->uplink_pending = false;
            return;
        }
        if (rc < 0)
            die(TCI_EXIT_PROTOCOL, "the gateway sent what is no message");
        on_request(l, &m);
        message_clear(&m);
    }
    l->uplink_pending = true;
}

static bool
has_kernel(const struct loop *l)
{
    return l->phase == RUNNING || l->phase == DRAINING;
}

/* Serves the channels whose descriptors tell or that are pending, and the pipes that are readable. */
static void
on_kernel(struct loop *l, const struct pollfd *items)
{
    struct relay *r = &l->relay;
    bool any = false;

    for (int i = 0; i < CHANNELS_COUNT; i++) {
        struct channel *c = &r->channels[i];

        channel_tick(c);
        channel_on_event(c, items[AT_CHANNELS + i].revents);
        if ((items[AT_CHANNELS + i].revents & ~POLLOUT) || relay_is_ready(c))
            any |= relay_channel(r, c);
    }
    for (int i = 0; i < SPAWN_PIPES; i++)
        if (items[AT_PIPES + i].revents)
            any |= relay_pipe(r, i);
    if (any)
        l->heard_at_ms = clock_ms();
    relay_flush(r);
    if (r->give_up && l->phase == RUNNING)
        give_up(l, r->give_up);
}

static struct pollfd
item(int fd)
{
    return (struct pollfd){.fd = fd, .events = POLLIN}; /* poll(2) passes over a negative fd */
}

static void
fill_items(const struct loop *l, struct pollfd items[N_ITEMS])
{
    const struct relay *r = &l->relay;
    const bool listen = has_kernel(l);

    items[AT_SIGNALS] = item(l->signals);
    items[AT_UPLINK] = uplink_item(l->uplink);
    items[AT_FORWARD] = item(forward_fd(l->forward));
    items[AT_FILES] = item(files_fd(l->files));
    for (int i = 0; i < CHANNELS_COUNT; i++)
        items[AT_CHANNELS + i] =
            listen ? channel_item(&r->channels[i], relay_hears(r, &r->channels[i])) : item(-1);
    for (int i = 0; i < SPAWN_PIPES; i++)
        items[AT_PIPES + i] = item(listen && relay_hears_pipes(r) ? r->pipes[i] : -1);
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
orphaned_at_ms(const struct loop *l)
{
    const int64_t since = uplink_down_since_ms(l->uplink);

    return since == CLOCK_NEVER ? CLOCK_NEVER : since + l->boot->orphan_ms;
}

/* DRAINING: when there has been silence for long enough.  What the link does not take is not silence. */
static int64_t
quiet_at_ms(const struct loop *l)
{
    return relay_is_held_up(&l->relay) ? CLOCK_NEVER : l->heard_at_ms + QUIET_MS;
}

/* Milliseconds until something has to be done by the clock; -1 = nothing. */
static int
timeout_ms(const struct loop *l)
{
    int64_t at = earlier(uplink_deadline_ms(l->uplink), orphaned_at_ms(l)), left;

    at = earlier(at, forward_due_ms(l->forward));
    if (has_kernel(l))
        at = earlier(at, relay_due_ms(&l->relay));
    if (l->phase == DRAINING)
        at = earlier(at, quiet_at_ms(l));
    if (l->phase >= CLEARING && l->phase <= PARTING)
        at = earlier(at, l->deadline_ms);
    if (l->uplink_pending || (has_kernel(l) && relay_is_pending(&l->relay)))
        return 0;
    if (at == CLOCK_NEVER)
        return -1;
    left = at - clock_ms();
    return left < 0 ? 0 : (int)earlier(left, INT_MAX);
}

/* DRAINING, PARTING: the deadline is put off while the gateway lets us wait, and is the usual one after that. */
static void
wait_for_reader(struct loop *l, int64_t now)
{
    const size_t unsent = uplink_unsent(l->uplink);
    const bool waits = l->phase == PARTING ? unsent > 0 : relay_is_held_up(&l->relay);

    if (waits && (!l->waits || unsent != l->unsent))
        l->deadline_ms = now + STALLED_MS;
    if (!waits && l->waits) {
        l->deadline_ms = now + (l->phase == PARTING ? PARTING_MS : DRAIN_MS);
        l->heard_at_ms = now; /* it is listened to only from now on */
    }
    l->waits = waits;
    l->unsent = unsent;
}

static void
on_clock(struct loop *l)
{
    const int64_t now = clock_ms();

    uplink_tick(l->uplink);
    if (now >= orphaned_at_ms(l)) {
        note("no gateway for %lld s", (long long)(l->boot->orphan_ms / 1000));
        finish(l, TCI_EXIT_ORPHANED);
    }
    if ((l->phase == CLEARING || l->phase == WIPING) && now >= l->deadline_ms)
        give_up_renewing(l);
    if (l->phase == DRAINING || l->phase == PARTING)
        wait_for_reader(l, now);
    if (l->phase == PARTING && now >= l->deadline_ms)
        finish(l, TCI_EXIT_OK);
    if (l->phase == DRAINING && (now >= quiet_at_ms(l) || now >= l->deadline_ms))
        part(l);
}

/* Without a gateway there is nobody to tell: the container's end tells the next one enough. */
static void
say_farewell(struct loop *l)
{
    const struct frame frame = {l->farewell, strlen(l->farewell)};

    if (!uplink_is_up(l->uplink))
        finish(l, TCI_EXIT_OK);
    else if (!l->said_farewell)
        uplink_send(l->uplink, TCI_EXITED, &frame, 1);
    l->said_farewell = true;
}

static void
turn(struct loop *l)
{
    struct pollfd items[N_ITEMS];

    fill_items(l, items);
    if (poll(items, N_ITEMS, timeout_ms(l)) < 0 && errno != EINTR)
        die(TCI_EXIT_SYSTEM, "cannot poll: %s", strerror(errno));
    if (items[AT_UPLINK].revents)
        uplink_on_event(l->uplink, items[AT_UPLINK].revents);
    if (has_kernel(l))
        on_kernel(l, items);
    if (items[AT_SIGNALS].revents)
        on_signals(l);
    if (items[AT_UPLINK].revents || l->uplink_pending)
        on_uplink(l);
    forward_run(l->forward);
    files_run(l->files);
    if (l->phase != OVER)
        on_clock(l);
    if (l->phase == PARTING)
        say_farewell(l);
}

int
loop_run(const struct boot *boot, int signals)
{
    static struct loop l; /* holds a buffer, large for a stack */

    l.boot = boot;
    l.signals = signals;
    memset(l.relay.pipes, -1, sizeof(l.relay.pipes));
    l.uplink = uplink_new(boot);
    while (l.phase != OVER)
        turn(&l);
    kill_kernel(&l);
    relay_close(&l.relay);
    forward_free(l.forward);
    files_free(l.files);
    uplink_free(l.uplink, LINGER_MS);
    return l.exit_code;
}
