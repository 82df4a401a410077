/* visits.c - see visits.h. */
#include "visits.h"

#include <stdbool.h>
#include <event2/event.h>
#include <utlist.h>

#include "mem.h"

struct visit {
    struct visits *all;    /* NULL: the session has ended */
    bool met;              /* a worker */
    struct worker *worker; /* that */
    visit_fn *fn;
    void *owner;
    struct visit *prev, *next;
};

struct visits {
    struct visit *list;
    unsigned n;
    struct worker *worker;
    struct event *turn;
};

static struct visit *
first_waiting(const struct visits *all)
{
    struct visit *v;

    DL_FOREACH (all->list, v)
        if (!v->met)
            return v;
    return NULL;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct visits *all = arg;
    struct visit *v;

    (void)fd, (void)what;
    while (all->worker && (v = first_waiting(all)) != NULL) {
        v->met = true;
        v->worker = all->worker;
        v->fn(v->owner, all->worker, NULL);
    }
}

struct visits *
visits_new(struct event_base *base)
{
    struct visits *all = xcalloc(1, sizeof(*all));

    all->turn = xnotnull(event_new(base, -1, 0, on_turn, all));
    return all;
}

struct visit *
visits_add(struct visits *all, visit_fn *fn, void *owner)
{
    struct visit *v = xcalloc(1, sizeof(*v));

    v->all = all;
    v->fn = fn;
    v->owner = owner;
    DL_APPEND(all->list, v);
    all->n++;
    event_active(all->turn, 0, 0);
    return v;
}

void
visits_attach(struct visits *all, struct worker *worker)
{
    all->worker = worker;
    event_active(all->turn, 0, 0);
}

unsigned
visits_count(const struct visits *all)
{
    return all->n;
}

static void
leave(struct visits *all, struct visit *v)
{
    DL_DELETE(all->list, v);
    all->n--;
    v->all = NULL;
}

void
visits_fail(struct visits *all, const struct err *why)
{
    struct visit *v;

    while ((v = first_waiting(all)) != NULL) {
        visit_fn *fn = v->fn;
        void *owner = v->owner;

        leave(all, v);
        free(v);
        fn(owner, NULL, why);
    }
}

struct worker *
visit_worker(const struct visit *v)
{
    return v->all && v->all->worker == v->worker ? v->worker : NULL;
}

void
visit_end(struct visit *v)
{
    if (v && v->all)
        leave(v->all, v);
    free(v);
}

void
visits_free(struct visits *all, const struct err *why)
{
    struct err none = ERR_INIT;

    if (all == NULL)
        return;
    err_set(&none, ERR_NO_WORKER, "The session has ended");
    while (all->list) {
        struct visit *v = all->list;
        visit_fn *fn = v->fn;
        void *owner = v->owner;

        leave(all, v);
        if (v->met)
            continue; /* its transfer ends with the worker */
        free(v);
        fn(owner, NULL, why ? why : &none);
    }
    event_free(all->turn);
    free(all);
}
