/* v1_variables.h - how Python is asked for its variables.  Part of v1_kernel.h. */
#ifndef GATEWAY_V1_VARIABLES_H
#define GATEWAY_V1_VARIABLES_H

#include <jansson.h>

/* Displays one object, and leaves no name behind. */
extern const char v1_variables_code[];

/*
 * The object, as web/openapi.json has it, of a display_data message's content; borrowed.  NULL: it is not there, or none: the
 * session's code can have displayed anything in its place.
 */
json_t *v1_variables_of(const json_t *content);

#endif
