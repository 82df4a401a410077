/*
 * rootless.h - what the gateway of an ordinary user has in root's place: subordinate ids for its containers, and a user
 * and a mount namespace in which the runtime program may map those and mount.
 *
 * Ids in that namespace: 0 is the user, and from 1 on come the subordinate ids, in their order.  The first of them is,
 * as a group, the one of every container's root, by which the link knows workers; then come those of slot 0, slot 1, ...
 */
#ifndef GATEWAY_ROOTLESS_H
#define GATEWAY_ROOTLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

enum {
    ROOTLESS_LINK_GID = 1,
    ROOTLESS_FIRST_ID = 2, /* of slot 0 */
    ROOTLESS_IDS = 3,      /* of a slot: its root, its sandbox user and its nobody */
};

struct rootless;

/* Whether this process is an ordinary user's. */
bool rootless_is_needed(void);

/*
 * Makes the namespaces.  paths are files and directories that containers mount, and the state directory; where the way to
 * one leads through a directory that only the user may pass (his home), the namespace shows that directory with these
 * paths in it and nothing else.  Fails where the user has no subordinate ids, or may not make namespaces.  Blocks; for
 * start-up, before there are threads.
 */
struct rootless *rootless_open(const char *const *paths, size_t n, struct err *) must_check;
/* Accepts NULL.  Containers keep what they need of the namespaces. */
void rootless_close(struct rootless *);

/* How many containers there are ids for at a time. */
unsigned rootless_slots(const struct rootless *);

/* How many subordinate ids that many containers take. */
unsigned rootless_ids_for(unsigned slots);

/* The group of the containers' roots, as this process sees it. */
gid_t rootless_link_gid(const struct rootless *);

/* The command that executes what is appended to it in the namespaces, as their root; NULL-terminated. */
const char *const *rootless_enter(const struct rootless *);

#endif
