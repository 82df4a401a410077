/* test_log.c - what lines look like, that none can be forged, and that writing never waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <regex.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/clock.h"
#include "gateway/log.h"

static int real_stderr;

/* Puts fd, which it takes, in the place of stderr. */
static void
redirect(int fd)
{
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static void
restore(void)
{
    dup2(real_stderr, STDERR_FILENO);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

static int
redirect_to_pipe(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    redirect(ends[1]);
    return ends[0];
}

/* What is in the pipe now, as a string. */
static size_t
drain(int fd, char *buf, size_t size)
{
    size_t len = 0;
    ssize_t n;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
        len += (size_t)n;
    buf[len] = '\0';
    return len;
}

/* The line that one message becomes. */
static void
line_of(enum log_format format, const char *msg, char *buf, size_t size)
{
    int fd = redirect_to_pipe();

    log_setup(LOG_LEVEL_DEBUG, format);
    log_info("%s", msg);
    drain(fd, buf, size);
    close(fd);
    restore();
}

static void
assert_matches(const char *line, const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, line, 0, NULL, 0) != 0)
        fail_msg("%s does not match %s", line, pattern);
    regfree(&re);
}

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static void
test_text(void **state)
{
    char line[4096];

    (void)state;
    line_of(LOG_FORMAT_TEXT, "worker 3f2a: warm \"x\"", line, sizeof(line));
    assert_matches(line, "^" STAMP " info  worker 3f2a: warm \"x\"\n$");
}

static void
test_json(void **state)
{
    char line[4096];
    json_error_t error;
    json_t *o;

    (void)state;
    line_of(LOG_FORMAT_JSON, "a \"b\" \\ \n\t\x01\x7f \xff\xfe \xe4\xb8\xad", line, sizeof(line));
    o = json_loads(line, 0, &error);
    assert_non_null(o);
    assert_int_equal(json_object_size(o), 3);
    assert_matches(json_string_value(json_object_get(o, "time")), "^" STAMP "$");
    assert_string_equal(json_string_value(json_object_get(o, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(o, "msg")),
                        "a \"b\" \\ \n\t\x01\x7f \xef\xbf\xbd\xef\xbf\xbd \xe4\xb8\xad");
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    json_decref(o);
}

static void
test_lines_about_a_request(void **state)
{
    char line[4096];
    json_t *o;

    (void)state;
    log_request("r-1");
    line_of(LOG_FORMAT_TEXT, "said", line, sizeof(line));
    assert_matches(line, "^" STAMP " info  said request=r-1\n$");
    line_of(LOG_FORMAT_JSON, "said", line, sizeof(line));
    o = json_loads(line, 0, NULL);
    assert_int_equal(json_object_size(o), 4);
    assert_string_equal(json_string_value(json_object_get(o, "request_id")), "r-1");
    json_decref(o);
    log_request(NULL);
    line_of(LOG_FORMAT_TEXT, "said", line, sizeof(line));
    assert_matches(line, "^" STAMP " info  said\n$");
}

static void
test_nothing_is_forged(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\nb\r\tc", "a\\nb\\r\\tc"},
        {"\x1b[2J\x7f\a", "\\u001b[2J\\u007f\\u0007"},
        {"back\\slash", "back\\\\slash"},
        {"\xc2\x9b"
         "31m",
         "\\u009b31m"}, /* CSI as one C1 character */
        /* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what it is about */
        {"\xe2\x80\xa8 \xe2\x80\xae",
         "\\u2028 \\u202e"}, /* line separator, right-to-left override */
        {"\xff\xc0\xaf\xed\xa0\x80",
         "\\xff\\xc0\\xaf\\xed\\xa0\\x80"}, /* never in UTF-8, overlong, surrogate */
        {"\xf4\x90\x80\x80\xe4\xb8",
         "\\xf4\\x90\\x80\\x80\\xe4\\xb8"}, /* beyond Unicode; cut short */
        {"\xe4\xb8\xad \xf0\x9f\x98\x80", "\xe4\xb8\xad \xf0\x9f\x98\x80"},
        {"", ""},
    };
    char line[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        line_of(LOG_FORMAT_TEXT, cases[i].in, line, sizeof(line));
        line[strlen(line) - 1] = '\0';
        assert_string_equal(line + strlen("2026-11-21T07:25:00.123Z info  "), cases[i].out);
    }
}

