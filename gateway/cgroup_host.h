/* cgroup_host.h - the host as cgroup.c finds it, for the parts of it. */
#ifndef GATEWAY_CGROUP_HOST_H
#define GATEWAY_CGROUP_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

enum { CGROUP_MAX_HIERARCHIES = 16 };

struct cgroup_host {
    char *root;
    char parent[16]; /* "tci-" and 8 hex digits */
    bool v2;         /* one hierarchy for all */
    char
        *hierarchies[CGROUP_MAX_HIERARCHIES]; /* mount points, by controller list; v2: root alone */
    size_t n_hierarchies;
    char *memory; /* ... of this controller, borrowed */
    bool swap;
    bool tcp;
};

/* The directory of a group; free it. */
char *cgroup_dir(const struct cgroup_host *, const char *hierarchy, const char *id);

/* The mount point of a controller of version 1; NULL: there is none. */
char *cgroup_controller(const struct cgroup_host *, const char *name);

#endif
