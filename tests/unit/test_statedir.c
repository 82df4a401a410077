/* test_statedir.c - the state directory: one gateway at a time, a token that stays, what scripts read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sodium.h>

#include "gateway/smallfile.h"
#include "gateway/statedir.h"
#include "tests/unit/scratch.h"

static char top[SCRATCH_PATH];

static int
set_up(void **state)
{
    (void)state;
    return scratch_make(top);
}

static int
tear_down(void **state)
{
    (void)state;
    return scratch_remove(top);
}

static unsigned
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void
one_gateway_has_it(void **state)
{
    cleanup_free char *dir = statedir_path(top, "some/where");
    struct err err = ERR_INIT;
    int fd = statedir_open(dir, &err);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(mode_of(dir), 0711);
    assert_int_equal(statedir_open(dir, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.msg, dir));
    close(fd);
    fd = statedir_open(dir, &err);
    assert_true(fd >= 0);
    close(fd);
}

static void
the_token_is_made_once(void **state)
{
    cleanup_free char *path = statedir_path(top, "auth_token");
    struct err err = ERR_INIT;
    cleanup_free char *made = statedir_token(top, &err);
    cleanup_free char *kept = statedir_token(top, &err);
    cleanup_free char *other = NULL;

    (void)state;
    assert_non_null(made);
    assert_int_equal(strlen(made), 48);
    assert_string_equal(made, kept);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(unlink(path), 0);
    other = statedir_token(top, &err);
    assert_string_not_equal(made, other);
}

static void
a_short_token_is_refused(void **state)
{
    cleanup_free char *path = statedir_path(top, "auth_token");
    struct err err = ERR_INIT;
    FILE *file = fopen(path, "we");

    (void)state;
    assert_non_null(file);
    fputs("fifteen-letters\nand a second line\n", file);
    fclose(file);
    assert_null(statedir_token(top, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.msg, path));
    assert_null(strstr(err.msg, "fifteen"));
}

static void
an_address_is_published_and_taken_back(void **state)
{
    cleanup_free char *address = statedir_path(top, "address");
    cleanup_free char *pid = statedir_path(top, "gateway.pid");
    struct err err = ERR_INIT;
    char text[64];

    (void)state;
    assert_int_equal(statedir_publish(top, "http://127.0.0.1:1", &err), 0);
    smallfile_read(address, text, sizeof(text));
    assert_string_equal(text, "http://127.0.0.1:1\n");
    smallfile_read(pid, text, sizeof(text));
    assert_int_equal(smallfile_pid(text), getpid());
    statedir_unpublish(top);
    assert_int_equal(access(address, F_OK), -1);
    assert_int_equal(access(pid, F_OK), -1);
}

/* What drivers ask of /proc, too. */
static void
a_process_has_a_status(void **state)
{
    char value[64], expected[64];

    (void)state;
    smallfile_status(getpid(), "Pid", value, sizeof(value));
    snprintf(expected, sizeof(expected), "%d", (int)getpid());
    assert_string_equal(value, expected);
    smallfile_status(getpid(), "Pi", value, sizeof(value));
    assert_string_equal(value, "");
    smallfile_status(0, "Pid", value, sizeof(value));
    assert_string_equal(value, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_gateway_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_token_is_made_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_token_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_is_published_and_taken_back, set_up, tear_down),
        cmocka_unit_test(a_process_has_a_status),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
