/* test_child.c - helper programs: their end, their last words, their time limit, and strays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <event2/event.h>

#include "child.h"
#include "clock.h"

struct result {
    int n;
    bool ok;
    char why[512];
};

static void
on_done(void *owner, bool ok, const char *why)
{
    struct result *r = owner;

    r->n++;
    r->ok = ok;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

static int
set_up(void **state)
{
    *state = event_base_new();
    return *state == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
    event_base_free(*state);
    return 0;
}

static struct child *
start(struct event_base *base, const char *script, int in, int out, unsigned timeout_ms,
      struct result *r)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct child_spec spec = {
        .argv = argv, .stdin_fd = in, .output_fd = out, .timeout_ms = timeout_ms};
    struct err err = ERR_INIT;
    struct child *c = child_spawn(base, &spec, on_done, r, &err);

    assert_non_null(c);
    assert_int_equal(r->n, 0);
    return c;
}

/* Runs a script to its end. */
static struct result
run(struct event_base *base, const char *script, unsigned timeout_ms)
{
    struct result r = {0};

    start(base, script, -1, -1, timeout_ms, &r);
    event_base_dispatch(base);
    assert_int_equal(r.n, 1);
    return r;
}

static int
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void
test_success(void **state)
{
    struct result r = run(*state, "echo noise >&2; exit 0", 5000);

    assert_true(r.ok);
    assert_string_equal(r.why, "");
}

static void
test_failure_says_why(void **state)
{
    struct result r = run(*state, "echo first >&2; echo 'no such thing  ' >&2; exit 3", 5000);

    assert_false(r.ok);
    assert_string_equal(r.why, "sh exited with status 3: no such thing");
    r = run(*state, "exit 4", 5000);
    assert_string_equal(r.why, "sh exited with status 4");
    r = run(*state, "kill -SEGV $$", 5000);
    assert_non_null(strstr(r.why, "sh was killed by signal 11"));
}

static void
test_flood_of_stderr(void **state)
{
    struct result r =
        run(*state, "yes | head -c 3000000 >&2; echo >&2; echo last >&2; exit 1", 20000);

    assert_string_equal(r.why, "sh exited with status 1: last");
    r = run(*state, "head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1", 5000);
    assert_true(strlen(r.why) < 400);
}

static void
test_time_limit_kills_the_group(void **state)
{
    double begin = clock_now();
    struct result r = run(*state, "trap '' TERM; sleep 60 & sleep 60", 200);

    assert_false(r.ok);
    assert_string_equal(r.why, "sh took longer than 200 ms and was killed");
    assert_true(clock_now() - begin < 5);
}

static void
test_grandchild_with_stderr_does_not_delay(void **state)
{
    double begin = clock_now();
    struct result r = run(*state, "(sleep 3) & exit 0", 10000);

    assert_true(r.ok);
    assert_true(clock_now() - begin < 2);
}

static void
test_files(void **state)
{
    struct result r = {0};
    char text[64] = "";
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "question", 8), 8);
    close(in[1]);
    start(*state, "cat; echo ' answer' >&2; ls /proc/self/fd | wc -l >&2", in[0], out[1], 5000, &r);
    close(in[0]);
    close(out[1]);
    event_base_dispatch(*state);
    assert_true(r.ok);
    assert_true(read(out[0], text, sizeof(text) - 1) > 0);
    close(out[0]);
    assert_string_equal(text, "question answer\n4\n"); /* 0, 1, 2 and the directory itself */
}

static void
test_own_session_and_no_ignored_signals(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    struct result r = run(*state, "kill -PIPE $$; exit 0", 5000);
    signal(SIGPIPE, SIG_DFL);
    assert_non_null(strstr(r.why, "signal 13"));
    r = run(*state, "set -- $(cut -d' ' -f5,6 /proc/self/stat); [ $1 = $$ ] && [ $2 = $$ ]", 5000);
    assert_string_equal(r.why, "");
}

static void
test_environment(void **state)
{
    static const char *const argv[] = {"sh", "-c", "[ \"$A\" = b ] && [ -z \"$HOME\" ]", NULL};
    static const char *const env[] = {"A=b", "PATH=/usr/bin:/bin", NULL};
    const struct child_spec spec = {
        .argv = argv, .env = env, .stdin_fd = -1, .output_fd = -1, .timeout_ms = 5000};
    struct result r = {0};

    assert_non_null(child_spawn(*state, &spec, on_done, &r, NULL));
    event_base_dispatch(*state);
    assert_true(r.ok);
}

static void
test_no_such_program(void **state)
{
    static const char *const argv[] = {"no-such-program-anywhere", NULL};
    const struct child_spec spec = {
        .argv = argv, .stdin_fd = -1, .output_fd = -1, .timeout_ms = 5000};
    struct result r = {0};
    struct err err = ERR_INIT;

    assert_null(child_spawn(*state, &spec, on_done, &r, &err));
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(r.n, 0);
}

static void
test_program_in_place_of_name(void **state)
{
    static const char *const argv[] = {"some-name", "-c", "[ \"$0\" = some-name ]", NULL};
    const struct child_spec spec = {
        .argv = argv, .stdin_fd = -1, .output_fd = -1, .program = "/bin/sh", .timeout_ms = 5000};
    struct result r = {0};

    assert_non_null(child_spawn(*state, &spec, on_done, &r, NULL));
    event_base_dispatch(*state);
    assert_true(r.ok);
}

static void
test_cancel(void **state)
{
    struct result r = {0};

    child_cancel(start(*state, "sleep 0.1; exit 1", -1, -1, 5000, &r));
    event_base_dispatch(*state); /* ends: the child is reaped all the same */
    assert_int_equal(r.n, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
test_many_leak_no_descriptor(void **state)
{
    struct result r[40] = {{0}};
    int before = count_fds();

    for (int i = 0; i < 40; i++)
        start(*state, "exit 1", -1, -1, 5000, &r[i]);
    event_base_dispatch(*state);
    for (int i = 0; i < 40; i++)
        assert_int_equal(r[i].n, 1);
    assert_int_equal(count_fds(), before);
}

/* --- strays --------------------------------------------------------------------------------- */

static bool
keep_one(void *arg, pid_t pid)
{
    return pid == *(pid_t *)arg;
}

static pid_t
fork_and_exit(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(5);
    siginfo_t info;
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    return pid;
}

static void
test_strays(void **state)
{
    struct result r = {0};
    int status;

    pid_t stray = fork_and_exit();
    pid_t none = 0;
    child_reap_strays(keep_one, &none);
    assert_int_equal(waitpid(stray, &status, WNOHANG), -1);
    pid_t kept = fork_and_exit();
    child_reap_strays(keep_one, &kept);
    assert_int_equal(waitpid(kept, &status, WNOHANG), kept);
    assert_int_equal(WEXITSTATUS(status), 5);
    /* What child_spawn started is reaped by its own event, and its status is not lost. */
    start(*state, "exit 6", -1, -1, 5000, &r);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    child_reap_strays(keep_one, &none);
    event_base_dispatch(*state);
    assert_string_equal(r.why, "sh exited with status 6");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_success),
        TEST(test_failure_says_why),
        TEST(test_flood_of_stderr),
        TEST(test_time_limit_kills_the_group),
        TEST(test_grandchild_with_stderr_does_not_delay),
        TEST(test_files),
        TEST(test_own_session_and_no_ignored_signals),
        TEST(test_environment),
        TEST(test_no_such_program),
        TEST(test_program_in_place_of_name),
        TEST(test_cancel),
        TEST(test_many_leak_no_descriptor),
        TEST(test_strays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
