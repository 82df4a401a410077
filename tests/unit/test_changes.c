/* test_changes.c - what a worker says of files is taken as it is meant, and refused where it is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "gateway/changes.h"
#include "worker/protocol.h"

#define F(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void
assert_parsed(const struct wire_frame frames[2], const char *expected)
{
    json_auto_t *changes = changes_parse(frames, 2);
    char *text;

    assert_non_null(changes);
    text = json_dumps(changes, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
}

static void
paths_by_kind(void **state)
{
    static const struct wire_frame none[] = {F("."), F("")};
    static const struct wire_frame all[] = {F("."), F("ca\0mb/c\0ce\0dd\0")};
    static const struct wire_frame unknown[] = {F("?"), F("")};
    static const struct wire_frame some[] = {F("+"), F("c\xc3\xa4\0c\xff\"\xc3\xa4\0")};

    (void)state;
    assert_parsed(none, "{\"created\":[],\"changed\":[],\"deleted\":[],\"truncated\":false}");
    assert_parsed(all, "{\"created\":[\"a\",\"e\"],\"changed\":[\"b/c\"],\"deleted\":[\"d\"],"
                       "\"truncated\":false}");
    assert_parsed(some, "{\"created\":[\"\xc3\xa4\",\"?\\\"??\"],\"changed\":[],\"deleted\":[],"
                        "\"truncated\":true}");
    assert_ptr_equal(changes_parse(unknown, 2), json_null());
}

static void
what_is_none(void **state)
{
    static const struct wire_frame bad[][2] = {
        {F(""), F("")},       {F(".."), F("")},      {F("x"), F("")},     {F("."), F("c")},
        {F("."), F("c\0")},   {F("."), F("ca")},     {F("."), F("xa\0")}, {F("."), F("c/etc\0")},
        {F("."), F("ca\0c")}, {F("."), F("ca\0\0")}, {F("?"), F("ca\0")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_null(changes_parse(bad[i], 2));
    assert_null(changes_parse(bad[0], 0));
    assert_null(changes_parse(bad[0], 1));
}

static void
more_than_there_may_be(void **state)
{
    static char text[TCI_CHANGES_MAX + 1];
    struct wire_frame frames[] = {{".", 1}, {text, 3 * TCI_CHANGES_MAX_PATHS}};
    json_t *changes;

    (void)state;
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, "ca", 3);
    changes = changes_parse(frames, 2);
    assert_int_equal(json_array_size(json_object_get(changes, "created")), TCI_CHANGES_MAX_PATHS);
    json_decref(changes);
    frames[1].len += 3;
    assert_null(changes_parse(frames, 2));
    memset(text, 'c', sizeof(text) - 1);
    frames[1].len = sizeof(text);
    assert_null(changes_parse(frames, 2));
}

static void
disk(void **state)
{
    static const struct wire_frame good = F("\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0");
    static const struct wire_frame bad[] = {
        F(""),
        F("\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2"),
        F("\0\0\0\0\0\0\2\1\0\0\0\0\0\0\2\0"),
        F("\0\0\0\0\0\0\0\0\xff\0\0\0\0\0\0\0"),
    };
    struct disk d = {.used = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(changes_parse_disk(&bad[i], 1, 5, &d));
    assert_false(changes_parse_disk(&good, 0, 5, &d));
    assert_true(d.used == 1 && d.told_ms == 0);
    assert_true(changes_parse_disk(&good, 1, 5, &d));
    assert_true(d.used == 256 && d.size == 512 && d.told_ms == 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_by_kind),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(more_than_there_may_be),
        cmocka_unit_test(disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
