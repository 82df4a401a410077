/*
 * terms.h - what a session was asked to be: limits, environment, how long, and what becomes of its state between executions.  As
 * JSON in the store.  Pure.
 */
#ifndef GATEWAY_TERMS_H
#define GATEWAY_TERMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "allowance.h"
#include "mem.h"

enum terms_strategy {
    TERMS_SESSION,   /* one container, whose state lives on */
    TERMS_EXECUTION, /* a container for each execution, warm when it begins and gone when it ends */
    TERMS_POOL, /* one container, in which all is new for each execution: kernel, processes, files */
    TERMS_N_STRATEGIES
};

/* Zero, NULL: nothing was said of it, and what the settings say holds. */
struct terms {
    struct portion limits;
    double timeout;      /* longest running time of an execution, seconds */
    double idle_timeout; /* seconds without use after which it ends */
    int64_t expires_ms;  /* when it ends in any case: milliseconds since 1970 */
    json_t *env;         /* object of strings, over the kernelspec's; owned */
    json_t *packages; /* array of arrays (requirement.h), as they were asked for together; owned */
    enum terms_strategy strategy;
};

const char *terms_strategy_name(enum terms_strategy);
/* -1: there is none of that name. */
int terms_strategy_find(const char *name);

void terms_copy(struct terms *to, const struct terms *from); /* to is cleared before */
void terms_clear(struct terms *);                            /* idempotent */

/* The packages of one request more (an array, copied by reference), if they are none of those already.  -1: they are too many. */
int terms_add_packages(struct terms *, json_t *group) must_check;

/* Which of the things that are said in `wished` is something else in `had`: the field's name; NULL: none. */
const char *terms_differ(const struct terms *wished, const struct terms *had);

/* Whether a container that was not made for the session will not do.  Processor and memory can be taken away from any, where
 * limits can be changed at all. */
bool terms_need_own(const struct terms *, bool limits_can_change);

/* New objects: as a session shows them, with null for what was not said, and without values of env; and for the store. */
json_t *terms_show_limits(const struct terms *);
json_t *terms_save(const struct terms *);
void terms_load(struct terms *, const json_t *saved); /* what is missing or unusable was not said */

#endif
