/* v1_variables.h - how Python is asked for its variables.  Part of v1_kernel.h. */
#ifndef GATEWAY_V1_VARIABLES_H
#define GATEWAY_V1_VARIABLES_H

#define V1_VARIABLES_TYPE "application/vnd.tci.variables+json"

/* Displays one object of V1_VARIABLES_TYPE, and leaves no name behind. */
extern const char v1_variables_code[];

#endif
