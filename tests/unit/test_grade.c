/* test_grade.c - tests of an execution: what may be asked for, and the reward that comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/grade.h"
#include "tests/unit/quoted.h"

static const struct grade_limits python = {100, 30, true}, other = {100, 5, false};

static struct grade *
make(const char *tests, const struct grade_limits *limits)
{
    json_auto_t *array = json(tests);
    struct err err = ERR_INIT;
    struct grade *g = grade_new(array, limits, &err);

    if (g == NULL)
        fail_msg("%s", err.msg);
    return g;
}

static void
bad_tests_are_refused(void **state)
{
    static const struct {
        const char *tests;
        enum err_code code;
    } cases[] = {
        {"{}", ERR_BAD_REQUEST},
        {"[1]", ERR_BAD_REQUEST},
        {"[{}]", ERR_BAD_REQUEST},
        {"[{'code':1}]", ERR_BAD_REQUEST},
        {"[{'code':'a','condition':'b'}]", ERR_BAD_REQUEST},
        {"[{'code':'a','name':1}]", ERR_BAD_REQUEST},
        {"[{'code':'a','reward':'1'}]", ERR_BAD_REQUEST},
        {"[{'code':'a','reward':1e300}]", ERR_BAD_REQUEST},
        {"[{'code':'a','hidden':1}]", ERR_BAD_REQUEST},
        {"[{'code':'a','timeout':0}]", ERR_BAD_REQUEST},
        {"[{'code':'a','timeout':31}]", ERR_BAD_REQUEST},
        {"[{'code':'a','timeout':'1'}]", ERR_BAD_REQUEST},
        {"[{'code':'a','more':1}]", ERR_BAD_REQUEST},
        {"[{'code':'0123456789012345678901234567890123456789012345678901234567890123456789'},"
         "{'code':'0123456789012345678901234567890'}]",
         ERR_TOO_LARGE},
    };
    json_auto_t *condition = json("[{'condition':'1'}]");
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_auto_t *tests = json(cases[i].tests);

        err.code = ERR_NONE;
        assert_null(grade_new(tests, &python, &err));
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.field, "tests");
    }
    assert_null(grade_new(condition, &other, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
}

static void
python_runs_in_a_copy_and_others_as_they_are(void **state)
{
    struct grade *g = make("[{'code':'x = 1'},{'condition':'x','timeout':2}]", &python);
    const char *code;
    size_t len;
    unsigned ms;

    (void)state;
    assert_true(grade_next(g, &code, &len, &ms));
    assert_int_equal(len, strlen(code));
    assert_non_null(strstr(code, "dict(globals())"));
    assert_int_equal(ms, GRADE_TIMEOUT_MS);
    json_decref(grade_end(g, GRADE_ENDED, 1));
    assert_true(grade_next(g, &code, &len, &ms));
    assert_non_null(strstr(code, "eval"));
    assert_int_equal(ms, 2000);
    json_decref(grade_end(g, GRADE_ENDED, 1));
    assert_false(grade_next(g, &code, &len, &ms));
    grade_free(g);

    g = make("[{'code':'x = 1'}]", &other);
    assert_true(grade_next(g, &code, &len, &ms));
    assert_int_equal(len, 5);
    assert_memory_equal(code, "x = 1", 5);
    assert_int_equal(ms, 5000);
    grade_free(g);
}

/* Runs the next test, which ends so. */
static void
run(struct grade *g, const char *reply, enum grade_end how, double ms)
{
    json_auto_t *content = reply ? json(reply) : NULL, *text = shown_text("out", 3);
    const char *code;
    size_t len;
    unsigned timeout_ms;

    assert_true(grade_next(g, &code, &len, &timeout_ms));
    assert_true(grade_is_running(g));
    grade_show(g, SHOWN_STDOUT, text);
    if (content)
        grade_reply(g, content);
    json_decref(grade_end(g, how, ms));
    assert_false(grade_is_running(g));
}

static void
assert_test(const json_t *all, size_t i, const char *outcome, double reward, bool shows)
{
    const json_t *test = json_array_get(json_object_get(all, "tests"), i);

    assert_string_equal(json_string_value(json_object_get(test, "outcome")), outcome);
    assert_true(json_is_true(json_object_get(test, "passed")) == (strcmp(outcome, "passed") == 0));
    assert_true(json_real_value(json_object_get(test, "reward")) == reward);
    assert_string_equal(json_string_value(json_object_get(test, "output")), shows ? "out" : "");
}

static void
rewards_are_of_those_that_pass(void **state)
{
    static const char ok[] = "{'status':'ok'}",
                      wrong[] = "{'status':'error','ename':'AssertionError','evalue':'secret'}",
                      raised[] = "{'status':'error','ename':'NameError','evalue':'x'}";
    struct grade *g = make("[{'code':'a','reward':3},{'code':'b'},{'code':'c','hidden':true},"
                           "{'code':'d','timeout':1},{'code':'e'},{'code':'f'},{'code':'g'}]",
                           &python);
    json_auto_t *all = NULL;
    char *text;

    (void)state;
    run(g, ok, GRADE_ENDED, 1);
    run(g, raised, GRADE_ENDED, 1);
    run(g, wrong, GRADE_ENDED, 1);
    run(g, raised, GRADE_ENDED, 1000);
    run(g, NULL, GRADE_TIMEOUT, 5);
    run(g, NULL, GRADE_DIED, 5);
    all = grade_json(g);
    assert_test(all, 0, "passed", 3, true);
    assert_test(all, 1, "error", 0, true);
    assert_test(all, 2, "failed", 0, false);
    assert_test(all, 3, "timeout", 0, true);
    assert_test(all, 4, "timeout", 0, true);
    assert_test(all, 5, "died", 0, true);
    assert_test(all, 6, "not_run", 0, false);
    assert_true(json_real_value(json_object_get(all, "reward")) == 3);
    assert_true(json_real_value(json_object_get(all, "max_reward")) == 9);
    assert_float_equal(json_real_value(json_object_get(all, "score")), 3.0 / 9, 1e-9);
    text = json_dumps(all, 0);
    assert_null(strstr(text, "secret"));
    free(text);
    grade_free(g);
}

static void
scores_are_between_none_and_one(void **state)
{
    static const char ok[] = "{'status':'ok'}";
    static const struct {
        const char *tests;
        double score;
    } cases[] = {
        {"[{'code':'a','reward':0}]", 0},
        {"[{'code':'a','reward':-1}]", 0},
        {"[{'code':'a','reward':0.5}]", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct grade *g = make(cases[i].tests, &python);
        json_auto_t *all = NULL;

        run(g, ok, GRADE_ENDED, 1);
        all = grade_json(g);
        assert_true(json_real_value(json_object_get(all, "score")) == cases[i].score);
        grade_free(g);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_tests_are_refused),
        cmocka_unit_test(python_runs_in_a_copy_and_others_as_they_are),
        cmocka_unit_test(rewards_are_of_those_that_pass),
        cmocka_unit_test(scores_are_between_none_and_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
