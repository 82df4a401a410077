/* grade.c - see grade.h. */
#include "grade.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "utf8.h"

enum {
    EARLY_MS = 10
}; /* by so much the clock that interrupts may be ahead: it counts from its turn's beginning */

enum outcome { NOT_RUN, PASSED, FAILED, RAISED, TIMED_OUT, DIED };

static const char *const outcome_name[] = {"not_run", "passed",  "failed",
                                           "error",   "timeout", "died"};

struct test {
    char *name;
    char *source, *code; /* as it came, and as it is run */
    size_t source_len, code_len;
    double reward;
    bool hidden;
    unsigned timeout_ms;
    enum outcome outcome;
    bool replied, raised;
    json_t *error; /* of the reply; NULL = none */
    char *output;
    size_t output_len;
    double duration_ms;
};

struct grade {
    struct test *tests;
    unsigned n, next; /* next: to run */
    bool running;     /* the one before next */
};

/* --- what is asked for -------------------------------------------------------------------- */

static int
bad(struct err *err, unsigned i, const char *what)
{
    return err_field(err, ERR_BAD_REQUEST, "tests", "tests: %u: %s", i, what);
}

static int
check_fields(const json_t *test, unsigned i, struct err *err)
{
    static const char *const names[] = {"code", "condition", "hidden", "name", "reward", "timeout"};
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)test, key, value) {
        bool known = false;

        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            known |= strcmp(key, names[n]) == 0;
        if (!known)
            return bad(err, i, "it has an unknown field");
    }
    return 0;
}

static int
take_name(struct test *t, const json_t *name, unsigned i, struct err *err)
{
    if (name && (!json_is_string(name) || json_string_length(name) > 200))
        return bad(err, i, "name must be a string of at most 200 bytes");
    t->name = name ? xstrdup(json_string_value(name)) : xasprintf("test %u", i + 1);
    return 0;
}

static int
take_reward(struct test *t, const json_t *reward, unsigned i, struct err *err)
{
    t->reward = reward ? json_number_value(reward) : 1;
    if ((reward && !json_is_number(reward)) || !(fabs(t->reward) <= 1e9))
        return bad(err, i, "reward must be a number, at most 1e9");
    return 0;
}

static int
take_hidden(struct test *t, const json_t *hidden, unsigned i, struct err *err)
{
    if (hidden && !json_is_boolean(hidden))
        return bad(err, i, "hidden must be true or false");
    t->hidden = json_is_true(hidden);
    return 0;
}

static int
take_timeout(struct test *t, const json_t *timeout, const struct grade_limits *limits, unsigned i,
             struct err *err)
{
    const double seconds = json_number_value(timeout);
    const double most = limits->max_timeout * 1000;

    t->timeout_ms = (unsigned)(most < GRADE_TIMEOUT_MS ? most : GRADE_TIMEOUT_MS);
    if (timeout == NULL || json_is_null(timeout))
        return 0;
    if (!json_is_number(timeout) || seconds <= 0 || seconds > limits->max_timeout)
        return err_field(err, ERR_BAD_REQUEST, "tests",
                         "tests: %u: timeout must be more than 0 and at most %.10g seconds", i,
                         limits->max_timeout);
    t->timeout_ms = seconds < 0.001 ? 1 : (unsigned)(seconds * 1000);
    return 0;
}

/* Python that runs the source in a copy of the namespace it is in. */
static char *
wrap(const struct test *t, bool condition)
{
    const size_t size = sodium_base64_encoded_len(t->source_len, sodium_base64_VARIANT_ORIGINAL);
    cleanup_free char *base64 = xnotnull(malloc(size));

    sodium_bin2base64(base64, size, (const unsigned char *)t->source, t->source_len,
                      sodium_base64_VARIANT_ORIGINAL);
    if (condition)
        return xasprintf(
            "if not eval(compile(__import__('base64').b64decode('%s').decode().strip(), "
            "'<test>', 'eval'), dict(globals())): "
            "raise AssertionError('the condition is false')",
            base64);
    return xasprintf(
        "exec(compile(__import__('base64').b64decode('%s').decode(), '<test>', 'exec'), "
        "dict(globals()))",
        base64);
}

