/*
 * run_steps.h - what an execution of /v1 consists of, one after the other: its environment is set, the code, the environment is
 * taken back, each of its tests.  Part of run.h.
 */
#ifndef GATEWAY_RUN_STEPS_H
#define GATEWAY_RUN_STEPS_H

#include <jansson.h>
#include <stdbool.h>

#include "execution.h"

struct body_run;
struct grade;

enum run_step { RUN_SET_ENV, RUN_CODE, RUN_RESET_ENV, RUN_TEST };

struct run_steps {
    enum run_step at;
    struct execution_spec quiet; /* what all steps have in common */
    struct execution_spec code;  /* ... and the code */
    json_t *env;                 /* NULL: none */
    char *env_code;              /* of the step that runs; NULL: none */
    struct grade *grade;         /* NULL: no tests */
};

/*
 * The body's code, which is borrowed, and environment.  common: limits and sink of every step.  Tests are the caller's to put into
 * grade.
 */
void run_steps_take(struct run_steps *, const struct execution_spec *common,
                    const struct body_run *, const char *code);
void run_steps_clear(struct run_steps *); /* idempotent */

/* The first step, and what it runs; false: there is none. */
bool run_steps_first(struct run_steps *, struct execution_spec *);

/* The one that comes after it has ended. */
bool run_steps_next(struct run_steps *, struct execution_spec *);

#endif
