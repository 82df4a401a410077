/* skel.h - copies a small tree of directories, files and symbolic links. */
#ifndef WORKER_SKEL_H
#define WORKER_SKEL_H

enum {
    SKEL_MAX_DEPTH = 16,
    SKEL_MAX_ENTRIES = 4096,
    SKEL_MAX_BYTES = 64 << 20,
};

/*
 * Copies what is in the directory `from` into the directory `to`, as the calling process' user,
 * with modes and modification times; a file that is there already is left alone, a device or socket
 * is left out, and `from` need not exist.  0, or -1 with errno (EFBIG: over a limit).  Allocates
 * nothing, so it may run between fork and exec.
 */
int skel_copy(const char *from, const char *to) __attribute__((warn_unused_result));

#endif