static int
take_source(struct test *t, const json_t *test, const struct grade_limits *limits, unsigned i,
            struct err *err)
{
    const json_t *code = json_object_get(test, "code");
    const json_t *condition = json_object_get(test, "condition");
    const json_t *source = code ? code : condition;

    if ((code == NULL) == (condition == NULL) || !json_is_string(source))
        return bad(err, i, "it needs a string, code or condition");
    if (condition && !limits->python)
        return err_field(err, ERR_UNSUPPORTED, "tests",
                         "tests: %u: a condition is an expression of Python; use code", i);
    t->source_len = json_string_length(source);
    t->source = xnotnull(malloc(t->source_len + 1));
    memcpy(t->source, json_string_value(source), t->source_len + 1);
    t->code = limits->python ? wrap(t, condition != NULL) : NULL;
    t->code_len = t->code ? strlen(t->code) : t->source_len;
    return 0;
}

static int
take_test(struct test *t, const json_t *test, const struct grade_limits *limits, unsigned i,
          struct err *err)
{
    if (!json_is_object(test))
        return bad(err, i, "it is not an object");
    if (check_fields(test, i, err) < 0 || take_name(t, json_object_get(test, "name"), i, err) < 0 ||
        take_reward(t, json_object_get(test, "reward"), i, err) < 0 ||
        take_hidden(t, json_object_get(test, "hidden"), i, err) < 0 ||
        take_timeout(t, json_object_get(test, "timeout"), limits, i, err) < 0)
        return -1;
    return take_source(t, test, limits, i, err);
}

static int
take_tests(struct grade *g, const json_t *tests, const struct grade_limits *limits, struct err *err)
{
    size_t bytes = 0, i;
    json_t *test;

    json_array_foreach ((json_t *)tests, i, test) {
        g->n++;
        if (take_test(&g->tests[i], test, limits, (unsigned)i, err) < 0)
            return -1;
        bytes += g->tests[i].source_len;
    }
    if (bytes > limits->max_code)
        return err_field(err, ERR_TOO_LARGE, "tests",
                         "tests: %zu bytes of code, at most %zu are allowed", bytes,
                         limits->max_code);
    return 0;
}

struct grade *
grade_new(const json_t *tests, const struct grade_limits *limits, struct err *err)
{
    const size_t n = json_array_size(tests);
    struct grade *g;

    if (!json_is_array(tests) || n > GRADE_MAX_TESTS) {
        err_field(err, ERR_BAD_REQUEST, "tests", "tests: must be an array of at most %d tests",
                  GRADE_MAX_TESTS);
        return NULL;
    }
    g = xcalloc(1, sizeof(*g));
    g->tests = xcalloc(n ? n : 1, sizeof(*g->tests));
    if (take_tests(g, tests, limits, err) == 0)
        return g;
    grade_free(g);
    return NULL;
}

void
grade_free(struct grade *g)
{
    if (g == NULL)
        return;
    for (unsigned i = 0; i < g->n; i++) {
        free(g->tests[i].name);
        free(g->tests[i].source);
        free(g->tests[i].code);
        free(g->tests[i].output);
        json_decref(g->tests[i].error);
    }
    free(g->tests);
    free(g);
}

const char *
grade_source(const struct grade *g, unsigned i, size_t *len)
{
    if (i >= g->n)
        return NULL;
    *len = g->tests[i].source_len;
    return g->tests[i].source;
}

/* --- what comes of it --------------------------------------------------------------------- */

bool
grade_is_running(const struct grade *g)
{
    return g->running;
}

static struct test *
current(const struct grade *g)
{
    return &g->tests[g->next - 1];
}

