/* outfit.c - see outfit.h.  An outfit ends in a turn of its own: its end may be the worker's, which no transfer can bear. */
#include "outfit.h"

#include <string.h>
#include <event2/event.h>

#include "caller.h"
#include "execution.h"
#include "kernels.h"
#include "packages.h"
#include "packagetool.h"
#include "unpack.h"
#include "worker.h"

enum { ACTIVATE_MS = 30000, ACTIVATE_OUTPUT = 4096 };

struct outfits {
    struct event_base *base;
    struct packages *packages;
};

struct outfit {
    struct outfits *all;
    struct worker *worker;
    struct kernel_kind *kind; /* the worker's */
    struct caller who;
    json_t *groups;
    size_t next; /* of them */
    /* At most one of these is under way. */
    struct supply *supply;
    struct unpack *unpack;
    struct execution *activation;
    struct event *turn;
    struct err why; /* ERR_NONE: it is well */
    pool_outfitted_fn *done;
    void *owner;
};

static void
outfit_free(struct outfit *o)
{
    supply_cancel(o->supply);
    unpack_abort(o->unpack);
    if (o->activation)
        worker_forget(o->worker);
    execution_free(o->activation);
    event_free(o->turn);
    json_decref(o->groups);
    free(o);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct outfit *o = arg;
    pool_outfitted_fn *done = o->done;
    const struct err why = o->why;
    void *owner = o->owner;

    (void)fd, (void)what;
    outfit_free(o);
    done(owner, why.code == ERR_NONE ? NULL : &why);
}

/* why NULL: it is done. */
static void
end(struct outfit *o, const struct err *why)
{
    if (why)
        o->why = *why;
    event_active(o->turn, 0, 0);
}

static void
on_activated(void *owner, struct execution *x, enum execution_result how)
{
    struct outfit *o = owner;
    struct err err = ERR_INIT;

    worker_forget(o->worker);
    o->activation = NULL;
    execution_free(x);
    if (how == EXECUTION_OK || how == EXECUTION_RAISED) {
        end(o, NULL);
        return;
    }
    err_set(&err, ERR_WORKER_DIED, "The kernel did not take notice of its packages");
    end(o, &err);
}

static void
activate(struct outfit *o)
{
    const char *code = packagetool_activation(o->kind->spec.packages);
    struct execution_spec spec = {
        .code = code, .timeout_ms = ACTIVATE_MS, .max_output = ACTIVATE_OUTPUT, .silent = true};
    struct err err = ERR_INIT;

    if (code == NULL) {
        end(o, NULL);
        return;
    }
    spec.code_len = strlen(code);
    o->activation = execution_new(&spec, on_activated, o);
    if (worker_execute(o->worker, o->activation, &err) == 0)
        return;
    execution_free(o->activation);
    o->activation = NULL;
    end(o, &err);
}

static void supply_next(struct outfit *);

static void
on_unpacked(void *owner, const struct err *why)
{
    struct outfit *o = owner;

    o->unpack = NULL;
    if (why)
        end(o, why);
    else
        supply_next(o);
}

static void
on_supplied(void *owner, const struct packages_source *source, const struct err *why)
{
    struct outfit *o = owner;
    struct transfers *files = worker_files(o->worker);
    struct err err = ERR_INIT;

    o->supply = NULL;
    if (why) {
        end(o, why);
        return;
    }
    if (files) {
        o->unpack = unpack_start(files, source->fd, source->size, on_unpacked, o, &err);
    } else {
        close(source->fd);
        err_set(&err, ERR_WORKER_DIED, "The worker died");
    }
    if (o->unpack == NULL)
        end(o, &err);
}

static const struct supply_ops supply_ops = {.on_done = on_supplied};

static void
supply_next(struct outfit *o)
{
    json_t *group = json_array_get(o->groups, o->next++);
    struct err err = ERR_INIT;

    if (group == NULL) {
        activate(o);
        return;
    }
    o->supply = packages_supply(o->all->packages, o->kind, group, &o->who, &supply_ops, o, &err);
    if (o->supply == NULL)
        end(o, &err);
}

static struct outfit *
begin(void *owner, struct worker *worker, struct kernel_kind *kind, const struct caller *who,
      json_t *groups, pool_outfitted_fn *done, void *done_owner)
{
    struct outfits *all = owner;
    struct outfit *o = xcalloc(1, sizeof(*o));

    o->all = all;
    o->worker = worker;
    o->kind = kind;
    o->who = *who;
    o->groups = json_incref(groups);
    o->done = done;
    o->owner = done_owner;
    o->turn = xnotnull(event_new(all->base, -1, 0, on_turn, o));
    supply_next(o);
    return o;
}

const struct pool_outfitter outfit_outfitter = {begin, outfit_free};

struct outfits *
outfits_new(struct event_base *base, struct packages *packages)
{
    struct outfits *all = xcalloc(1, sizeof(*all));

    all->base = base;
    all->packages = packages;
    return all;
}

void
outfits_free(struct outfits *all)
{
    free(all);
}
