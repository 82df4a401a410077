/* runtime_limits.h - what the limits of a worker hold for, and where they do not. */
#ifndef GATEWAY_RUNTIME_LIMITS_H
#define GATEWAY_RUNTIME_LIMITS_H

#include <jansson.h>
#include <stdbool.h>

struct config;
struct rootless;

/* A new object, as runtime_limits has it. */
json_t *runtime_limits_json(bool rootless);

/* To the log: which settings do not hold for an ordinary user's gateway. */
void runtime_limits_warn(const struct rootless *, const struct config *);

#endif