static void
test_long_messages_are_cut(void **state)
{
    static const char *const units[] = {"x", "\x01", "\xe4\xb8\xad", "\xff"};
    static const enum log_format formats[] = {LOG_FORMAT_TEXT, LOG_FORMAT_JSON};
    char msg[9000], line[9000];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        const char *unit = units[i / 2];

        msg[0] = '\0';
        for (size_t n = 0; n + strlen(unit) < 6000; n += strlen(unit))
            memcpy(msg + n, unit, strlen(unit) + 1);
        line_of(formats[i % 2], msg, line, sizeof(line));
        assert_in_range(strlen(line), 2000, 2048 + 128);
        assert_non_null(strstr(line, "..."));
        if (formats[i % 2] == LOG_FORMAT_JSON) {
            json_t *o =
                json_loads(line, 0, NULL); /* jansson insists on UTF-8: no character was split */

            assert_non_null(o);
            json_decref(o);
        }
    }
}

static void
test_levels(void **state)
{
    char buf[4096];
    int fd = redirect_to_pipe(), evaluated = 0;

    (void)state;
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_info("%d", ++evaluated);
    log_write(LOG_LEVEL_DEBUG, "not this");
    log_warn("this");
    log_error("and this");
    drain(fd, buf, sizeof(buf));
    close(fd);
    restore();
    assert_int_equal(evaluated, 0);
    assert_null(strstr(buf, "not this"));
    assert_matches(buf, "^" STAMP " warn  this\n" STAMP " error and this\n$");
}

/* Fills stderr, whatever it is now, with more than it takes; reads it empty; writes again. */
static void
check_blocked(int reader)
{
    static char buf[1 << 20];
    double start = clock_now();

    alarm(20); /* if it does wait, the test ends */
    for (int i = 0; i < 20000; i++)
        log_info("filling line %d with enough text to get there in time", i);
    alarm(0);
    assert_true(clock_now() - start < 15);
    while (drain(reader, buf, sizeof(buf)) == sizeof(buf) - 1)
        continue;
    log_info("free again");
    drain(reader, buf, sizeof(buf));
    assert_matches(buf, "warn  log: [0-9]+ lines were lost, stderr did not take them\r?\n");
    assert_matches(buf, "info  free again\r?\n$");
}

static void
test_full_pipe(void **state)
{
    int fd = redirect_to_pipe();

    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    check_blocked(fd);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK); /* the others' pipe is as it was */
    close(fd);
    restore();
}

static void
test_full_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    redirect(ends[1]);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    check_blocked(ends[0]);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    close(ends[0]);
    restore();
}

static void
test_stopped_terminal(void **state)
{
    int master, slave;

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        return; /* no terminals here */
    redirect(slave);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    check_blocked(master);
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    close(master);
    restore();
}

static void
test_reader_gone(void **state)
{
    sigset_t pending;
    int fd = redirect_to_pipe();

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    close(fd);
    errno = EDOM;
    log_info("nobody reads this");
    assert_int_equal(errno, EDOM);
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    close(STDERR_FILENO); /* not even open */
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("nor this");
    restore();
    redirect(open("/dev/null", O_WRONLY | O_CLOEXEC));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("takes the report of the lost lines with it");
    restore();
}

/* A file that others append to as well is not overwritten. */
static void
test_shared_file(void **state)
{
    char path[] = "/tmp/test_log.XXXXXX", buf[512];
    int fd = mkstemp(path);
    ssize_t n;

    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    redirect(dup(fd));
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("one");
    dprintf(STDERR_FILENO, "other\n");
    log_info("two");
    n = pread(fd, buf, sizeof(buf) - 1, 0);
    close(fd);
    restore();
    assert_true(n > 0);
    buf[n] = '\0';
    assert_matches(buf, "^" STAMP " info  one\nother\n" STAMP " info  two\n$");
}

static void
test_setup_leaks_no_descriptor(void **state)
{
    int before = dup(0), after, fd;

    (void)state;
    close(before);
    fd = redirect_to_pipe();
    for (int i = 0; i < 50; i++)
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    close(fd);
    restore();
    redirect(open("/dev/null", O_WRONLY | O_CLOEXEC));
    restore();
    after = dup(0);
    close(after);
    assert_in_range(after, 0, before + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_lines_about_a_request),
        cmocka_unit_test(test_nothing_is_forged),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_stopped_terminal),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_shared_file),
        cmocka_unit_test(test_setup_leaks_no_descriptor),
    };

    real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
