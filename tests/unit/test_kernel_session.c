/*
 * test_kernel_session.c - an interpreter that lives on from cell to cell, a shell here: the lines that it says how a cell went
 * with, its end, interrupts, input.  In the client's place is this file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/program.h"
#include "kernel/scratch.h"
#include "kernel/session.h"

enum { LOOK_MS = 20 }; /* a child's end is seen after that at the latest */

/* A cell is a file that the shell reads, in which it has $number and $status.  A late interrupt may end a read. */
static const char kernel_json[] =
    "{\"metadata\": {\"tci\": {\"command\": {\"file\": \"cell\", \"session\": [\"sh\", \"-c\", "
    "\"trap : INT; rm -f $TCI_STATUS.kept; status=$TCI_STATUS; "
    "while :; do read -r number file in || continue; . $file <$in; "
    "echo exit $number $? >$status; done\"], "
    "\"feed\": \"{number} {file} {stdin}\", \"complete\": \"{number} {file} /dev/null\"}}}}";

static struct {
    char *dir;
    struct language language;
    struct session *session;
    struct attendant attendant;
    struct outcome outcome;

    char shown[256];  /* what it has shown, one after the other */
    int events;       /* that the client has for it, once it has shown something */
    unsigned asked;   /* how often it asked for a line */
    unsigned absent;  /* how often it could not be asked */
    const char *line; /* what the client answers; NULL: nothing */
} world;

/* --- the client --------------------------------------------------------------------------- */

static int
client_wait(void *owner, int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int n = poll(&p, 1, timeout_ms < 0 || timeout_ms > LOOK_MS ? LOOK_MS : timeout_ms);

    (void)owner;
    return (n > 0 ? ATTENDANT_READABLE : 0) | (world.shown[0] ? world.events : 0);
}

static bool
client_ask(void *owner)
{
    (void)owner;
    world.asked++;
    return world.asked > world.absent;
}

static void
note(const char *kind, const char *path)
{
    const size_t len = strlen(world.shown);

    snprintf(world.shown + len, sizeof(world.shown) - len, "%s %s;", kind, path);
}

static void
client_show_image(void *owner, const char *path)
{
    (void)owner;
    note("image", path);
}

static void
client_show(void *owner, const char *path, bool is_result)
{
    (void)owner;
    note(is_result ? "result" : "show", path);
}

static char *
client_take_line(void *owner)
{
    (void)owner;
    return world.line ? xstrdup(world.line) : NULL;
}

static int
set_up(void **state)
{
    const struct attendant client = {NULL,        client_wait,     client_ask, client_show_image,
                                     client_show, client_take_line};
    cleanup_free char *path = NULL;
    struct err err = ERR_INIT;

    (void)state;
    memset(&world, 0, sizeof(world));
    world.attendant = client;
    world.dir = scratch_new(&err);
    if (world.dir == NULL)
        return -1;
    path = scratch_write(world.dir, "kernel.json", kernel_json, strlen(kernel_json), &err);
    if (path == NULL || language_read(&world.language, path, &err) < 0)
        return -1;
    world.session = session_new(&world.language, &world.attendant, world.dir, &err);
    return world.session ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    session_free(world.session);
    language_clear(&world.language);
    outcome_clear(&world.outcome);
    scratch_remove(world.dir);
    free(world.dir);
    return 0;
}

/* --- cells -------------------------------------------------------------------------------- */

static char *
write_cell(const char *code)
{
    struct err err = ERR_INIT;

    return xnotnull(scratch_write(world.dir, "cell", code, strlen(code), &err));
}

static const struct outcome *
run_with(const char *code, const char *stdin_path, int input)
{
    cleanup_free char *file = write_cell(code);
    struct language_values values = {file, world.dir, stdin_path, NULL};

    outcome_clear(&world.outcome);
    session_run(world.session, &values, input, &world.outcome);
    return &world.outcome;
}

static const struct outcome *
run(const char *code)
{
    return run_with(code, "/dev/null", -1);
}

static void
assert_went_well(const char *code)
{
    const struct outcome *o = run(code);

    if (o->failed)
        fail_msg("%s: %s", o->ename, o->evalue);
}

