/*
 * pythonenv.h - Python that gives one execution an environment of its own, and takes it back.  Pure.
 *
 * What is remembered in between is in the kernel.  Taking back may be done again, after an interrupt or for nothing, and what
 * was not taken back is not taken for what was there before.
 */
#ifndef GATEWAY_PYTHONENV_H
#define GATEWAY_PYTHONENV_H

#include <jansson.h>

#include "mem.h"

/* New code that sets the variables of an object of strings. */
char *pythonenv_set(const json_t *variables) must_check;

/* The code that takes them back. */
extern const char pythonenv_undo[];

#endif
