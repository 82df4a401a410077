/* test_worker_skel.c - the copy of the skeleton into the home, in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "worker/skel.h"

/* Tests run in a directory that has the empty directories `from` and `to`. */
static int
set_up(void **state)
{
    static char dir[SCRATCH_PATH];

    *state = dir;
    if (scratch_make(dir) < 0 || chdir(dir) < 0)
        return -1;
    return mkdir("from", 0755) | mkdir("to", 0755);
}

static int
tear_down(void **state)
{
    return chdir("/") | scratch_remove(*state);
}

static void
put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void
expect(const char *path, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    assert_int_equal(fread(got, 1, sizeof(got) - 1, f), strlen(text));
    assert_string_equal(got, text);
    fclose(f);
}

static void
copies_a_tree(void **state)
{
    const struct timespec times[2] = {{1, 0}, {1234567890, 5}};
    struct stat st;

    (void)state;
    put("from/.a", "A");
    assert_int_equal(chmod("from/.a", 0640), 0);
    assert_int_equal(utimensat(AT_FDCWD, "from/.a", times, 0), 0);
    assert_int_equal(mkdir("from/d", 0700) | mkdir("from/d/e", 0755), 0);
    put("from/d/e/f", "F");
    put("from/d/empty", "");
    assert_int_equal(symlink("../outside", "from/link"), 0);
    assert_int_equal(mkfifo("from/fifo", 0600), 0);

    assert_int_equal(skel_copy("from", "to"), 0);
    expect("to/.a", "A");
    expect("to/d/e/f", "F");
    expect("to/d/empty", "");
    assert_int_equal(stat("to/.a", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(lstat("to/link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat("to/fifo", &st), -1);
}

static void
leaves_alone_what_is_there(void **state)
{
    (void)state;
    put("from/a", "new");
    put("outside", "outside");
    put("to/a", "old");
    put("from/b", "new");
    assert_int_equal(symlink("../outside", "to/b"), 0);
    assert_int_equal(skel_copy("from", "to"), 0);
    expect("to/a", "old");
    expect("outside", "outside");
}

static void
does_not_follow_a_directory_that_is_a_link(void **state)
{
    (void)state;
    assert_int_equal(mkdir("from/d", 0755) | mkdir("elsewhere", 0755), 0);
    put("from/d/a", "A");
    assert_int_equal(symlink("../elsewhere", "to/d"), 0);
    assert_int_equal(skel_copy("from", "to"), -1);
    assert_int_equal(access("elsewhere/a", F_OK), -1);
}

static void
needs_no_skeleton(void **state)
{
    (void)state;
    assert_int_equal(skel_copy("nowhere", "to"), 0);
    assert_int_equal(skel_copy("from", "nowhere"), -1);
    assert_int_equal(errno, ENOENT);
}

static void
has_limits(void **state)
{
    char path[32];

    (void)state;
    for (int i = 0; i <= SKEL_MAX_ENTRIES; i++) {
        snprintf(path, sizeof(path), "from/%d", i);
        put(path, "");
    }
    assert_int_equal(skel_copy("from", "to"), -1);
    assert_int_equal(errno, EFBIG);
}

static void
has_a_depth(void **state)
{
    char path[128] = "from";

    (void)state;
    for (int i = 0; i < SKEL_MAX_DEPTH + 1; i++) {
        const size_t len = strlen(path);

        snprintf(path + len, sizeof(path) - len, "/d");
        assert_int_equal(mkdir(path, 0755), 0);
    }
    assert_int_equal(skel_copy("from", "to"), -1);
    assert_int_equal(errno, EFBIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_a_tree),
        TEST(leaves_alone_what_is_there),
        TEST(does_not_follow_a_directory_that_is_a_link),
        TEST(needs_no_skeleton),
        TEST(has_limits),
        TEST(has_a_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
