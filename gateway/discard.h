/*
 * discard.h - files removed without the loop waiting for it.
 *
 * Linux gives a file's memory back page by page when it goes: 25 ms for 400 MB.  So a large one gets another name, and a helper
 * process removes it under that.
 */
#ifndef GATEWAY_DISCARD_H
#define GATEWAY_DISCARD_H

#include "mem.h"

struct event_base;

/*
 * Removes the file, or puts the replacement in its place (NULL: none).  aside: a name in the same file system that is free, where it
 * may be for a while; if the helper cannot remove it, it stays.  0; -1 and errno: all is as it was.
 */
int discard_file(struct event_base *, const char *path, const char *replacement,
                 const char *aside) must_check;

#endif
