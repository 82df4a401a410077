/* requirement.h - what packages are asked for: names, and versions of them.  Pure. */
#ifndef GATEWAY_REQUIREMENT_H
#define GATEWAY_REQUIREMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"
#include "mem.h"

enum {
    REQUIREMENT_MAX = 200,  /* characters of one */
    REQUIREMENTS_MAX = 32,  /* of one request */
    REQUIREMENT_GROUPS = 64 /* requests of one session whose packages its next containers get */
};

/*
 * name, name[extra,extra], and behind that versions as PEP 440 has them (==1.2, >=1.2,<2, ~=1.2, !=1.3): the simple form
 * of PEP 508, without spaces.  No option, path, URL or marker is one.  In front of the name may be a scope, @scope/.
 */
bool requirement_is_valid(const char *text);

bool requirement_is_scoped(const char *text);

/* Whether it says which version it has to be. */
bool requirement_is_exact(const char *text);

/* A new array, sorted and each once, of what a client sent; NULL with field "packages" in err: it is no list of them. */
json_t *requirement_list(const json_t *value, struct err *) must_check;

/* Of an array of such arrays: all, in their order, each once; a new array.  groups NULL: none. */
json_t *requirement_all(const json_t *groups) must_check;

/* Whether one of the groups is that one. */
bool requirement_has(const json_t *groups, const json_t *group);

#endif
