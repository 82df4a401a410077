/*
 * packages.c - see packages.h.
 *
 *   a supply:  LOOKING ──there──▶ done
 *                 │ ▲
 *     not there   ▼ │ installed          A supply that has waited for an installation looks once more, and no oftener.
 *              WAITING
 *
 * An installation that nobody waits for any more goes on once it runs: what it makes is kept.
 */
#include "packages.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <event2/event.h>
#include <utlist.h>

#include "caller.h"
#include "clock.h"
#include "config.h"
#include "install.h"
#include "kernels.h"
#include "log.h"
#include "packagesource.h"
#include "packagetool.h"
#include "packstore.h"
#include "requirement.h"

enum {
    RUNNING_MAX = 2, /* installations at a time */
    QUEUED_MAX = 16, /* ... and that wait for their turn */
    DAY_S = 86400,
    KEY_RUNNING_MAX = RUNNING_MAX - 1, /* of one API key, so that there is one for the others ... */
    KEY_MAX = 4,                       /* ... and that run or wait for it */
    FAILED_MAX = 64, /* sets of packages that are remembered as not to be had ... */
    FAILED_S = 300,  /* ... for so long */
};

struct failed {
    char key[PACKSTORE_KEY_SIZE]; /* "" = none */
    double until;                 /* clock_now */
};

/* Of one set of packages, for all who want it. */
struct work {
    struct packages *all;
    char key[PACKSTORE_KEY_SIZE];
    struct kernel_kind *kind; /* a reference */
    json_t *wanted;
    char payer
        [KEY_ID_SIZE]; /* the API key that it counts for: of who wanted it first, then of who had it begin */
    struct install *install; /* NULL: it waits for its turn */
    struct work *prev, *next;
};

struct supply {
    struct packages *all;
    char key[PACKSTORE_KEY_SIZE];
    char payer[KEY_ID_SIZE];  /* whose it is, "" for the master token */
    struct kernel_kind *kind; /* a reference */
    json_t *wanted;
    struct packstore_check *check; /* LOOKING; NULL: WAITING, or it is about to end */
    bool installed;                /* for it */
    struct err why;                /* it is about to end */
    struct event *turn;
    const struct supply_ops *ops;
    void *owner;
    struct supply *prev, *next;
};

struct packages {
    struct install_parts parts;
    struct supply *supplies;
    struct work *works; /* in the order in which they came */
    unsigned n_running, n_works;
    bool stopped;
    struct failed failed[FAILED_MAX]; /* the oldest goes for the next */
    unsigned n_failed;
    struct event *start; /* installations, as many as may be */
};

static void look(struct supply *);

/* --- one supply --------------------------------------------------------------------------- */

static void
supply_free(struct supply *s)
{
    DL_DELETE(s->all->supplies, s);
    packstore_cancel(s->check);
    event_free(s->turn);
    kernel_kind_unref(s->kind);
    json_decref(s->wanted);
    free(s);
}

static void
end(struct supply *s, const struct packages_source *source, const struct err *why)
{
    const struct supply_ops *ops = s->ops;
    void *owner = s->owner;

    supply_free(s);
    ops->on_done(owner, source, why);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct supply *s = arg;
    const struct err why = s->why;

    (void)fd, (void)what;
    end(s, NULL, &why);
}

/* In a turn of its own. */
static void
fail(struct supply *s, const struct err *why)
{
    s->why = *why;
    event_active(s->turn, 0, 0);
}

/* --- installations ------------------------------------------------------------------------ */

static struct work *
find_work(const struct packages *all, const char *key)
{
    struct work *w;

    DL_FOREACH (all->works, w)
        if (strcmp(w->key, key) == 0)
            return w;
    return NULL;
}

static void
work_free(struct work *w)
{
    struct packages *all = w->all;

    DL_DELETE(all->works, w);
    all->n_works--;
    all->n_running -= w->install != NULL;
    install_abort(w->install);
    kernel_kind_unref(w->kind);
    json_decref(w->wanted);
    free(w);
}

static bool
waits_for(const struct supply *s, const char *key)
{
    return s->check == NULL && s->why.code == ERR_NONE && strcmp(s->key, key) == 0;
}

/* why NULL: it has worked, and they look for what it has made. */
static void
tell_waiting(struct packages *all, const char *key, const struct err *why)
{
    struct supply *s;

    DL_FOREACH (all->supplies, s) {
        if (!waits_for(s, key))
            continue;
        s->installed = true;
        if (why)
            fail(s, why);
        else
            look(s);
    }
}

static void
on_output(void *owner, int fd, const char *text, size_t len)
{
    const struct work *w = owner;
    struct supply *s, *next;

    DL_FOREACH_SAFE (w->all->supplies, s, next)
        if (waits_for(s, w->key) && s->ops->on_output)
            s->ops->on_output(s->owner, fd, text, len);
}

