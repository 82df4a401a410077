/* wipe.h - empties a directory whatever is in it: trees deeper than any path, directories that nobody may enter. */
#ifndef WORKER_WIPE_H
#define WORKER_WIPE_H

/*
 * As the calling process' user, who owns all that is in it; follows no link.  The directory stays.  0, or -1 with errno.
 */
int wipe_dir(const char *path) __attribute__((warn_unused_result));

#endif
