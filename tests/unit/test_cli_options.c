/* test_cli_options.c - the command line of the commands that talk to a server. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/options.h"

enum { ALL = TAKES_JSON | TAKES_SESSION | TAKES_RUN | TAKES_CODE };

/* Takes the line apart at its spaces. */
static int
parse(char *line, unsigned takes, struct options *o, struct err *err)
{
    static char *argv[32];
    int argc = 0;

    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, takes, o, err);
}

static void
takes_all_of_them(void **state)
{
    char line[] = "exec --url http://h --token t --ca-file f --state-dir d --json --session s -l L "
                  "--timeout 1.5 --images i -c code word";
    struct options o;

    (void)state;
    assert_int_equal(parse(line, ALL, &o, NULL), 0);
    assert_string_equal(o.place.url, "http://h");
    assert_string_equal(o.place.token, "t");
    assert_string_equal(o.place.ca_file, "f");
    assert_string_equal(o.place.state_dir, "d");
    assert_true(o.json);
    assert_string_equal(o.session, "s");
    assert_string_equal(o.language, "L");
    assert_true(o.timeout > 1.4 && o.timeout < 1.6);
    assert_string_equal(o.images, "i");
    assert_string_equal(o.code, "code");
    assert_int_equal(o.n_words, 1);
    assert_string_equal(o.words[0], "word");
}

static void
leaves_a_programs_arguments_alone(void **state)
{
    char line[] = "run --json x.py --json -c --url=u";
    struct options o;

    (void)state;
    assert_int_equal(parse(line, TAKES_JSON | STOPS_AT_WORD, &o, NULL), 0);
    assert_true(o.json);
    assert_null(o.place.url);
    assert_int_equal(o.n_words, 4);
    assert_string_equal(o.words[3], "--url=u");
}

static void
refuses(void **state)
{
    static const struct {
        const char *line;
        unsigned takes;
        const char *why;
    } cases[] = {
        {"status --json", 0, "--json"},
        {"status -c x", TAKES_JSON, "--code"},
        {"status --session s", TAKES_JSON, "--session"},
        {"run --code x", ALL & ~TAKES_CODE, "--code"},
        {"exec --timeout 0", ALL, "--timeout"},
        {"exec --timeout 1e3", ALL, "--timeout"},
        {"exec --timeout 1.2.3", ALL, "--timeout"},
        {"exec --timeout nan", ALL, "--timeout"},
        {"exec --session a/b", ALL, "--session"},
        {"exec --session \x1b[2J", ALL, "--session"},
        {"exec --language a --kernel b", ALL, "together"},
        {"exec --nonsense", ALL, "not usable"},
        {"exec --url", ALL, "not usable"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[80];
        struct options o;
        struct err err = ERR_INIT;

        strcpy(line, cases[i].line);
        assert_int_equal(parse(line, cases[i].takes, &o, &err), -1);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.msg, cases[i].why));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_of_them),
        cmocka_unit_test(leaves_a_programs_arguments_alone),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
