/*
 * output_error.h - the error that an execution ended with: cut to size, and as the plain text that an answer shows.  Pure.
 * Part of output.h.
 */
#ifndef GATEWAY_OUTPUT_ERROR_H
#define GATEWAY_OUTPUT_ERROR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

/*
 * A new object: {"ename", "evalue", "traceback": [string]}, OUTPUT_MAX_ERROR bytes at most together, of a message's content; what
 * is no string there is empty here.  *seen grows by the bytes that came, *truncated becomes true if some did not fit.
 */
json_t *output_error_new(const json_t *content, size_t *seen, bool *truncated) must_check;

/* The same for a kernel that refused to run the code, and so has no exception to tell of. */
json_t *output_error_refusal(void) must_check;

/* The traceback, else the exception itself, without a terminal's control sequences.  A new string of *len bytes. */
char *output_error_text(const json_t *error, size_t *len) must_check;

#endif