bool
grade_next(struct grade *g, const char **code, size_t *len, unsigned *timeout_ms)
{
    const struct test *t = &g->tests[g->next];

    if (g->next == g->n)
        return false;
    *code = t->code ? t->code : t->source;
    *len = t->code_len;
    *timeout_ms = t->timeout_ms;
    g->next++;
    g->running = true;
    return true;
}

void
grade_show(struct grade *g, enum shown kind, const json_t *what)
{
    const json_t *text = json_object_get(what, "text");
    struct test *t = g->running ? current(g) : NULL;
    size_t fits;

    if ((kind != SHOWN_STDOUT && kind != SHOWN_STDERR) || t == NULL || t->hidden)
        return;
    fits = utf8_cut(json_string_value(text), json_string_length(text),
                    GRADE_MAX_OUTPUT - t->output_len);
    t->output = xrealloc(t->output, t->output_len + fits + 1);
    memcpy(t->output + t->output_len, json_string_value(text), fits);
    t->output_len += fits;
}

/* It would show how the test is run, and nothing of the test. */
static json_t *
without_traceback(json_t *error)
{
    json_array_clear(json_object_get(error, "traceback"));
    return error;
}

void
grade_reply(struct grade *g, const json_t *content)
{
    const char *status = json_string_value(json_object_get(content, "status"));
    struct test *t = g->running ? current(g) : NULL;
    bool truncated = false;

    if (t == NULL)
        return;
    t->replied = true;
    t->raised = status == NULL || strcmp(status, "ok") != 0;
    if (t->raised && t->error == NULL)
        t->error = without_traceback(shown_error_of_reply(content, &truncated));
}

static bool
ended_by(const struct test *t, const char *ename)
{
    const char *name = json_string_value(json_object_get(t->error, "ename"));

    return name && strcmp(name, ename) == 0;
}

static enum outcome
outcome_of(const struct test *t, enum grade_end how)
{
    if (how == GRADE_TIMEOUT)
        return TIMED_OUT;
    if (how == GRADE_DIED || !t->replied)
        return DIED;
    if (!t->raised)
        return PASSED;
    if (t->duration_ms + EARLY_MS >= t->timeout_ms) /* it was interrupted */
        return TIMED_OUT;
    /* Elsewhere than in Python there is no telling an assertion from what went wrong. */
    return t->code == NULL || ended_by(t, "AssertionError") ? FAILED : RAISED;
}

static json_t *
result_json(const struct test *t)
{
    const bool passed = t->outcome == PASSED;
    json_t *error = t->hidden ? NULL : t->error;

    return xnotnull(json_pack(
        "{s:s,s:b,s:s,s:f,s:O?,s:o,s:f,s:b}", "name", t->name, "passed", passed, "outcome",
        outcome_name[t->outcome], "reward", passed ? t->reward : 0.0, "error", error, "output",
        xnotnull(json_stringn_nocheck(t->output ? t->output : "", t->output_len)), "duration_ms",
        t->duration_ms, "hidden", t->hidden));
}

json_t *
grade_end(struct grade *g, enum grade_end how, double duration_ms)
{
    struct test *t = current(g);

    g->running = false;
    t->duration_ms = duration_ms;
    t->outcome = outcome_of(t, how);
    return result_json(t);
}

json_t *
grade_json(const struct grade *g)
{
    json_t *tests = xnotnull(json_array());
    double reward = 0, most = 0, score;

    for (unsigned i = 0; i < g->n; i++) {
        const struct test *t = &g->tests[i];

        reward += t->outcome == PASSED ? t->reward : 0;
        most += t->reward > 0 ? t->reward : 0;
        json_array_append_new(tests, result_json(t));
    }
    score = most > 0 ? reward / most : 0;
    return xnotnull(json_pack("{s:o,s:f,s:f,s:f}", "tests", tests, "reward", reward, "max_reward",
                              most, "score",
                              score < 0   ? 0.0
                              : score > 1 ? 1.0
                                          : score));
}
