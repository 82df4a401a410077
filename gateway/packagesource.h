/* packagesource.h - where a language's packages are from, as the settings and its tool (packagetool.h) have it. */
#ifndef GATEWAY_PACKAGESOURCE_H
#define GATEWAY_PACKAGESOURCE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "packageindex.h"

struct config;

struct packagesource {
    char dir[PATH_MAX];               /* on the host; "": none */
    char dir_inside[PATH_MAX];        /* the same, where its installers see it */
    char index[PACKAGEINDEX_MAX + 1]; /* URL; "": none */
};

/* False: there is none for it.  tool NULL: the kernel has none.  Looks whether there is its part of TCI_PACKAGES_DIR. */
bool packagesource_find(const struct config *, const json_t *tool, struct packagesource *);
bool packagesource_is_there(const struct config *, const json_t *tool);

#endif
