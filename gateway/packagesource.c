#include "packagesource.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "packagetool.h"
#include "worker/protocol.h"

/* A whole path or none. */
static void
join(char out[PATH_MAX], const char *dir, const char *part)
{
    const int n = snprintf(out, PATH_MAX, "%s%s%s", dir, part[0] ? "/" : "", part);

    if (n < 0 || n >= PATH_MAX)
        out[0] = '\0';
}

static void
find_dir(const struct config *c, const json_t *tool, struct packagesource *out)
{
    const char *part = packagetool_dir(tool);

    if (c->packages_dir[0] == '\0' || !packagetool_takes_dir(tool))
        return;
    join(out->dir, c->packages_dir, part);
    join(out->dir_inside, TCI_PATH_PACKAGE_DIR, part);
    if (part[0] && access(out->dir, F_OK) < 0)
        out->dir[0] = '\0';
}

bool
packagesource_find(const struct config *c, const json_t *tool, struct packagesource *out)
{
    out->dir[0] = out->dir_inside[0] = out->index[0] = '\0';
    if (tool == NULL)
        return false;
    find_dir(c, tool, out);
    if (packagetool_takes_index(tool) &&
        packageindex_find(c->packages_index, packagetool_index(tool), out->index) == NULL)
        out->index[0] = '\0';
    return out->dir[0] || out->index[0];
}

bool
packagesource_is_there(const struct config *c, const json_t *tool)
{
    struct packagesource source;

    return packagesource_find(c, tool, &source);
}
