/* test_kernel_language.c - kernel.json as tci-kernel reads it: every way in which it can be wrong; placeholders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "kernel/language.h"
#include "tests/unit/scratch_file.h"

#define KERNEL(command)                                                                            \
    "{\"language\": \"toy\", \"display_name\": \"Toy\", \"metadata\": {\"tci\": {\"command\": "    \
    "{" command "}}}}"

static int
read_json(const char *json, struct language *l, struct err *err)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(json, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return language_read(l, path, err);
}

static void
assert_refused(const char *json, const char *words)
{
    struct language l;
    struct err err = ERR_INIT;

    assert_int_equal(read_json(json, &l, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    if (strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    assert_null(l.spec);
    assert_null(l.resource_dir);
    language_clear(&l);
}

static void
test_programs(void **state)
{
    struct language l;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(read_json(KERNEL("\"file\": \"cell.toy\", \"build\": [\"cc\", \"{file}\"], "
                                      "\"run\": [\"{dir}/out\"], \"mimetype\": \"text/x-toy\""),
                               &l, &err),
                     0);
    assert_string_equal(l.name, "toy");
    assert_string_equal(l.title, "Toy");
    assert_string_equal(l.mimetype, "text/x-toy");
    assert_string_equal(l.file, "cell.toy");
    assert_string_equal(language_suffix(&l), ".toy");
    assert_string_equal(l.resource_dir, directory);
    assert_int_equal(json_array_size(l.build), 2);
    assert_null(l.session);
    assert_null(l.feed);
    language_clear(&l);
    language_clear(&l);
}

/* Names and type have something to fall back to. */
static void
test_sessions(void **state)
{
    struct language l;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(
        read_json("{\"language\": 7, \"metadata\": {\"tci\": {\"command\": {\"file\": \"cell\", "
                  "\"session\": [\"toy\"], \"feed\": \"run {number}\"}}}}",
                  &l, &err),
        0);
    assert_string_equal(l.name, "text");
    assert_string_equal(l.title, "text");
    assert_string_equal(l.mimetype, "text/plain");
    assert_string_equal(language_suffix(&l), "");
    assert_string_equal(l.feed, "run {number}");
    assert_null(l.complete);
    assert_null(l.run);
    language_clear(&l);
}

static void
test_no_kernel(void **state)
{
    struct language l;
    struct err err = ERR_INIT;

    (void)state;
    assert_refused("", "file:");
    assert_refused("{\"language\": \"toy\"", "file:");
    assert_refused("{\"language\": \"a\", \"language\": \"b\"}", "file:1");
    assert_refused("[1]", "metadata.tci.command must be an object");
    assert_refused("{}", "metadata.tci.command must be an object");
    assert_refused("{\"metadata\": {\"tci\": 1}}", "metadata.tci.command must be an object");
    assert_refused("{\"metadata\": {\"tci\": {\"command\": [\"toy\"]}}}",
                   "metadata.tci.command must be an object");
    assert_int_equal(language_read(&l, "/nonexistent/kernel.json", &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    language_clear(&l);
}

static void
test_bad_values(void **state)
{
    (void)state;
    assert_refused(KERNEL("\"file\": \"cell\", \"runs\": [\"toy\"]"), "command.runs is not known");
    assert_refused(KERNEL("\"file\": 1, \"run\": [\"toy\"]"), "command.file must be a string");
    assert_refused(KERNEL("\"file\": \"\", \"run\": [\"toy\"]"), "command.file must be a string");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": \"toy\""), "command.run must be an array");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": []"), "command.run must be an array");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"\"]"), "command.run must be an array");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\", null]"),
                   "command.run must have strings only");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\"], \"mimetype\": {}"),
                   "command.mimetype must be a string");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\"], \"incomplete\": [7]"),
                   "command.incomplete must be an array");
}

static void
test_too_many_words(void **state)
{
    char json[1024] =
        "{\"metadata\": {\"tci\": {\"command\": {\"file\": \"cell\", \"run\": [\"toy\"";

    (void)state;
    for (int i = 0; i < 64; i++)
        strcat(json, ", \"x\"");
    strcat(json, "]}}}}");
    assert_refused(json, "command.run must be an array of 1 to 64 strings");
}

static void
test_no_sense(void **state)
{
    (void)state;
    assert_refused(KERNEL("\"run\": [\"toy\"]"), "command.file must be the name of a file");
    assert_refused(KERNEL("\"file\": \"../cell\", \"run\": [\"toy\"]"), "without a directory");
    assert_refused(KERNEL("\"file\": \".cell\", \"run\": [\"toy\"]"), "without a directory");
    assert_refused(KERNEL("\"file\": \"cell\""), "command.run or session must be there");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\"], \"session\": [\"toy\"], "
                          "\"feed\": \"x\""),
                   "command.run or session must be there, and not both");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\"], \"feed\": \"x\""),
                   "command.feed must be there with session, and only then");
    assert_refused(KERNEL("\"file\": \"cell\", \"session\": [\"toy\"]"), "command.feed must be");
    assert_refused(KERNEL("\"file\": \"cell\", \"session\": [\"toy\"], \"feed\": \"x\", "
                          "\"build\": [\"toy\"]"),
                   "command.build does not go with session");
    assert_refused(KERNEL("\"file\": \"cell\", \"run\": [\"toy\"], \"complete\": \"x\""),
                   "command.complete goes with session only");
}

static void
assert_filled(const struct language *l, const char *text, const struct language_values *v,
              const char *wanted)
{
    cleanup_free char *got = language_fill(l, text, v);

    assert_string_equal(got, wanted);
}

static void
test_placeholders(void **state)
{
    char resources[] = "/res";
    const struct language l = {.resource_dir = resources};
    const struct language_values some = {.file = "{dir}", .dir = "/d"};
    const struct language_values all = {"/d/f", "/d", "/d/in", "7"};

    (void)state;
    assert_filled(&l, "", &all, "");
    assert_filled(&l, "{number}: {file} in {dir} < {stdin}", &all, "7: /d/f in /d < /d/in");
    assert_filled(&l, "{resource_dir}{resource_dir}/x", &all, "/res/res/x");
    /* Once, and what has no value, is unknown or is not closed stays. */
    assert_filled(&l, "{file} {number} {what} {fil", &some, "{dir} {number} {what} {fil");
    assert_filled(&l, "{{dir}}", &some, "{/d}");
}

static void
test_argv(void **state)
{
    const struct language l = {.resource_dir = NULL};
    const struct language_values v = {.file = "a b"};
    json_t *list = json_pack("[s,s,s]", "cc", "{file}", "");
    char **argv = language_argv(&l, list, &v);

    (void)state;
    assert_string_equal(argv[0], "cc");
    assert_string_equal(argv[1], "a b");
    assert_string_equal(argv[2], "");
    assert_null(argv[3]);
    language_free_argv(argv);
    language_free_argv(NULL);
    json_decref(list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs),       cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_no_kernel),      cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_too_many_words), cmocka_unit_test(test_no_sense),
        cmocka_unit_test(test_placeholders),   cmocka_unit_test(test_argv),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
