/* pathrule.c - see pathrule.h. */
#include "pathrule.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

static bool
is_component(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX)
        return false;
    return name[0] != '.' || (len != 1 && (len != 2 || name[1] != '.'));
}

bool
pathrule_allows(const char *path)
{
    if (path[0] == '\0')
        return true;
    if (strlen(path) > PATHRULE_MAX)
        return false;
    for (;;) {
        const size_t len = strcspn(path, "/");

        if (!is_component(path, len))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}
