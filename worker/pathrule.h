/* pathrule.h - which paths there are below the workspace; gateway and worker share it.  Pure. */
#ifndef WORKER_PATHRULE_H
#define WORKER_PATHRULE_H

#include <stdbool.h>

enum {
    PATHRULE_MAX = 4095, /* bytes of a path; a component has 255 at most */
    PATHRULE_CURSOR_MAX = 1 + 3 * PATHRULE_MAX,
};

/* Relative, without empty, "." or ".." components; "" is the workspace itself.  Any text may come in. */
bool pathrule_allows(const char *path);

/*
 * Where a listing goes on is a path as well, and may be no UTF-8, as JSON wants it.  So a cursor is that path, or, as no path
 * does, begins with '/', and has '~' and each byte that is no ASCII as '~' and two digits.
 */
void pathrule_encode(const char *path, char cursor[PATHRULE_CURSOR_MAX + 1]);

/* The path of either form.  False: it is no cursor; any text may come in. */
bool pathrule_decode(const char *cursor, char path[PATHRULE_MAX + 1]);

#endif
