/*
 * install.h - one installation of packages: by the language's own tool (packagetool.h), in a container that is made for it, that
 * no session has had and none will have, into a file of the gateway's.
 */
#ifndef GATEWAY_INSTALL_H
#define GATEWAY_INSTALL_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"

struct config;
struct event_base;
struct install;
struct kernel_kind;
struct packstore;
struct pool;

struct install_ops {
    /* What the tool says, on descriptor 1 or 2: UTF-8, borrowed. */
    void (*on_output)(void *owner, int fd, const char *text, size_t len);
    /* NULL: they are in the store.  The installation is no more.  In a turn of its own. */
    void (*on_done)(void *owner, const struct err *);
};

/* Borrowed; must outlive it. */
struct install_parts {
    struct event_base *base;
    const struct config *config;
    struct pool *pool;
    struct packstore *store;
};

/* wanted: an array of requirement.h, copied by reference; key is the store's, copied.  Nothing is called before this has returned. */
struct install *install_start(const struct install_parts *, struct kernel_kind *, json_t *wanted,
                              const char *key, const struct install_ops *, void *owner,
                              struct err *) must_check;
void install_abort(struct install *); /* accepts NULL */

#endif
