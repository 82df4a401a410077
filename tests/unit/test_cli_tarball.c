/* test_cli_tarball.c - a directory on its way into an archive, whose files are not what they were a moment ago. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/tarball.h"
#include "scratch.h"

enum { MUCH = 8 << 20 /* bytes: more than a pipe and the buffers before it hold */ };

struct made {
    char dir[SCRATCH_PATH];
    char file[SCRATCH_PATH + 8];
};

static int
set_up(void **state)
{
    static struct made made;

    *state = &made;
    if (scratch_make(made.dir) < 0)
        return -1;
    snprintf(made.file, sizeof(made.file), "%s/file", made.dir);
    return 0;
}

static int
tear_down(void **state)
{
    const struct made *made = *state;

    return scratch_remove(made->dir);
}

static void
fill(const char *path, size_t len)
{
    char *bytes = malloc(len + 1);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    memset(bytes, 'x', len);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

/* To the end; how much it is. */
static int64_t
drain(int fd)
{
    static char bytes[64 << 10];
    int64_t sum = 0;
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        sum += n;
    assert_int_equal(n, 0);
    return sum;
}

static void
a_file_that_becomes_shorter(void **state)
{
    const struct made *made = *state;
    struct tarball_job job;
    struct err err = ERR_INIT;

    fill(made->file, MUCH);
    assert_int_equal(tarball_pack(made->dir, &job, &err), 0);
    struct pollfd fd = {.fd = job.pipe, .events = POLLIN};

    assert_int_equal(poll(&fd, 1, 60000), 1); /* it has begun, and cannot be far */
    assert_int_equal(truncate(made->file, 0), 0);
    assert_true(drain(job.pipe) > MUCH);
    assert_int_equal(tarball_finish(&job, &err), -1);
    assert_string_equal(err.msg, "file: has become shorter");
}

static void
a_file_with_holes(void **state)
{
    const struct made *made = *state;
    struct tarball_job job;
    struct err err = ERR_INIT;

    for (size_t content = 0; content <= 4096; content += 4096) {
        fill(made->file, content);
        assert_int_equal(truncate(made->file, MUCH), 0);
        assert_int_equal(tarball_pack(made->dir, &job, &err), 0);
        assert_true(drain(job.pipe) > MUCH);
        assert_int_equal(tarball_finish(&job, &err), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_that_becomes_shorter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_with_holes, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
