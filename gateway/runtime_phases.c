/*
 * runtime_phases.c - see runtime_phases.h.
 *
 * Starts and removals cost processor time of the same cores that run the users' code: as many at once as there are
 * cores, removals first, because what is removed makes room.
 *
 * This process is the subreaper of its containers: an init whose runtime program is gone becomes our child, and only
 * a parent is told an exit status.
 */
#include "runtime_phases.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>
#include <utlist.h>

#include "child.h"
#include "log.h"
#include "runtime_driver.h"

enum {
    FIRST_REST_MS = 20, /* before a failed removal is tried again; doubled each time */
    LAST_REST_MS = 2000,
    LOUD_ATTEMPTS = 8,    /* from here on a failed removal is a warning */
    KILL_LIMIT_MS = 5000, /* from SIGKILL to the end of init; then it is said, and sent again */
};

static const char *const phase_name[] = {"QUEUED",    "STARTING", "RUNNING", "ENDED",
                                         "CONDEMNED", "REMOVING", "RESTING"};

static void on_driver_started(void *owner, pid_t init, const struct err *);
static void on_driver_removed(void *owner, const struct err *);

void
container_set_phase(struct container *c, enum container_phase next)
{
    log_debug("container %s: %s -> %s", c->id, phase_name[c->phase], phase_name[next]);
    c->phase = next;
}

/* --- processes ------------------------------------------------------------------------------ */

static bool
is_starting(const struct container *c)
{
    return c->phase == STARTING;
}

/* The init of a container that is being started may have ended before we were told that it is one. */
static bool
keep(void *arg, pid_t pid)
{
    const struct runtime *rt = arg;
    const struct container *c;
    bool starting = false;

    DL_FOREACH (rt->containers, c) {
        if (c->init == pid)
            return true;
        starting |= is_starting(c);
    }
    return starting && rt->driver->may_be_init(pid);
}

void
runtime_on_child(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    child_reap_strays(keep, arg);
}

/* --- turns ---------------------------------------------------------------------------------- */

void
runtime_poke(struct runtime *rt)
{
    event_active(rt->turn, 0, 0);
}

static struct container *
find_phase(const struct runtime *rt, enum container_phase phase)
{
    struct container *c;

    DL_FOREACH (rt->containers, c) {
        if (c->phase == phase)
            return c;
    }
    return NULL;
}

void
container_condemn(struct container *c)
{
    container_set_phase(c, CONDEMNED);
    runtime_poke(c->runtime);
}

static void
arm(struct container *c, unsigned ms)
{
    const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

    event_add(c->timer, &tv);
}

static void
rest(struct container *c, const struct err *err)
{
    unsigned ms = LAST_REST_MS;

    if (c->attempts < 7)
        ms = FIRST_REST_MS << c->attempts;
    c->attempts++;
    if (c->attempts >= LOUD_ATTEMPTS)
        log_warn("container %s: cannot be removed yet: %s", c->id, err->msg);
    else
        log_debug("container %s: cannot be removed yet: %s", c->id, err->msg);
    container_set_phase(c, RESTING);
    arm(c, ms);
}

void
container_kill(struct container *c)
{
    pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
    arm(c, KILL_LIMIT_MS);
}

void
container_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct container *c = arg;

    (void)fd, (void)what;
    if (c->phase == RESTING) {
        container_condemn(c);
    } else if (c->phase == RUNNING) {
        log_warn("container %s: was killed, but does not end", c->id);
        container_kill(c);
    }
}

static void
begin_remove(struct container *c)
{
    struct err err = ERR_INIT;

    container_set_phase(c, REMOVING);
    if (c->runtime->driver->remove(c->box, on_driver_removed, c, &err) == 0)
        c->runtime->busy++;
    else
        rest(c, &err);
}

static void
fail_start(struct container *c, const struct err *err)
{
    container_set_phase(c, ENDED);
    if (c->doomed)
        container_condemn(c);
    else
        c->ops->on_start_failed(c->owner, err);
}

static void
begin_start(struct container *c)
{
    struct err err = ERR_INIT;

    container_set_phase(c, STARTING);
    if (c->runtime->driver->start(c->box, on_driver_started, c, &err) == 0)
        c->runtime->busy++;
    else
        fail_start(c, &err);
}

void
runtime_on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct runtime *rt = arg;
    struct container *c;

    (void)fd, (void)what;
    while (rt->busy < rt->limit) {
        if ((c = find_phase(rt, CONDEMNED)) != NULL)
            begin_remove(c);
        else if ((c = find_phase(rt, QUEUED)) != NULL)
            begin_start(c);
        else
            return;
    }
}

/* --- a container's init --------------------------------------------------------------------- */

void
container_free(struct container *c)
{
    DL_DELETE(c->runtime->containers, c);
    c->runtime->driver->forget(c->box);
    if (c->exit_event != NULL)
        event_free(c->exit_event);
    event_free(c->timer);
    if (c->pidfd >= 0)
        close(c->pidfd);
    free(c);
}

/* False if it has not ended, after all.  Not our child (adopted): its status is somebody else's. */
static bool
reap(struct container *c)
{
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG) < 0)
        return true;
    if (info.si_pid == 0)
        return false;
    c->exit.known = true;
    if (info.si_code == CLD_EXITED)
        c->exit.code = info.si_status;
    else
        c->exit.signal = info.si_status;
    return true;
}

static void
on_init_exit(evutil_socket_t fd, short what, void *arg)
{
    struct container *c = arg;

    (void)fd, (void)what;
    if (!reap(c))
        return;
    event_free(c->exit_event);
    c->exit_event = NULL;
    event_del(c->timer);
    c->init = 0;
    c->exit.oom = c->runtime->driver->was_oom(c->box);
    c->runtime->driver->last_words(c->box, c->doomed);
    child_reap_strays(keep, c->runtime); /* those that it hid */
    container_set_phase(c, ENDED);
    if (c->doomed)
        container_condemn(c);
    if (c->told)
        c->ops->on_exited(c->owner, &c->exit);
}

int
container_watch(struct container *c, pid_t init, struct err *err)
{
    c->pidfd = pidfd_open(init, 0);
    if (c->pidfd < 0)
        return err_sys(err, "watch the container's init");
    c->init = init;
    c->exit_event =
        xnotnull(event_new(c->runtime->base, c->pidfd, EV_READ | EV_PERSIST, on_init_exit, c));
    event_add(c->exit_event, NULL);
    return 0;
}

static void
on_driver_started(void *owner, pid_t init, const struct err *failed)
{
    struct container *c = owner;
    struct err err = ERR_INIT;

    c->runtime->busy--;
    runtime_poke(c->runtime);
    event_active(c->runtime->child_event, EV_SIGNAL, 1); /* what was kept, and is not it */
    if (failed != NULL || container_watch(c, init, &err) < 0) {
        fail_start(c, failed != NULL ? failed : &err);
        return;
    }
    container_set_phase(c, RUNNING);
    if (c->doomed) {
        container_kill(c);
        return;
    }
    c->runtime->driver->set_background(c->box, !c->preferred);
    c->told = true;
    c->ops->on_started(c->owner, init);
}

static void
on_driver_removed(void *owner, const struct err *err)
{
    struct container *c = owner;
    const struct container_ops *ops = c->ops;
    void *upper = c->owner;

    c->runtime->busy--;
    runtime_poke(c->runtime);
    if (err != NULL) {
        rest(c, err);
        return;
    }
    container_free(c);
    ops->on_removed(upper);
}
