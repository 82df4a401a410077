#include "provision.h"

#include "caller.h"
#include "kernels.h"
#include "packages.h"
#include "packagetool.h"
#include "pool.h"
#include "unpack.h"
#include "worker.h"

struct provision {
    struct pool *pool;
    struct caller who;
    char *session;
    struct kernel_kind *kind; /* a reference */
    json_t *group;
    /* At most one of these is under way, but that the visit lasts while it is unpacked. */
    struct supply *supply;
    struct visit *visit;
    struct unpack *unpack;
    struct packages_source source; /* fd -1: none, or the unpack's */
    const struct provision_ops *ops;
    void *owner;
};

static void
provision_free(struct provision *p)
{
    supply_cancel(p->supply);
    unpack_abort(p->unpack);
    visit_end(p->visit);
    if (p->source.fd >= 0)
        close(p->source.fd);
    kernel_kind_unref(p->kind);
    json_decref(p->group);
    free(p->session);
    free(p);
}

static void
end(struct provision *p, const struct err *why)
{
    const struct provision_ops *ops = p->ops;
    const bool cached = p->source.cached;
    void *owner = p->owner;

    provision_free(p);
    ops->on_done(owner, cached, why);
}

/* They are where they are to be. */
static void
note(struct provision *p)
{
    const char *code = packagetool_activation(p->kind->spec.packages);
    struct err err = ERR_INIT;

    if (pool_add_packages(p->pool, &p->who, p->session, p->group, code, &err) < 0)
        end(p, &err);
    else
        end(p, NULL);
}

static void
on_unpacked(void *owner, const struct err *why)
{
    struct provision *p = owner;

    p->unpack = NULL;
    if (why)
        end(p, why);
    else
        note(p);
}

static void
on_worker(void *owner, struct worker *worker, const struct err *why)
{
    struct provision *p = owner;
    struct transfers *files = worker ? worker_files(worker) : NULL;
    const int fd = p->source.fd;
    struct err err = ERR_INIT;

    if (worker == NULL) {
        p->visit = NULL;
        end(p, why);
        return;
    }
    if (files == NULL) {
        err_set(&err, ERR_WORKER_DIED, "The worker died");
    } else {
        p->source.fd = -1;
        p->unpack = unpack_start(files, fd, p->source.size, on_unpacked, p, &err);
    }
    if (p->unpack == NULL)
        end(p, &err);
}

static void
on_supplied(void *owner, const struct packages_source *source, const struct err *why)
{
    struct provision *p = owner;
    struct err err = ERR_INIT;

    p->supply = NULL;
    if (why) {
        end(p, why);
        return;
    }
    p->source = *source;
    if (!pool_has_session(p->pool, &p->who, p->session)) {
        err_set(&err, ERR_NOT_FOUND, "The session has ended");
        end(p, &err);
    } else if (!pool_keeps_worker(p->pool, &p->who, p->session)) {
        note(p);
    } else {
        p->visit = pool_visit(p->pool, &p->who, p->session, on_worker, p, &err);
        if (p->visit == NULL)
            end(p, &err);
    }
}

static void
on_output(void *owner, int fd, const char *text, size_t len)
{
    struct provision *p = owner;

    if (p->ops->on_output)
        p->ops->on_output(p->owner, fd, text, len);
}

static const struct supply_ops supply_ops = {on_output, on_supplied};

struct provision *
provision_start(struct pool *pool, struct packages *packages, const struct caller *who,
                const char *session, json_t *group, const struct provision_ops *ops, void *owner,
                struct err *err)
{
    struct kernel_kind *kind = pool_kind(pool, who, session);
    struct provision *p;

    if (kind == NULL) {
        err_set(err, ERR_NOT_FOUND, "There is no such session");
        return NULL;
    }
    p = xcalloc(1, sizeof(*p));
    p->pool = pool;
    p->who = *who;
    p->session = xstrdup(session);
    p->kind = kernel_kind_ref(kind);
    p->group = json_incref(group);
    p->source.fd = -1;
    p->ops = ops;
    p->owner = owner;
    p->supply = packages_supply(packages, kind, group, who, &supply_ops, p, err);
    if (p->supply)
        return p;
    provision_free(p);
    return NULL;
}

void
provision_cancel(struct provision *p)
{
    if (p)
        provision_free(p);
}
