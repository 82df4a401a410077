/* pathrule.h - which paths there are below the workspace; gateway and worker share it.  Pure. */
#ifndef WORKER_PATHRULE_H
#define WORKER_PATHRULE_H

#include <stdbool.h>

enum { PATHRULE_MAX = 4095 }; /* bytes of a path; a component has 255 at most */

/* Relative, without empty, "." or ".." components; "" is the workspace itself.  Any text may come in. */
bool pathrule_allows(const char *path);

#endif
