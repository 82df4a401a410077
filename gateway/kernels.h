/*
 * kernels.h - the kernels that sessions can have: every kernelspec in our directory and in Jupyter's, what is wrong with those
 * that cannot run, and what has to be done on the host before the first worker of each.
 *
 * The one of TCI_KERNEL has to be readable for the gateway to start; of the others, a broken one is listed with why.
 */
#ifndef GATEWAY_KERNELS_H
#define GATEWAY_KERNELS_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"
#include "kernelspec.h"
#include "mem.h"

struct event_base;
struct kernels;

enum kernel_preparation { KERNEL_UNPREPARED, KERNEL_PREPARING, KERNEL_PREPARED };

/*
 * One of them.  It lives as long as somebody has a reference: a worker goes on with the kernelspec that it was started with when
 * that has changed on disk.
 */
struct kernel_kind {
    struct kernels *kernels; /* NULL: it is none of them any more, or another has its name */
    char *name;
    struct kernelspec spec; /* cleared where why_not says that it cannot be read */
    char *why_not;          /* it cannot run; NULL: it can */
    char *skel_dir;         /* what preparation makes: the home that its workers start with */
    enum kernel_preparation preparation;
    struct child *child; /* while PREPARING */
    unsigned refs;
    struct kernel_kind *prev, *next; /* of the registry, sorted by name */

    struct {                 /* of its workers, the pool's: */
        unsigned n_failures; /* starts in a row that failed */
        double not_before;   /* clock_now: when to try again */
        char error[400];     /* of the last; "" = none since one worked */
    } starts;
};

/* One of the kinds has been prepared, as well as it could be. */
typedef void kernels_prepared_fn(void *owner);

/*
 * Reads all of them: own_dir is ours, standard the name of TCI_KERNEL, and fails if that is not to be had.  Reads and makes
 * directories: for start-up.
 */
struct kernels *kernels_new(struct event_base *, const char *own_dir, const char *state_dir,
                            const char *standard, struct err *) must_check;
void kernels_free(struct kernels *); /* accepts NULL; ends preparations */

/* SIGHUP: reads them anew.  Those that have not changed stay what they are. */
void kernels_reload(struct kernels *);

void kernels_on_prepared(struct kernels *, kernels_prepared_fn *, void *owner);

struct kernel_kind *kernels_standard(const struct kernels *);
struct kernel_kind *kernels_first(const struct kernels *); /* the others: ->next */
struct kernel_kind *kernels_find(const struct kernels *,
                                 const char *name); /* NULL: there is none */

/*
 * The one for a language: the standard, if it is of that, else the one of that name or the first that can run, else the first.  NULL:
 * there is none.
 */
struct kernel_kind *kernels_for_language(const struct kernels *, const char *language);

/*
 * Whether a worker of it can be started.  If not yet, its preparation has been started, and kernels_on_prepared's function
 * will be called.
 */
bool kernel_kind_is_prepared(struct kernel_kind *);

/* Fails with ERR_UNSUPPORTED where its kernel.json could not be read: there is nothing to start. */
int kernel_kind_check(const struct kernel_kind *, struct err *) must_check;

struct kernel_kind *kernel_kind_ref(struct kernel_kind *);
void kernel_kind_unref(struct kernel_kind *); /* accepts NULL */

#endif