static void
assert_failed(const struct outcome *o, const char *ename, const char *evalue)
{
    assert_true(o->failed);
    assert_string_equal(o->ename, ename);
    if (strstr(o->evalue, evalue) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", evalue, o->evalue);
}

static void
test_state_lives_on(void **state)
{
    (void)state;
    assert_went_well("x=41");
    assert_went_well("test $((x + 1)) = 42");
    assert_failed(run("test $x = 42"), "ExitStatus", "exit status 1");
}

static void
test_what_went_wrong(void **state)
{
    (void)state;
    assert_failed(run("echo error Name: what: it was >$status; false"), "Name", "what: it was");
    /* The last one counts, and only of a cell that failed; one without a name says nothing. */
    assert_failed(run("echo error A: a >$status; echo error B: b >$status; false"), "B", "b");
    assert_went_well("echo error A: a >$status");
    assert_failed(run("echo error nameless >$status; false"), "ExitStatus", "exit status 1");
    assert_failed(run("(exit 77)"), "ExitStatus", "exit status 77");
}

/* Some languages' text is of bytes, and a line that is too long is cut anywhere. */
static void
test_errors_that_are_no_utf8(void **state)
{
    const struct outcome *o;

    (void)state;
    assert_failed(run("printf 'error N\\351: f\\374r\\n' >$status; false"), "N?", "f?r");
    o = run("{ printf 'error Cut: '; i=0; while [ $i -lt 2000 ]; do printf '\\342\\200\\223'; "
            "i=$((i + 1)); done; echo; } >$status; false");
    assert_failed(o, "Cut", "\xe2\x80\x93\xe2\x80\x93");
    assert_string_equal(o->evalue + strlen(o->evalue) - 4, "\xe2\x80\x93?");
}

static void
test_what_is_shown(void **state)
{
    (void)state;
    assert_went_well(
        "echo image /a b.png >$status; echo show /c >$status; echo result /d >$status");
    assert_string_equal(world.shown, "image /a b.png;show /c;result /d;");
}

/* Lines that are none: of another cell, of no number, unknown, cut, too long, and not text at all. */
static void
test_strange_lines(void **state)
{
    (void)state;
    assert_went_well("echo exit 999 3 >$status; echo exit $number >$status; echo exit >$status");
    assert_went_well("echo exit -1 x >$status; echo >$status; echo what is this >$status");
    assert_went_well("echo images /x >$status; echo match >$status; echo word x >$status");
    assert_went_well("head -c 10000 /dev/zero | tr '\\0' y >$status; echo >$status");
    assert_went_well("printf '\\377\\0\\376\\n\\0exit %s 9\\n' $number >$status");
    assert_string_equal(world.shown, "");
    /* The first end is the end. */
    assert_failed(run("echo exit $number 5 >$status"), "ExitStatus", "exit status 5");
    assert_went_well("true");
}

static json_t *
complete(const char *code, int *word)
{
    cleanup_free char *file = write_cell(code);
    struct language_values values = {file, world.dir, "/dev/null", NULL};

    return session_complete(world.session, &values, word);
}

static void
test_completion(void **state)
{
    json_t *matches;
    int word;

    (void)state;
    matches = complete("echo word 3 >$status; echo match print >$status; "
                       "printf 'match \\377\\n' >$status; echo match a b >$status",
                       &word);
    assert_int_equal(word, 3);
    assert_int_equal(json_array_size(matches), 2);
    assert_string_equal(json_string_value(json_array_get(matches, 0)), "print");
    assert_string_equal(json_string_value(json_array_get(matches, 1)), "a b");
    json_decref(matches);
    matches =
        complete("i=0; while [ $i -lt 600 ]; do echo match $i; i=$((i + 1)); done >$status", &word);
    assert_int_equal(word, 0);
    assert_int_equal(json_array_size(matches), 500);
    json_decref(matches);
}

/* --- its end ------------------------------------------------------------------------------ */

static void
test_end(void **state)
{
    (void)state;
    assert_went_well("x=1");
    assert_failed(run("exit 3"), "SessionEnded", "(exit status 3); its state is lost");
    assert_went_well("test -z \"$x\""); /* another one */
    assert_failed(run("kill -SEGV $$"), "SessionEnded", "ended by signal 11");
    assert_went_well("true");
}

/* It says that its state is not lost. */
static void
test_end_with_what_is_kept(void **state)
{
    (void)state;
    assert_failed(run("touch $status.kept; exit 3"), "ExitStatus", "exit status 3");
    assert_went_well("touch $status.kept; exit 0");
    assert_failed(run("exit 0"), "SessionEnded", "state is lost"); /* removed by the next one */
}

/* The next cell runs, unless it has to be told that state is lost. */
static void
test_end_in_a_completion(void **state)
{
    int word;

    (void)state;
    json_decref(complete("touch $status.kept; exit 1", &word));
    assert_went_well("true");
    json_decref(complete("exit 1", &word));
    assert_failed(run("true"), "SessionEnded", "state is lost");
    assert_went_well("true");
}

/* The end of a cell has been told, and then its own comes. */
static void
test_end_between_cells(void **state)
{
    (void)state;
    assert_went_well("echo exit $number 0 >$status; exit");
    assert_failed(run("true"), "SessionEnded", "state is lost");
    assert_went_well("true");
}

static void
test_interrupt(void **state)
{
    (void)state;
    world.events = ATTENDANT_INTERRUPT;
    assert_failed(run("echo show begun >$status; sleep 100"), "KeyboardInterrupt", "interrupted");
    world.events = 0;
    assert_went_well("test $number = 2"); /* the same one */
}

static void
test_interrupt_not_heeded(void **state)
{
    (void)state;
    world.events = ATTENDANT_INTERRUPT;
    assert_failed(run("trap '' INT; echo show begun >$status; sleep 100"), "KeyboardInterrupt",
                  "did not heed it, and its state is lost");
    world.events = 0;
    assert_went_well("true");
}

static void
test_shutdown(void **state)
{
    (void)state;
    world.events = ATTENDANT_SHUTDOWN;
    assert_failed(run("echo show begun >$status; sleep 100"), "SessionEnded", "signal 9");
}

/* --- input -------------------------------------------------------------------------------- */

static const struct outcome *
run_asking(const char *code)
{
    cleanup_free char *path = NULL;
    struct err err = ERR_INIT;
    const int input = scratch_fifo(world.dir, "in", &path, &err);

    assert_true(input >= 0);
    run_with(code, path, input);
    assert_int_equal(unlink(path), 0);
    return &world.outcome;
}

static void
test_input(void **state)
{
    const char code[] = "read -r line; echo error Got: \"$line\" >$status; false";

    (void)state;
    if (!program_can_see_input())
        skip();
    world.line = "what was typed\n";
    assert_failed(run_asking(code), "Got", "what was typed");
    assert_int_equal(world.asked, 1);
    assert_failed(run_asking("read -r a; read -r b; echo error Got: \"$a, $b\" >$status; false"),
                  "Got", "what was typed, what was typed");
    assert_int_equal(world.asked, 3);
}

static void
test_input_of_a_client_who_comes_later(void **state)
{
    (void)state;
    if (!program_can_see_input())
        skip();
    world.line = "what was typed\n";
    world.absent = 2;
    assert_failed(run_asking("read -r line; echo error Got: \"$line\" >$status; false"), "Got",
                  "what was typed");
    assert_int_equal(world.asked, 3);
}

/* A line of Ctrl-D alone: the reader sees the end of its input, and is not asked again. */
static void
test_end_of_input(void **state)
{
    (void)state;
    if (!program_can_see_input())
        skip();
    world.line = "\004\n";
    assert_failed(run_asking("cat; read -r line || echo error End: of input >$status; false"),
                  "End", "of input");
    assert_int_equal(world.asked, 1);
}

/* It is closed, too, where nothing was run. */
static void
test_input_that_nobody_reads(void **state)
{
    cleanup_free char *path = NULL;
    struct err err = ERR_INIT;
    siginfo_t ended;
    int input;

    (void)state;
    assert_went_well("echo exit $number 0 >$status; exit");
    assert_int_equal(waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT), 0);
    input = scratch_fifo(world.dir, "in", &path, &err);
    assert_true(input >= 0);
    assert_failed(run_with("true", path, input), "SessionEnded", "the code was not run");
    assert_int_equal(fcntl(input, F_GETFD), -1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_state_lives_on),
        TEST(test_what_went_wrong),
        TEST(test_errors_that_are_no_utf8),
        TEST(test_what_is_shown),
        TEST(test_strange_lines),
        TEST(test_completion),
        TEST(test_end),
        TEST(test_end_with_what_is_kept),
        TEST(test_end_in_a_completion),
        TEST(test_end_between_cells),
        TEST(test_interrupt),
        TEST(test_interrupt_not_heeded),
        TEST(test_shutdown),
        TEST(test_input),
        TEST(test_input_of_a_client_who_comes_later),
        TEST(test_end_of_input),
        TEST(test_input_that_nobody_reads),
    };

    signal(SIGPIPE, SIG_IGN); /* as tci-kernel has it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
