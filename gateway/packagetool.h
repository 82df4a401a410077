/*
 * packagetool.h - how the packages of a language are installed, as its kernel.json says under metadata.tci.packages:
 *
 *     "install":    argv of its tool; the element {sources} becomes from_dir and from_index, {packages} the packages wanted, and
 *                   {target} in any of them the directory that they are to be installed in
 *     "from_dir":   arguments for an operator's directory of packages, {dir}
 *     "from_index": arguments for an index, {index}
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

/* A new array.  dir, index: NULL, there is none; one of them there is. */
json_t *packagetool_argv(const json_t *packages, const char *dir, const char *index,
                         const json_t *wanted) must_check;

/* Adds what the kernel needs to its environment. */
void packagetool_add_env(const json_t *packages, json_t *env);

const char *packagetool_activation(const json_t *packages); /* NULL: none; borrowed */

#endif
