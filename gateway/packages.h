/*
 * packages.h - packages that sessions want: from what has been installed before, or installed now.  No more than a few installations
 * run at a time, fewer for one API key, and who wants the same waits for the same one.
 */
#ifndef GATEWAY_PACKAGES_H
#define GATEWAY_PACKAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct caller;
struct config;
struct event_base;
struct kernel_kind;
struct packages;
struct pool;
struct supply;

/* Both are borrowed and must outlive it.  dir is where installed packages are kept.  Reads it: for start-up. */
struct packages *packages_new(struct event_base *, const struct config *, struct pool *,
                              const char *dir, struct err *) must_check;

/* Ends what is under way, with ERR_NO_WORKER; before pool_free.  NULL is accepted, here and below. */
void packages_stop(struct packages *);
void packages_free(struct packages *); /* after that */

/* ERR_UNSUPPORTED, with field "packages": the language has no tool for it, or there is no source. */
int packages_check(const struct packages *, const struct kernel_kind *, struct err *) must_check;

/* Whether the installation of these has failed in the last minutes, so that it need not be tried again for nobody's sake. */
bool packages_failed(const struct packages *, const struct kernel_kind *, const json_t *wanted);

struct packages_source {
    int fd;      /* the callee's to close: an archive of them, from its beginning */
    off_t size;  /* of it, bytes */
    bool cached; /* nothing was installed for it */
};

struct supply_ops {
    /* What the tool says on descriptor 1 or 2; UTF-8, borrowed.  May be NULL. */
    void (*on_output)(void *owner, int fd, const char *text, size_t len);
    /* Here they are, or NULL and why not: ERR_INSTALL, or what else went wrong.  The supply is no more. */
    void (*on_done)(void *owner, const struct packages_source *, const struct err *why);
};

/*
 * wanted: an array of requirement.h, copied by reference; who is copied.  Fails as packages_check, and with ERR_BAD_REQUEST: the
 * language has no such names.  It ends with ERR_BUSY where too many installations wait already, and with ERR_QUOTA where too many are
 * for this API key.  Nothing is called before this has returned.
 */
struct supply *packages_supply(struct packages *, struct kernel_kind *, json_t *wanted,
                               const struct caller *who, const struct supply_ops *, void *owner,
                               struct err *) must_check;
void supply_cancel(struct supply *); /* accepts NULL; on_done is not called */

#endif
