/* imports.h - the modules that Python code imports, and the distributions that have them.  Pure. */
#ifndef GATEWAY_IMPORTS_H
#define GATEWAY_IMPORTS_H

#include <jansson.h>
#include <stddef.h>

#include "mem.h"

enum { IMPORTS_MAX = 64 /* names of one code; those after them are passed over */ };

/*
 * A new array of the names of top-level modules, each once, in their order: of `import a.b` and `from a.b import c`, wherever a
 * statement can stand.  Any bytes; what is no Python has maybe some.
 */
json_t *imports_of(const char *code, size_t len) must_check;

/* What to install for a module: mostly the same name.  Borrowed. */
const char *imports_distribution(const char *module);

#endif
