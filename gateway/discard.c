/* discard.c - see discard.h. */
#include "discard.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "child.h"
#include "log.h"

enum { LARGE = 16 << 20 }; /* bytes, from which on a helper is worth while */

static bool
is_large(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= LARGE;
}

static void
on_removed(void *owner, bool ok, const char *why)
{
    (void)owner;
    if (!ok)
        log_warn("a file cannot be removed: %s", why);
}

static void
remove_by_helper(struct event_base *base, const char *path)
{
    const char *const argv[] = {"rm", "-f", "--", path, NULL};
    const struct child_spec spec = {.argv = argv, .stdin_fd = -1, .output_fd = -1};
    struct err err = ERR_INIT;

    if (child_spawn(base, &spec, on_removed, NULL, &err))
        return;
    log_warn("%s", err.msg);
    unlink(path);
}

int
discard_file(struct event_base *base, const char *path, const char *replacement, const char *aside)
{
    const bool is_aside = is_large(path) && link(path, aside) == 0;
    const int rc = replacement ? rename(replacement, path) : unlink(path);

    if (is_aside && rc == 0)
        remove_by_helper(base, aside);
    else if (is_aside)
        unlink(aside); /* another name of what is still there */
    return rc;
}
