/*
 * packagetool.h - how the packages of a language are installed, as its kernel.json says under metadata.tci.packages:
 *
 *     "install":    argv of its tool; the element {sources} becomes from_dir and from_index, {packages} the packages wanted, and
 *                   {target} in any of them the directory that they are to be installed in; {resource_dir} is the kernelspec's
 *     "dir":        where in the operator's directory of packages its own are; may be left out
 *     "index":      the name of its index in TCI_PACKAGES_INDEX; without, it is the one that has none
 *     "scopes":     true: names may begin with a scope, as @scope/name
 *     "from_dir":   arguments for that directory, {dir}; a tool without takes none
 *     "from_index": arguments for an index, {index}; a tool without takes none
 *     "from_plain_index": further ones where its URL begins with http://, for {host}
 *     "only_dir":   arguments where there is no index
 *     "env":        variables by which the kernel and its children find what is in {target}
 *     "activate":   code after which a running kernel knows of what is new there; may be left out
 *
 * Pure.
 */
#ifndef GATEWAY_PACKAGETOOL_H
#define GATEWAY_PACKAGETOOL_H

#include <jansson.h>
#include <stdbool.h>

#include "mem.h"

/* NULL: it can be used; else which of its members is wrong, and how. */
const char *packagetool_check(const json_t *packages);

/* "": the operator's directory itself, the index without a name.  Borrowed. */
const char *packagetool_dir(const json_t *packages);
const char *packagetool_index(const json_t *packages);

bool packagetool_takes_dir(const json_t *packages);
bool packagetool_takes_index(const json_t *packages);
bool packagetool_takes_scopes(const json_t *packages);

/* A new array.  dir, index: NULL, there is none; one of them there is. */
json_t *packagetool_argv(const json_t *packages, const char *dir, const char *index,
                         const json_t *wanted) must_check;

/* Adds what the kernel needs to its environment. */
void packagetool_add_env(const json_t *packages, json_t *env);

const char *packagetool_activation(const json_t *packages); /* NULL: none; borrowed */

#endif
