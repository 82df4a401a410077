/* statedir.c - see statedir.h. */
#include "statedir.h"

#include <pwd.h>

#include "mem.h"

static const char *
home(void)
{
    const char *dir = getenv("HOME");
    const struct passwd *user;

    if (dir != NULL && dir[0] == '/')
        return dir;
    user = getpwuid(geteuid());
    return user != NULL ? user->pw_dir : "/nonexistent";
}

char *
statedir_default(void)
{
    const char *xdg = getenv("XDG_STATE_HOME");

    if (geteuid() == 0)
        return xstrdup(STATEDIR_OF_ROOT);
    if (xdg != NULL && xdg[0] == '/')
        return xasprintf("%s/tci", xdg);
    return xasprintf("%s/.local/state/tci", home());
}
