/*
 * provision.h - packages into a session that there is: had from packages.h, put into its container, if it is to have one, and noted for
 * those that it will have.
 */
#ifndef GATEWAY_PROVISION_H
#define GATEWAY_PROVISION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"

struct caller;
struct packages;
struct pool;
struct provision;

struct provision_ops {
    /* As supply_ops has it. */
    void (*on_output)(void *owner, int fd, const char *text, size_t len);
    /* NULL: they are there; cached: and were before.  The provision is no more.  Must not end the session. */
    void (*on_done)(void *owner, bool cached, const struct err *why);
};

/*
 * Fails as packages_supply does, and with ERR_NOT_FOUND.  The session's owner and name, and group (requirement.h) are copied, all
 * else is borrowed.  Nothing is called before this has returned.
 */
struct provision *provision_start(struct pool *, struct packages *, const struct caller *who,
                                  const char *session, json_t *group, const struct provision_ops *,
                                  void *owner, struct err *) must_check;
void provision_cancel(struct provision *); /* accepts NULL */

#endif
