/* test_worker_changes.c - what is made, changed and deleted is told, whatever was made of the directory, and in bounded time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "worker/changes.h"
#include "worker/listing.h"
#include "worker/protocol.h"

static char top[SCRATCH_PATH], outside[SCRATCH_PATH];
static struct changes *changes;
static char told[3 * TCI_CHANGES_MAX]; /* as "c path m path " */
static char flag;                      /* '?' where it cannot be told */

static int
set_up(void **state)
{
    (void)state;
    if (scratch_make(top) < 0 || scratch_make(outside) < 0 || chdir(top) < 0)
        return -1;
    changes = changes_new(top);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    changes_free(changes);
    return chdir("/") < 0 || scratch_remove(top) < 0 || scratch_remove(outside) < 0 ? -1 : 0;
}

static void
put(const char *path, const char *text)
{
    const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
put_many(const char *prefix, unsigned n)
{
    char path[300];

    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s%03u", prefix, i);
        put(path, "");
    }
}

static void
end(void)
{
    struct frame frames[2];
    const char *p;
    bool any;

    told[0] = '\0';
    any = changes_end(changes, frames);
    assert_int_equal(frames[0].len, 1);
    assert_true(frames[1].len <= TCI_CHANGES_MAX);
    flag = *(const char *)frames[0].data;
    p = frames[1].data;
    for (char *out = told; p < (const char *)frames[1].data + frames[1].len; p += strlen(p) + 1)
        out += sprintf(out, "%c %s ", p[0], p + 1);
    assert_int_equal(any, flag != '.' || told[0] != '\0');
}

#define EXPECT(_flag, _text)                                                                       \
    do {                                                                                           \
        end();                                                                                     \
        assert_int_equal(flag, _flag);                                                             \
        assert_string_equal(told, _text);                                                          \
    } while (0)

static void
nothing_is_nothing(void **state)
{
    (void)state;
    changes_begin(changes);
    EXPECT('.', "");
    put("a", "1");
    changes_begin(changes);
    EXPECT('.', "");
}

/* Once nothing has changed for a while, less is looked at. */
static void
a_directory_that_has_long_been_empty(void **state)
{
    struct stat st;

    (void)state;
    do {
        changes_begin(changes);
        EXPECT('.', "");
        assert_int_equal(stat(top, &st), 0);
    } while (time(NULL) <= st.st_ctim.tv_sec + 1);
    for (int i = 0; i < 3; i++) { /* of which the first has not been known to be so for long */
        changes_begin(changes);
        EXPECT('.', "");
    }
    changes_begin(changes);
    put("a", "1");
    EXPECT('.', "c a ");
    changes_begin(changes);
    EXPECT('.', "");
    changes_begin(changes);
    unlink("a");
    EXPECT('.', "d a ");
    changes_begin(changes);
    put("a", "1");
    EXPECT('.', "c a ");
}

static void
files_of_each_kind(void **state)
{
    (void)state;
    mkdir("d", 0755);
    put("changed", "1");
    put("deleted", "1");
    put("d/moved", "1");
    put("same", "1");
    changes_begin(changes);
    put("changed", "22");
    unlink("deleted");
    rename("d/moved", "d/to");
    mkdir("e", 0755);
    put("e/new", "");
    assert_int_equal(symlink("/etc", "link"), 0);
    EXPECT('.', "m changed d d/moved c d/to d deleted c e/new c link ");
    EXPECT('.', "m changed d d/moved c d/to d deleted c e/new c link ");
}

/* Same size, same inode, and as soon as ever. */
static void
a_change_right_after_another(void **state)
{
    char text[20];

    (void)state;
    put("a", "0000");
    for (unsigned i = 1; i < 200; i++) {
        snprintf(text, sizeof(text), "%04u", i);
        changes_begin(changes);
        put("a", text);
        EXPECT('.', "m a ");
    }
}

static void
a_file_in_the_place_of_a_directory(void **state)
{
    (void)state;
    mkdir("a", 0755);
    put("a/x", "");
    put("b", "");
    changes_begin(changes);
    unlink("a/x");
    rmdir("a");
    unlink("b");
    put("a", "");
    mkdir("b", 0755);
    put("b/x", "");
    EXPECT('.', "c a d a/x d b c b/x ");
}

static void
neighbours_of_many(void **state)
{
    (void)state;
    put_many("f", 100); /* so few that the time it takes to look at them is not asked */
    changes_begin(changes);
    put("f050", "x");
    put("f0505", "");
    unlink("f023");
    put("g", "");
    EXPECT('.', "d f023 m f050 c f0505 c g ");
}

static void
links_are_not_followed(void **state)
{
    char path[SCRATCH_PATH + 8];

    (void)state;
    assert_int_equal(symlink(outside, "link"), 0);
    assert_int_equal(symlink(".", "loop"), 0);
    changes_begin(changes);
    snprintf(path, sizeof(path), "%s/x", outside);
    put(path, "");
    EXPECT('.', "");
}

static void
names_are_any_bytes(void **state)
{
    char name[256], expected[300];

    (void)state;
    memset(name, '\xff', 255);
    name[255] = '\0';
    changes_begin(changes);
    put(name, "");
    put("a\nb", "");
    snprintf(expected, sizeof(expected), "c a\nb c %s ", name);
    EXPECT('.', expected);
}

static void
more_than_can_be_looked_at(void **state)
{
    (void)state;
    put_many("f", 100);
    changes_begin(changes);
    put_many("g", LISTING_MAX);
    end();
    assert_int_equal(flag, '+');
    assert_null(strstr(told, "d "));
    changes_begin(changes);
    EXPECT('?', "");
}

static void
more_than_is_told(void **state)
{
    unsigned n = 0;

    (void)state;
    changes_begin(changes);
    put_many("f", TCI_CHANGES_MAX_PATHS + 10);
    end();
    assert_int_equal(flag, '+');
    for (const char *p = told; (p = strstr(p, "c f")); p++)
        n++;
    assert_in_range(n, 1, TCI_CHANGES_MAX_PATHS);
}

/* Paths of 250 characters: their bytes are too many before their number is. */
static void
paths_that_are_long(void **state)
{
    char prefix[251];

    (void)state;
    memset(prefix, 'x', 250);
    prefix[250] = '\0';
    changes_begin(changes);
    put_many(prefix, 400);
    end();
    assert_int_equal(flag, '+');
    assert_int_equal(told[0], 'c');
}

static void
deeper_than_is_looked(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LISTING_DEPTH + 10; i++) {
        assert_int_equal(mkdir("d", 0755), 0);
        assert_int_equal(chdir("d"), 0);
    }
    changes_begin(changes);
    EXPECT('?', "");
}

static void
a_directory_that_is_none(void **state)
{
    struct changes *none = changes_new("/nowhere/at/all");
    struct frame frames[2];

    (void)state;
    changes_begin(none);
    assert_true(changes_end(none, frames));
    assert_int_equal(*(const char *)frames[0].data, '?');
    changes_free(none);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_has_long_been_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_each_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_right_after_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_in_the_place_of_a_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(neighbours_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_any_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_can_be_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_than_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_that_are_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deeper_than_is_looked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_none, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
