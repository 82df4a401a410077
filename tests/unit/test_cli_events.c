/* test_cli_events.c - server-sent events as tci reads them, in pieces of every size. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/events.h"

struct seen {
    char text[512];
};

static void
on_event(void *owner, const char *name, const char *data, size_t len)
{
    struct seen *seen = owner;
    const size_t used = strlen(seen->text);

    assert_int_equal(strlen(data), len);
    snprintf(seen->text + used, sizeof(seen->text) - used, "[%s|%s]", name, data);
}

static int
feed(const char *bytes, size_t piece, size_t max, struct seen *seen)
{
    struct events *e = events_new(max, on_event, seen);
    const size_t len = strlen(bytes);
    int rc = 0;

    seen->text[0] = '\0';
    for (size_t i = 0; i < len && rc == 0; i += piece)
        rc = events_feed(e, bytes + i, piece < len - i ? piece : len - i, NULL);
    events_free(e);
    return rc;
}

static void
reads_events(void **state)
{
    static const char *const cases[][2] = {
        {"id: 1\nevent: stdout\ndata: {}\n\n", "[stdout|{}]"},
        {"data: a\n\ndata: b\n\n", "[message|a][message|b]"},
        {"data: a\ndata: b\n\n", "[message|a\nb]"},
        {"data:a\r\ndata:  b\r\n\r\n", "[message|a\n b]"},
        {"event: x\rdata: a\r\r", "[x|a]"},
        {"\xef\xbb\xbf"
         "data: a\n\n",
         "[message|a]"},
        {": comment\n\n:\n\n", ""},
        {"event: lost\n\ndata: a\n\n", "[message|a]"},
        {"data\n\n", "[message|]"},
        {"data: cut", ""},
        {"data: cut\n", ""},
        {"dat: x\ndatax: x\nretry: 1\ndata: a:b\n\n", "[message|a:b]"},
        {"\n\n\ndata: a\n\n\n", "[message|a]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t piece = 1; piece <= strlen(cases[i][0]); piece++) {
            struct seen seen;

            assert_int_equal(feed(cases[i][0], piece, 100, &seen), 0);
            assert_string_equal(seen.text, cases[i][1]);
        }
}

static void
has_bounds(void **state)
{
    static const char *const too_much[] = {"data: 12345678901234567890",
                                           "data: 1234\ndata: 1234\ndata: 1234\ndata: 1234\n\n",
                                           ": 12345678901234567890\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(too_much) / sizeof(too_much[0]); i++)
        for (size_t piece = 1; piece <= strlen(too_much[i]); piece++) {
            struct seen seen;

            assert_int_equal(feed(too_much[i], piece, 16, &seen), -1);
            assert_string_equal(seen.text, "");
        }
}

static void
says_what_is_wrong_and_stays_so(void **state)
{
    struct seen seen = {""};
    struct events *e = events_new(8, on_event, &seen);
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(events_feed(e, "123456789", 9, &err), -1);
    assert_int_equal(err.code, ERR_PEER);
    assert_non_null(strstr(err.msg, "8 bytes"));
    assert_int_equal(events_feed(e, "\ndata: a\n\n", 10, NULL), -1);
    assert_string_equal(seen.text, "");
    events_free(e);
    events_free(NULL);
}

static void
on_numbered(void *owner, const char *name, const char *data, size_t len)
{
    (void)name, (void)len;
    strcat(owner, data);
}

/* What an event's id says holds until another says something else, and for events that are whole only. */
static void
knows_the_last_id(void **state)
{
    static const char *const steps[][2] = {
        {"data: a\n\n", ""},
        {"id: 7\ndata: b\n", ""},
        {"\n", "7"},
        {"data: c\n\n", "7"},
        {"id: 8\n\n", "8"},
        {"id: 12345678901234567890123456789012345678901234567890123456789012345\ndata: d\n\n", "8"},
        {"id\ndata: e\n\n", ""},
    };
    char seen[16] = "";
    struct events *e = events_new(100, on_numbered, seen);

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_int_equal(events_feed(e, steps[i][0], strlen(steps[i][0]), NULL), 0);
        assert_string_equal(events_last_id(e), steps[i][1]);
    }
    assert_string_equal(seen, "abcde");
    events_free(e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_events),
        cmocka_unit_test(has_bounds),
        cmocka_unit_test(knows_the_last_id),
        cmocka_unit_test(says_what_is_wrong_and_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
