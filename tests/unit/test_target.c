/* test_target.c - what matches which pattern, what is decoded to what, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gateway/target.h"

static void
matches(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool yes;
    } cases[] = {
        {"/", "/", true},
        {"/", "", false},
        {"/", "/a", false},
        {"/status", "/status", true},
        {"/status", "/status/", false},
        {"/status", "/statu", false},
        {"/status", "/statuss", false},
        {"/v1/s/{id}", "/v1/s/a", true},
        {"/v1/s/{id}", "/v1/s/%2F", true},
        {"/v1/s/{id}", "/v1/s/", false},
        {"/v1/s/{id}", "/v1/s", false},
        {"/v1/s/{id}", "/v1/s/a/", false},
        {"/v1/s/{id}", "/v1/s/a/b", false},
        {"/v1/s/{id}/x/{eid}", "/v1/s/a/x/b", true},
        {"/v1/s/{id}/x/{eid}", "/v1/s//x/b", false},
        {"/v1/s/{id}/x/{eid}", "/v1/s/a/x/", false},
        {"/v1/s/{id}/x/{eid}", "/v1/s/a/y/b", false},
        {"/v1/s/{id}/files:mkdir", "/v1/s/a/files:mkdir", true},
        {"/v1/s/{id}/files:mkdir", "/v1/s/a/files", false},
        {"/v1/s/{id}/files/{path...}", "/v1/s/a/files/b/c//d", true},
        {"/v1/s/{id}/files/{path...}", "/v1/s/a/files/", true},
        {"/v1/s/{id}/files/{path...}", "/v1/s/a/files", false},
        {"/v1/s/{id}/files/{path...}", "/v1/s/a/files:mkdir", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (target_matches(cases[i].pattern, cases[i].path) != cases[i].yes)
            fail_msg("%s and %s", cases[i].pattern, cases[i].path);
}

static void
takes_parameters(void **state)
{
    struct target t;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(target_parse("/v1/{id}/f/{path...}", "/v1/a%2fb+c/f/%C3%A9/..//x%25y",
                                  "limit=10&name=a+b%26c&&flag&empty=&eq=a=b", &t, &err),
                     0);
    assert_string_equal(target_param(&t, "id"), "a/b+c");
    assert_string_equal(target_param(&t, "path"), "\xc3\xa9/..//x%y");
    assert_null(target_param(&t, "limit"));
    assert_string_equal(target_query(&t, "limit"), "10");
    assert_string_equal(target_query(&t, "name"), "a b&c");
    assert_string_equal(target_query(&t, "flag"), "");
    assert_string_equal(target_query(&t, "empty"), "");
    assert_string_equal(target_query(&t, "eq"), "a=b");
    assert_null(target_query(&t, "id"));
    target_clear(&t);
    target_clear(&t);
}

static void
takes_nothing(void **state)
{
    static const char *const none[] = {NULL};
    struct target t;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(target_parse("/status", "/status", NULL, &t, &err), 0);
    assert_null(t.text);
    assert_null(target_param(&t, "id"));
    assert_int_equal(target_only(&t, none, &err), 0);
    target_clear(&t);
    assert_int_equal(target_parse("/f/{path...}", "/f/", "", &t, &err), 0);
    assert_string_equal(target_param(&t, "path"), "");
    target_clear(&t);
}

static void
refuses(void **state)
{
    static const struct {
        const char *path, *query;
    } cases[] = {
        {"/a%", ""},        {"/a%4", ""},          {"/%zz", ""},      {"/%00", ""},
        {"/%ff", ""},       {"/\xff", ""},         {"/a", "x=%"},     {"/a", "%0=1"},
        {"/a", "x=%00"},    {"/a", "x=\xc3\x28"},  {"/a", "x=1&x=2"}, {"/a", "x&x"},
        {"/%ed%a0%80", ""}, {"/a", "a=1&b=2&a=1"}, {"/a", "%61=1&a"},
    };
    struct target t;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;

        if (target_parse("/{id}", cases[i].path, cases[i].query, &t, &err) == 0)
            fail_msg("%s?%s", cases[i].path, cases[i].query);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
        assert_null(t.text);
    }
}

static void
is_bounded(void **state)
{
    char query[TARGET_QUERY_MAX + 2] = "";
    struct target t;
    struct err err = ERR_INIT;

    (void)state;
    for (unsigned i = 0; i < TARGET_QUERY; i++)
        snprintf(query + strlen(query), sizeof(query) - strlen(query), "&p%u=%u", i, i);
    assert_int_equal(target_parse("/a", "/a", query, &t, &err), 0);
    assert_string_equal(target_query(&t, "p23"), "23");
    target_clear(&t);
    strcat(query, "&one=more");
    assert_int_equal(target_parse("/a", "/a", query, &t, &err), -1);
    memset(query, 'a', TARGET_QUERY_MAX);
    query[TARGET_QUERY_MAX] = '\0';
    assert_int_equal(target_parse("/a", "/a", query, &t, &err), 0);
    target_clear(&t);
    query[TARGET_QUERY_MAX] = 'a';
    assert_int_equal(target_parse("/a", "/a", query, &t, &err), -1);
}

static void
knows_what_is_allowed(void **state)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    struct target t;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(target_parse("/a", "/a", "cursor=1&limit=2", &t, &err), 0);
    assert_int_equal(target_only(&t, names, &err), 0);
    target_clear(&t);
    assert_int_equal(target_parse("/a", "/a", "cursor=1&limits=2", &t, &err), 0);
    assert_int_equal(target_only(&t, names, &err), -1);
    assert_string_equal(err.field, "limits");
    target_clear(&t);
    err.field[0] = '\0';
    assert_int_equal(target_parse("/a", "/a", "<script>=1", &t, &err), 0);
    assert_int_equal(target_only(&t, names, &err), -1);
    assert_string_equal(err.field, "");
    assert_null(strchr(err.msg, '<'));
    target_clear(&t);
}

static void
reads_numbers_and_flags(void **state)
{
    static const char *const wrong[] = {
        "n=", "n=x", "n=-1", "n=0", "n=11", "n=1e1", "n=+5", "n=%205", "n=99999999999999999999999"};
    static const struct {
        const char *query;
        int rc;
        bool on;
    } flags[] = {{"", 0, false},        {"f", 0, true},    {"f=1", 0, true},    {"f=true", 0, true},
                 {"f=false", 0, false}, {"f=0", 0, false}, {"f=yes", -1, false}};
    unsigned long long n;
    struct target t;
    struct err err = ERR_INIT;
    bool on;

    (void)state;
    assert_int_equal(target_parse("/a", "/a", "n=10", &t, &err), 0);
    assert_int_equal(target_number(&t, "n", 1, 10, 5, &n, &err), 0);
    assert_int_equal(n, 10);
    assert_int_equal(target_number(&t, "m", 1, 10, 5, &n, &err), 0);
    assert_int_equal(n, 5);
    target_clear(&t);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(target_parse("/a", "/a", wrong[i], &t, &err), 0);
        if (target_number(&t, "n", 1, 10, 5, &n, &err) == 0)
            fail_msg("%s", wrong[i]);
        assert_string_equal(err.field, "n");
        target_clear(&t);
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        assert_int_equal(target_parse("/a", "/a", flags[i].query, &t, &err), 0);
        assert_int_equal(target_flag(&t, "f", &on, &err), flags[i].rc);
        assert_int_equal(on, flags[i].on);
        target_clear(&t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(takes_parameters),
        cmocka_unit_test(takes_nothing),
        cmocka_unit_test(refuses),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(knows_what_is_allowed),
        cmocka_unit_test(reads_numbers_and_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
