/*
 * filepath.h - names below a directory, opened so that nothing leads out of it: not "..", not a symbolic link, whoever
 * changes the tree meanwhile.  Paths are those of pathrule.h.
 */
#ifndef WORKER_FILEPATH_H
#define WORKER_FILEPATH_H

#include <sys/types.h>

#include "pathrule.h"

enum { FILEPATH_MAX = PATHRULE_MAX };

/*
 * As openat(2), with O_CLOEXEC.  Links that stay below root are followed, where the kernel can be told to watch that
 * (openat2), and otherwise none.  -1 with errno: EXDEV or ELOOP for one that leads out.
 */
int filepath_open(int root, const char *path, int flags) __attribute__((warn_unused_result));

/*
 * The directory of that name in another, with O_RDONLY, O_CLOEXEC and these flags.  -1 with errno: ENOTDIR for anything else,
 * and for a link to one.
 */
int filepath_directory(int at, const char *name, int flags) __attribute__((warn_unused_result));

/* The directory of the path's last component, to be closed, and that component, in *name; a path of none is EBUSY. */
int filepath_parent(int root, const char *path, const char **name)
    __attribute__((warn_unused_result));

/* Makes the directories that the path's last component is to be in. */
int filepath_make_parents(int root, const char *path) __attribute__((warn_unused_result));

#endif
