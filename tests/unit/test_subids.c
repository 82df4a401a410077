/* test_subids.c - whose the ranges of /etc/subuid are, and lines that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "subids.h"

static char path[] = "/tmp/test_subids.XXXXXX";

static struct subids
read_from(const char *text)
{
    struct subids ids;
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    subids_read(&ids, path, "ann", 1001);
    return ids;
}

static void
test_by_name_and_by_number(void **state)
{
    struct subids ids = read_from("bob:100000:65536\nann:165536:65536\n1001:400000:10\n");

    (void)state;
    assert_int_equal(ids.n, 2);
    assert_int_equal(ids.ranges[0].first, 165536);
    assert_int_equal(ids.ranges[1].count, 10);
    assert_int_equal(ids.total, 65546);
}

static void
test_lines_that_are_none(void **state)
{
    struct subids ids =
        read_from("ann\nann:\nann:1\nann:x:1\nann:-5:1\nann:5:1x\nann:5:0\nann:0:9\n"
                  "ann:4294967295:1\nann:4294967290:10\nann:99999999999:1\n"
                  "anna:5:1\n:5:1\n\nann:7:2\n");

    (void)state;
    assert_int_equal(ids.n, 1);
    assert_int_equal(ids.ranges[0].first, 7);
    assert_int_equal(ids.total, 2);
}

static void
test_many_ranges(void **state)
{
    char text[40 * 16];
    size_t n = 0;

    (void)state;
    for (int i = 1; i <= 40; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "ann:%d:1\n", 1000 * i);
    assert_int_equal(read_from(text).n, SUBIDS_MAX_RANGES);
}

static void
test_no_file(void **state)
{
    struct subids ids;

    (void)state;
    subids_read(&ids, "/nonexistent", "ann", 1001);
    assert_int_equal(ids.n, 0);
    assert_int_equal(ids.total, 0);
}

static int
make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name_and_by_number),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_many_ranges),
        cmocka_unit_test(test_no_file),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