static void
remember_failed(struct packages *all, const char *key)
{
    struct failed *f = &all->failed[all->n_failed++ % FAILED_MAX];

    snprintf(f->key, sizeof(f->key), "%s", key);
    f->until = clock_now() + FAILED_S;
}

static void
on_installed(void *owner, const struct err *why)
{
    struct work *w = owner;
    struct packages *all = w->all;
    char key[PACKSTORE_KEY_SIZE];

    memcpy(key, w->key, sizeof(key));
    w->install = NULL;
    all->n_running--;
    if (why) {
        log_info("packages: not installed: %s", why->msg);
        remember_failed(all, key);
    }
    work_free(w);
    event_active(all->start, 0, 0);
    tell_waiting(all, key, why);
}

static const struct install_ops install_ops = {on_output, on_installed};

static bool
is_wanted(const struct packages *all, const struct work *w)
{
    const struct supply *s;

    DL_FOREACH (all->supplies, s)
        if (waits_for(s, w->key))
            return true;
    return false;
}

static unsigned
count_paid(const struct packages *all, const char *payer, bool running)
{
    const struct work *w;
    unsigned n = 0;

    DL_FOREACH (all->works, w)
        n += strcmp(w->payer, payer) == 0 && (!running || w->install);
    return n;
}

/* The master token's are not counted: it speaks for any number of users. */
static bool
may_run(const struct packages *all, const char *payer)
{
    return payer[0] == '\0' || count_paid(all, payer, true) < KEY_RUNNING_MAX;
}

/* False: all who want it have as many under way as they may. */
static bool
find_payer(struct work *w)
{
    const struct supply *s;

    DL_FOREACH (w->all->supplies, s)
        if (waits_for(s, w->key) && may_run(w->all, s->payer)) {
            memcpy(w->payer, s->payer, sizeof(w->payer));
            return true;
        }
    return false;
}

static void
start_work(struct work *w)
{
    struct packages *all = w->all;
    struct err err = ERR_INIT;

    w->install = install_start(&all->parts, w->kind, w->wanted, w->key, &install_ops, w, &err);
    if (w->install) {
        all->n_running++;
        return;
    }
    tell_waiting(all, w->key, &err);
    work_free(w);
}

static void
on_start(evutil_socket_t fd, short what, void *arg)
{
    struct packages *all = arg;
    struct work *w, *next;

    (void)fd, (void)what;
    DL_FOREACH_SAFE (all->works, w, next) {
        if (w->install)
            continue;
        if (!is_wanted(all, w))
            work_free(w);
        else if (all->n_running < RUNNING_MAX && find_payer(w))
            start_work(w);
    }
}

/* Whether there is room for one more. */
static int
admit(const struct supply *s, struct err *err)
{
    const struct packages *all = s->all;

    if (all->n_works >= RUNNING_MAX + QUEUED_MAX)
        return err_set(err, ERR_BUSY, "%u installations of packages run or wait already",
                       all->n_works);
    if (s->payer[0] && count_paid(all, s->payer, false) >= KEY_MAX)
        return err_set(err, ERR_QUOTA, "%d installations of this API key run or wait already",
                       KEY_MAX);
    return 0;
}

static void
add_work(struct supply *s)
{
    struct packages *all = s->all;
    struct err err = ERR_INIT;
    struct work *w;

    if (find_work(all, s->key))
        return;
    if (admit(s, &err) < 0) {
        fail(s, &err);
        return;
    }
    w = xcalloc(1, sizeof(*w));
    w->all = all;
    memcpy(w->key, s->key, sizeof(w->key));
    memcpy(w->payer, s->payer, sizeof(w->payer));
    w->kind = kernel_kind_ref(s->kind);
    w->wanted = json_incref(s->wanted);
    DL_APPEND(all->works, w);
    all->n_works++;
    event_active(all->start, 0, 0);
}

/* --- looking ------------------------------------------------------------------------------ */

static void
on_found(void *owner, int fd, off_t size)
{
    struct supply *s = owner;
    const struct packages_source source = {fd, size, !s->installed};
    struct err err = ERR_INIT;

    s->check = NULL;
    if (fd >= 0) {
        end(s, &source, NULL);
    } else if (s->installed) {
        err_set(&err, ERR_INSTALL, "The packages were installed, and could not be kept");
        end(s, NULL, &err);
    } else {
        add_work(s);
    }
}

static void
look(struct supply *s)
{
    s->check = packstore_look(s->all->parts.store, s->key, on_found, s);
}

