/* run_steps.c - see run_steps.h. */
#include "run_steps.h"

#include <string.h>

#include "body_run.h"
#include "grade.h"
#include "mem.h"
#include "pythonenv.h"

enum {
    TEST_GRACE_MS = 5000, /* that a test has to end when it was interrupted */
    ENV_TIMEOUT_MS = 20000,
};

static bool
fill_env(struct run_steps *steps, struct execution_spec *spec)
{
    if (steps->env == NULL)
        return false;
    free(steps->env_code);
    steps->env_code =
        steps->at == RUN_SET_ENV ? pythonenv_set(steps->env) : xstrdup(pythonenv_undo);
    *spec = steps->quiet;
    spec->code = steps->env_code;
    spec->code_len = strlen(spec->code);
    spec->timeout_ms = ENV_TIMEOUT_MS;
    return true;
}

static bool
fill_test(struct run_steps *steps, struct execution_spec *spec)
{
    unsigned ms;

    *spec = steps->quiet;
    if (steps->grade == NULL || !grade_next(steps->grade, &spec->code, &spec->code_len, &ms))
        return false;
    spec->interrupt_ms = ms;
    spec->timeout_ms = ms + TEST_GRACE_MS;
    return true;
}

/* What the step runs; false: there is no such step, or not any more. */
static bool
fill(struct run_steps *steps, struct execution_spec *spec)
{
    switch (steps->at) {
    case RUN_SET_ENV:
    case RUN_RESET_ENV:
        return fill_env(steps, spec);
    case RUN_CODE:
        *spec = steps->code;
        return true;
    case RUN_TEST:
        return fill_test(steps, spec);
    }
    return false;
}

/* The first step from that one on which there is. */
static bool
begin(struct run_steps *steps, enum run_step from, struct execution_spec *spec)
{
    for (enum run_step step = from; step <= RUN_TEST; step++) {
        steps->at = step;
        if (fill(steps, spec))
            return true;
    }
    return false;
}

bool
run_steps_first(struct run_steps *steps, struct execution_spec *spec)
{
    return begin(steps, RUN_SET_ENV, spec);
}

bool
run_steps_next(struct run_steps *steps, struct execution_spec *spec)
{
    return begin(steps, steps->at == RUN_TEST ? RUN_TEST : steps->at + 1, spec);
}

void
run_steps_take(struct run_steps *steps, const struct execution_spec *common,
               const struct body_run *body, const char *code)
{
    const double timeout = body->body.timeout;
    struct execution_spec *spec = &steps->code;

    *steps = (struct run_steps){.quiet = *common, .code = *common};
    steps->quiet.silent = steps->quiet.no_history = true;
    spec->code = code;
    spec->code_len = body->body.code_len;
    spec->timeout_ms = timeout < 0.001 ? 1 : (unsigned)(timeout * 1000);
    spec->silent = body->silent;
    spec->no_history = body->no_history;
    spec->user_expressions = json_incref(body->user_expressions);
    spec->input = body->input || body->stdin_text;
    spec->watch = true;
    steps->env = json_incref((json_t *)body->env);
}

void
run_steps_clear(struct run_steps *steps)
{
    free(steps->env_code);
    grade_free(steps->grade);
    json_decref(steps->env);
    json_decref(steps->code.user_expressions);
    steps->env_code = NULL;
    steps->grade = NULL;
    steps->env = steps->code.user_expressions = NULL;
}
