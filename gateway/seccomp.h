/*
 * seccomp.h - which system calls a container may make: the linux.seccomp object of its configuration.
 */
#ifndef GATEWAY_SECCOMP_H
#define GATEWAY_SECCOMP_H

#include <jansson.h>

/* A new object, the same every time. */
json_t *seccomp_profile(void);

#endif
