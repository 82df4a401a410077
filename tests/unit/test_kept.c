/* test_kept.c - files are kept under the names of those whose they are, within bounds, and until they are too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <event2/event.h>

#include "gateway/caller.h"
#include "gateway/config.h"
#include "gateway/kept.h"
#include "tests/unit/scratch.h"

static char top[SCRATCH_PATH], dir[SCRATCH_PATH + 8];
static struct config config;
static struct event_base *base;
static struct kept *kept;
static const char zeros[2 << 20];
static const struct caller master, key = {.key = "0123456789ab"};

static void
reopen(void)
{
    struct err err = ERR_INIT;

    kept_free(kept);
    kept = kept_new(base, &config, dir, &err);
    assert_non_null(kept);
}

static int
set_up(void **state)
{
    (void)state;
    config = (struct config){.keep_days = 7, .keep_mb = 1, .keep_sessions = 2};
    if (scratch_make(top) < 0)
        return -1;
    snprintf(dir, sizeof(dir), "%s/kept", top);
    base = event_base_new();
    reopen();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    kept_free(kept);
    kept = NULL;
    event_base_free(base);
    return scratch_remove(top);
}

static int
keep(const struct caller *owner, const char *session, size_t bytes, struct err *err)
{
    char name[KEPT_NAME_SIZE];
    struct kept_file *f;

    kept_name(owner, session, name);
    f = kept_create(kept, name, err);
    if (f == NULL)
        return -1;
    if (kept_write(f, zeros, bytes, err) == 0)
        return kept_commit(f, err);
    kept_abort(f);
    return -1;
}

static void
assert_kept(const struct caller *owner, const char *session, off_t expected)
{
    char name[KEPT_NAME_SIZE];
    struct err err = ERR_INIT;
    off_t size = -1;
    int fd;

    kept_name(owner, session, name);
    assert_int_equal(kept_has(kept, name), expected >= 0);
    fd = kept_open(kept, name, &size, &err);
    assert_int_equal(fd >= 0, expected >= 0);
    assert_int_equal(size, expected);
    if (fd >= 0)
        close(fd);
}

static void
names(void **state)
{
    char a[KEPT_NAME_SIZE], b[KEPT_NAME_SIZE];

    (void)state;
    kept_name(&master, "a", a);
    kept_name(&key, "a", b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), KEPT_NAME_SIZE - 1);
    assert_memory_equal(b, "0123456789ab-", 13);
    kept_name(&master, "../b", b);
    assert_string_not_equal(a, b);
    assert_null(strchr(b, '/'));
}

static void
each_has_his_own(void **state)
{
    struct err err = ERR_INIT;
    char name[KEPT_NAME_SIZE];

    (void)state;
    assert_int_equal(keep(&master, "a", 100, &err), 0);
    assert_int_equal(keep(&key, "a", 200, &err), 0);
    assert_int_equal(keep(&master, "a", 50, &err), 0); /* in its place */
    assert_kept(&master, "a", 50);
    assert_kept(&key, "a", 200);
    assert_kept(&key, "b", -1);
    reopen();
    assert_kept(&master, "a", 50);
    kept_name(&master, "a", name);
    kept_remove(kept, name);
    kept_remove(kept, name);
    assert_kept(&master, "a", -1);
    reopen();
    assert_kept(&master, "a", -1);
    assert_kept(&key, "a", 200);
}

static void
bounds(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(keep(&master, "a", (1 << 20) + 1, &err), -1);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_int_equal(keep(&master, "a", 1 << 20, &err), 0);
    assert_int_equal(keep(&master, "b", 1, &err), -1);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_int_equal(keep(&master, "a", 1 << 20, &err), 0); /* in its place */
    assert_int_equal(keep(&master, "a", 10, &err), 0);
    assert_int_equal(keep(&master, "b", 10, &err), 0);
    assert_int_equal(keep(&master, "c", 10, &err), -1);
    assert_int_equal(err.code, ERR_QUOTA);
    assert_int_equal(keep(&key, "c", 10, &err), 0);
    assert_int_equal(keep(&master, "b", 20, &err), 0);
    config.keep_mb = 0;
    assert_int_equal(keep(&key, "c", 10, &err), -1);
    assert_int_equal(err.code, ERR_FORBIDDEN);
}

/* Those that are being written count, but for one that takes another's place. */
static void
bounds_at_the_same_time(void **state)
{
    static const char *const sessions[] = {"a", "b", "c"};
    struct kept_file *files[3];
    char name[KEPT_NAME_SIZE];
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(keep(&master, "a", 10, &err), 0);
    for (int i = 0; i < 3; i++) {
        kept_name(&master, sessions[i], name);
        files[i] = kept_create(kept, name, &err);
    }
    assert_non_null(files[0]);
    assert_non_null(files[1]);
    assert_null(files[2]);
    assert_int_equal(err.code, ERR_QUOTA);
    assert_int_equal(kept_write(files[0], name, 1, &err), 0);
    assert_int_equal(kept_commit(files[0], &err), 0);
    kept_abort(files[1]);
    assert_int_equal(keep(&key, "c", 10, &err), 0);
    assert_int_equal(keep(&master, "c", 10, &err), 0);
}

static unsigned
count_files(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);

    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

/* They go by a helper, but are not there any more at once; whoever reads one reads it to its end. */
static void
large_ones(void **state)
{
    const size_t large = 2 << 20;
    char name[KEPT_NAME_SIZE], byte = 'x';
    struct err err = ERR_INIT;
    off_t size;
    int fd;

    (void)state;
    config.keep_mb = 64;
    kept_name(&master, "a", name);
    for (int i = 0; i < 2; i++) { /* the second in the first one's place */
        struct kept_file *f = kept_create(kept, name, &err);

        for (int k = 0; k < 10; k++)
            assert_int_equal(kept_write(f, zeros, large, &err), 0);
        assert_int_equal(kept_commit(f, &err), 0);
        event_base_dispatch(base);
        assert_int_equal(count_files(), 1);
    }
    fd = kept_open(kept, name, &size, &err);
    kept_remove(kept, name);
    assert_kept(&master, "a", -1);
    assert_true(count_files() <= 1);
    event_base_dispatch(base);
    assert_int_equal(count_files(), 0);
    assert_int_equal(pread(fd, &byte, 1, size - 1), 1);
    assert_int_equal(byte, 0);
    close(fd);
}

static void
age(void **state)
{
    struct timespec old[2] = {{time(NULL) - 8 * 24 * 3600, 0}, {time(NULL) - 8 * 24 * 3600, 0}};
    char name[KEPT_NAME_SIZE], path[200];
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(keep(&master, "a", 10, &err), 0);
    assert_int_equal(keep(&master, "b", 10, &err), 0);
    kept_name(&master, "a", name);
    snprintf(path, sizeof(path), "%s/%s.tar", dir, name);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    reopen();
    assert_kept(&master, "a", -1);
    assert_kept(&master, "b", 10);
    assert_int_equal(access(path, F_OK), -1);
}

static void
what_is_half_written(void **state)
{
    char name[KEPT_NAME_SIZE], path[200];
    struct err err = ERR_INIT;
    struct kept_file *f;

    (void)state;
    kept_name(&master, "a", name);
    f = kept_create(kept, name, &err);
    assert_int_equal(kept_write(f, "x", 1, &err), 0);
    assert_kept(&master, "a", -1);
    kept_abort(f);
    snprintf(path, sizeof(path), "%s/1.new", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    reopen();
    assert_int_equal(access(path, F_OK), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_has_his_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_at_the_same_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_half_written, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
