/* textfile.h - writing a short text to a file. */
#ifndef WORKER_TEXTFILE_H
#define WORKER_TEXTFILE_H

#include <sys/types.h>

/*
 * Opens path for writing, with more flags of open(2) and, for O_CREAT, a mode, and writes the text at once; a symbolic link
 * is not followed.  0, or -1 with errno.  Does nothing but system calls, so it may run between fork and exec.
 */
int textfile_write(const char *path, int flags, mode_t mode, const char *text)
    __attribute__((warn_unused_result));

#endif
