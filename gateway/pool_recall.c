/* pool_recall.c - see pool_recall.h. */
#include "pool_recall.h"

#include <string.h>
#include <utlist.h>

#include "kernels.h"
#include "log.h"
#include "pool_member.h"
#include "pool_record.h"
#include "pool_state.h"
#include "pool_user.h"
#include "runtime.h"
#include "store.h"
#include "worker.h"

/* A worker that is not taken back. */
struct dropped {
    char *id;
    struct user *user; /* whose it was; NULL: nobody's */
};

struct recall {
    struct pool *pool;
    struct dropped *dropped;
    size_t n_dropped;
};

static struct user *
recall_user(struct pool *pool, const struct store_row *row)
{
    struct user *u = user_new(&pool->lists, row->user, (int64_t)row->created * 1000, LOST);

    user_set_kind(u, kernels_standard(pool->kernels));
    pool_record_load(u, row->details, pool->kernels);
    u->network = row->network;
    u->had_worker = row->identity != NULL || u->history != NULL || !u->kept;
    return u;
}

/* A worker that cannot be adopted leaves its user as lost; its remains are removed with the unknown ones. */
static void
recall(void *owner, const struct store_row *row)
{
    struct recall *r = owner;
    struct user *u = row->user ? recall_user(r->pool, row) : NULL;
    struct member *m;
    struct err err = ERR_INIT;

    if (row->identity == NULL)
        return;
    m = member_adopt(r->pool, row, u, &err);
    if (m == NULL) {
        log_info("worker %s: not taken back: %s", row->identity->id, err.msg);
        if (u)
            pool_record_ended(u, err.msg);
        r->dropped = xrealloc(r->dropped, (r->n_dropped + 1) * sizeof(*r->dropped));
        r->dropped[r->n_dropped++] = (struct dropped){xstrdup(row->identity->id), u};
    } else if (u) {
        m->user = u;
        u->member = m;
        user_open_session(u, m->kind, false, row->network);
        user_move(&r->pool->lists, u, WAITING);
    }
}

/* The next gateway, too, is to know what their users had. */
static void
forget_dropped(struct recall *r)
{
    for (size_t i = 0; i < r->n_dropped; i++) {
        if (r->dropped[i].user)
            user_save(r->dropped[i].user, NULL);
        store_remove_worker(r->pool->store, r->dropped[i].id);
        free(r->dropped[i].id);
    }
    free(r->dropped);
}

static bool
is_adopted(const struct pool *pool, const char *id)
{
    const struct member *m;

    DL_FOREACH (pool->lists.members[STARTING], m)
        if (strcmp(worker_identity(m->worker)->id, id) == 0)
            return true;
    return false;
}

static void
remove_strangers(struct pool *pool)
{
    char **ids = runtime_list(pool->env->runtime);
    struct err err = ERR_INIT;

    for (char **id = ids; *id; id++) {
        if (!is_adopted(pool, *id)) {
            log_info("container %s: left over, removing it", *id);
            if (runtime_remove(pool->env->runtime, *id, &err) < 0)
                log_error("container %s: %s", *id, err.msg);
        }
        free(*id);
    }
    free(ids);
}

int
pool_recall(struct pool *pool, struct err *err)
{
    struct recall r = {.pool = pool};
    int rc = store_each(pool->store, recall, &r, err);

    forget_dropped(&r);
    if (rc < 0)
        return -1;
    if (pool->lists.n_members[STARTING])
        log_info("pool: %u workers of an earlier gateway are being recalled",
                 pool->lists.n_members[STARTING]);
    remove_strangers(pool);
    return 0;
}
