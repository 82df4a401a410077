/* api_scan.h - what the scan says of code that a request brings, counted and logged.  Part of api.h. */
#ifndef GATEWAY_API_SCAN_H
#define GATEWAY_API_SCAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "api.h"

/* A new array of what is found, or added to `findings` (taken; NULL: none yet); NULL when that is nothing. */
json_t *api_scan(const struct api_parts *, const char *code, size_t len, json_t *findings);

/* Whether findings keep code from running. */
bool api_scan_blocks(const struct api_parts *, const json_t *findings);

/* Why it was not run, a new string. */
char *api_scan_why(const json_t *findings);

#endif
