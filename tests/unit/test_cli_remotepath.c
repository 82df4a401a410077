/* test_cli_remotepath.c - paths of a session's files, as they are written on the command line and in URLs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/remotepath.h"

static void
cleans_paths(void **state)
{
    static const struct {
        const char *text, *path, *name;
        bool directory;
    } cases[] = {
        {"a", "a", "a", false},
        {"a/b/", "a/b", "b", true},
        {"./a", "a", "a", false},
        {".//./a", "a", "a", false},
        {"/workspace/a/b", "a/b", "b", false},
        {"/workspace", "", "workspace", true},
        {"/workspace/", "", "workspace", true},
        {"/workspaces/a", "/workspaces/a", "a", false}, /* the server says no */
        {".", "", "workspace", true},
        {"", "", "workspace", true},
        {"./", "", "workspace", true},
        {"../x", "../x", "x", false},
        {"/", "/", "/", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *path = remotepath_clean(cases[i].text);

        assert_string_equal(path, cases[i].path);
        assert_string_equal(remotepath_name(path), cases[i].name);
        assert_int_equal(remotepath_is_directory(cases[i].text), cases[i].directory);
        free(path);
    }
}

static void
joins_and_encodes(void **state)
{
    char *text = remotepath_join("", "x");

    (void)state;
    assert_string_equal(text, "x");
    free(text);
    text = remotepath_join("a/b", "x");
    assert_string_equal(text, "a/b/x");
    free(text);
    text = remotepath_encode("a b/ü%?#&+~\033\xff");
    assert_string_equal(text, "a%20b/%C3%BC%25%3F%23%26%2B~%1B%FF");
    free(text);
    text = remotepath_encode("");
    assert_string_equal(text, "");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_paths),
        cmocka_unit_test(joins_and_encodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
