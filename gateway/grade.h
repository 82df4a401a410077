/*
 * grade.h - tests of what an execution has made, and the reward for those that pass.  Pure.
 *
 * Each test is an execution of its own, silent and without history, which passes when it ends without an exception.  Under
 * Python it runs in a copy of the namespace, so that names that it binds are gone with it; what it does to the objects
 * themselves stays.  In other languages it runs as it is.
 *
 *   {"name"?, "code" or "condition", "reward"? (1), "hidden"? (false), "timeout"?}
 *
 * A condition is an expression that must be true, and takes Python.  A hidden test's answer says whether it passed, and nothing
 * of its text, output or error.
 */
#ifndef GATEWAY_GRADE_H
#define GATEWAY_GRADE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"
#include "shown.h"

enum {
    GRADE_MAX_TESTS = 200,
    GRADE_MAX_OUTPUT = 16 << 10, /* bytes of a test's output that are kept */
    GRADE_TIMEOUT_MS = 10000,    /* of a test that has no limit of its own, at most */
};

struct grade_limits {
    size_t max_code;    /* bytes, of all tests together */
    double max_timeout; /* seconds */
    bool python;
};

struct grade;

/* tests: the field of a request.  On failure NULL, and ERR_BAD_REQUEST, ERR_TOO_LARGE or ERR_UNSUPPORTED with field "tests". */
struct grade *grade_new(const json_t *tests, const struct grade_limits *, struct err *) must_check;
void grade_free(struct grade *); /* accepts NULL */

/* What the requests's tests are written in, as they came: the i-th's text; NULL behind the last. */
const char *grade_source(const struct grade *, unsigned i, size_t *len);

/* The next test begins: its code, borrowed, and milliseconds.  False: there is none. */
bool grade_next(struct grade *, const char **code, size_t *len, unsigned *timeout_ms);

/* What the test that runs shows, and its reply. */
void grade_show(struct grade *, enum shown, const json_t *what);
void grade_reply(struct grade *, const json_t *content);

enum grade_end {
    GRADE_ENDED,   /* the kernel came to its end */
    GRADE_TIMEOUT, /* ... or did not */
    GRADE_DIED,
};

/* The test that runs is over, after so many milliseconds.  A new object: its result. */
json_t *grade_end(struct grade *, enum grade_end, double duration_ms) must_check;

bool grade_is_running(const struct grade *); /* between grade_next and grade_end */

/*
 * A new object: {"tests": [{"name", "passed", "outcome", "reward", "error", "output", "duration_ms", "hidden"}], "reward",
 * "max_reward", "score"}.  score is reward by max_reward, between 0 and 1.  outcome is passed, failed, error, timeout, died
 * or not_run.
 */
json_t *grade_json(const struct grade *) must_check;

#endif
