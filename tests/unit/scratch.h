/* scratch.h - a directory of a test's own, with what is in it, and files written there. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SCRATCH_PATH = 32 }; /* bytes of a directory's path */

/* Makes one below /var/tmp, for /tmp may have no disk behind it, and fills path; -1 if it cannot. */
static inline int
scratch_make(char path[SCRATCH_PATH])
{
    snprintf(path, SCRATCH_PATH, "/var/tmp/tci-test-XXXXXX");
    return mkdtemp(path) == NULL ? -1 : 0;
}

static inline int
scratch_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* Removes it and all that is in it, but for what is mounted there; -1 if something is left. */
static inline int
scratch_remove(const char *path)
{
    return nftw(path, scratch_remove_entry, 16, FTW_DEPTH | FTW_MOUNT | FTW_PHYS);
}

#endif
