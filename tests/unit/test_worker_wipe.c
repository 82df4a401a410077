/* test_worker_wipe.c - an emptied directory is empty, whatever was in it, and nothing else is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "worker/wipe.h"

static char top[SCRATCH_PATH], inside[SCRATCH_PATH + 16], outside[SCRATCH_PATH + 16];

static int
set_up(void **state)
{
    int fd;

    (void)state;
    if (scratch_make(top) < 0)
        return -1;
    snprintf(inside, sizeof(inside), "%s/inside", top);
    snprintf(outside, sizeof(outside), "%s/outside", top);
    if (mkdir(inside, 0755) < 0 || mkdir(outside, 0755) < 0 || chdir(outside) < 0)
        return -1;
    fd = open("kept", O_CREAT | O_WRONLY, 0644);
    close(fd);
    return chdir(inside);
}

static int
tear_down(void **state)
{
    (void)state;
    return chdir("/") < 0 || scratch_remove(top) < 0 ? -1 : 0;
}

static void
touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0000);

    assert_true(fd >= 0);
    close(fd);
}

static unsigned
count(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void
check_empty(void)
{
    assert_int_equal(chdir(inside), 0);
    assert_int_equal(wipe_dir(inside), 0);
    assert_int_equal(count(inside), 0);
    assert_int_equal(count(outside), 1);
}

static void
empties(void **state)
{
    (void)state;
    touch("file");
    touch(".hidden");
    touch(".wipe-0");
    mkdir(".wipe-1", 0000);
    mkfifo("fifo", 0600);
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    touch("a/b/c");
    mkdir("a/d", 0000);
    chmod("a/b", 0000);
    chmod("a", 0000);
    check_empty();
    check_empty();
}

static void
follows_no_link(void **state)
{
    (void)state;
    mkdir("a", 0755);
    assert_int_equal(symlink(outside, "link"), 0);
    assert_int_equal(symlink(outside, "a/link"), 0);
    assert_int_equal(symlink("nowhere", "a/dangling"), 0);
    check_empty();
    assert_int_equal(symlink(outside, "again"), 0);
    assert_int_equal(wipe_dir("again"), -1); /* nor as the directory itself */
    check_empty();
}

static void
bears_any_depth(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdir("a-name-that-is-not-short", 0755), 0);
        assert_int_equal(chdir("a-name-that-is-not-short"), 0);
        touch("file");
    }
    check_empty();
}

static void
bears_many(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        if (i % 3 == 0)
            mkdir(name, 0700);
        else
            touch(name);
    }
    check_empty();
}

static void
says_what_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(wipe_dir("nowhere"), -1);
    touch("file");
    assert_int_equal(wipe_dir("file"), -1);
    check_empty();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empties),
        cmocka_unit_test(follows_no_link),
        cmocka_unit_test(bears_any_depth),
        cmocka_unit_test(bears_many),
        cmocka_unit_test(says_what_is_not_there),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