/* What the same is the same by: where it is from, when that has changed, by which tool, for which program. */
static void
make_key(const struct packages *all, const struct kernel_kind *kind, const json_t *wanted,
         char out[PACKSTORE_KEY_SIZE])
{
    const json_t *tool = kind->spec.packages, *item;
    cleanup_free char *program =
        realpath(json_string_value(json_array_get(json_object_get(tool, "install"), 0)), NULL);
    struct packagesource from;
    struct stat st = {.st_ino = 0};
    bool exact = true;
    size_t i;

    (void)packagesource_find(all->parts.config, tool, &from);
    json_array_foreach (wanted, i, item)
        exact = exact && requirement_is_exact(json_string_value(item));
    if (from.dir[0] && stat(from.dir, &st) < 0)
        st.st_mtim.tv_sec = 0;
    json_auto_t *what = xnotnull(json_pack(
        "{s:s,s:O,s:s,s:s,s:I,s:I,s:s,s:O,s:I}", "kernel", kind->name, "tool", tool, "program",
        program ? program : "", "dir", from.dir, "changed", (json_int_t)st.st_mtim.tv_sec,
        "changed_ns", (json_int_t)st.st_mtim.tv_nsec, "index", from.index, "wanted", wanted, "day",
        (json_int_t)(exact ? 0 : time(NULL) / DAY_S))); /* what is newest does not stay so */

    packstore_key(what, out);
}

int
packages_check(const struct packages *all, const struct kernel_kind *kind, struct err *err)
{
    if (kernel_kind_check(kind, err) < 0)
        return -1;
    if (kind->spec.packages == NULL)
        return err_field(err, ERR_UNSUPPORTED, "packages",
                         "packages: the kernel %s has no tool to install any", kind->name);
    if (all == NULL || !packagesource_is_there(all->parts.config, kind->spec.packages))
        return err_field(err, ERR_UNSUPPORTED, "packages",
                         "packages: this server has no source of packages for the kernel %s "
                         "(TCI_PACKAGES_DIR, TCI_PACKAGES_INDEX)",
                         kind->name);
    return 0;
}

static int
check_names(const struct kernel_kind *kind, const json_t *wanted, struct err *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach (wanted, i, item)
        if (requirement_is_scoped(json_string_value(item)) &&
            !packagetool_takes_scopes(kind->spec.packages))
            return err_field(err, ERR_BAD_REQUEST, "packages",
                             "packages: the kernel %s has no packages with a scope", kind->name);
    return 0;
}

bool
packages_failed(const struct packages *all, const struct kernel_kind *kind, const json_t *wanted)
{
    char key[PACKSTORE_KEY_SIZE];

    make_key(all, kind, wanted, key);
    for (size_t i = 0; i < FAILED_MAX; i++)
        if (strcmp(all->failed[i].key, key) == 0 && all->failed[i].until > clock_now())
            return true;
    return false;
}

struct supply *
packages_supply(struct packages *all, struct kernel_kind *kind, json_t *wanted,
                const struct caller *who, const struct supply_ops *ops, void *owner,
                struct err *err)
{
    struct supply *s;

    if (packages_check(all, kind, err) < 0 || check_names(kind, wanted, err) < 0)
        return NULL;
    if (all->stopped) {
        err_set(err, ERR_NO_WORKER, "The server is shutting down");
        return NULL;
    }
    s = xcalloc(1, sizeof(*s));
    s->all = all;
    s->kind = kernel_kind_ref(kind);
    s->wanted = json_incref(wanted);
    memcpy(s->payer, who->key, sizeof(s->payer));
    s->ops = ops;
    s->owner = owner;
    s->turn = xnotnull(event_new(all->parts.base, -1, 0, on_turn, s));
    DL_APPEND(all->supplies, s);
    make_key(all, kind, wanted, s->key);
    look(s);
    return s;
}

void
supply_cancel(struct supply *s)
{
    if (s)
        supply_free(s);
}

/* --- all of them -------------------------------------------------------------------------- */

struct packages *
packages_new(struct event_base *base, const struct config *config, struct pool *pool,
             const char *dir, struct err *err)
{
    struct packages *all = xcalloc(1, sizeof(*all));

    all->start = xnotnull(event_new(base, -1, 0, on_start, all));
    all->parts = (struct install_parts){base, config, pool, packstore_new(base, dir, err)};
    if (all->parts.store)
        return all;
    packages_free(all);
    return NULL;
}

void
packages_stop(struct packages *all)
{
    struct err why = ERR_INIT;

    if (all == NULL)
        return;
    all->stopped = true;
    err_set(&why, ERR_NO_WORKER, "The server is shutting down");
    while (all->supplies)
        end(all->supplies, NULL, &why);
    while (all->works)
        work_free(all->works);
}

void
packages_free(struct packages *all)
{
    if (all == NULL)
        return;
    packages_stop(all);
    event_free(all->start);
    packstore_free(all->parts.store);
    free(all);
}
