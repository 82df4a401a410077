/* test_cli_parse.c - the values that options of tci take, and those they refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/parse.h"

static void
reads_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds; /* 0: refused */
    } cases[] = {
        {"1s", 1},
        {"90s", 90},
        {"15m", 900},
        {"12h", 43200},
        {"30d", 2592000},
        {"4w", 2419200},
        {"", 0},
        {"s", 0},
        {"0s", 0},
        {"-1s", 0},
        {"1", 0},
        {"1.5h", 0},
        {"1 h", 0},
        {"1hh", 0},
        {"1y", 0},
        {"36500d", 3153600000},
        {"36501d", 0},
        {"99999999999999999999s", 0},
        {"999999999999999999w", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t n = 0;

        assert_int_equal(parse_duration(cases[i].text, &n), cases[i].seconds != 0);
        assert_true(n == cases[i].seconds);
    }
}

static void
reads_rates(void **state)
{
    static const char *const wrong[] = {"",          "60",    "/min",        "0/min",  "60/s",
                                        "60/minute", "x/min", "1000001/min", "-1/min", "60/min "};
    unsigned rate = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(parse_rate(wrong[i], &rate));
    assert_int_equal(rate, 7);
    assert_true(parse_rate("60/min", &rate));
    assert_int_equal(rate, 60);
    assert_true(parse_rate("1000000/min", &rate));
    assert_int_equal(rate, 1000000);
}

static void
reads_counts(void **state)
{
    uint64_t n = 7;

    (void)state;
    assert_false(parse_count("0", 1, 10, &n));
    assert_false(parse_count("11", 1, 10, &n));
    assert_false(parse_count("1x", 1, 10, &n));
    assert_false(parse_count("+1", 1, 10, &n));
    assert_false(parse_count("", 0, 10, &n));
    assert_int_equal(n, 7);
    assert_true(parse_count("10", 1, 10, &n));
    assert_int_equal(n, 10);
}

static void
reads_names(void **state)
{
    static const char long_name[] =
        "0123456789012345678901234567890123456789012345678901234567890123";

    (void)state;
    assert_true(parse_name("a"));
    assert_true(parse_name("ci of the Käfer team"));
    assert_true(parse_name(long_name));
    assert_false(parse_name(""));
    assert_false(parse_name("01234567890123456789012345678901234567890123456789012345678901234"));
    assert_false(parse_name("two\nlines"));
    assert_false(parse_name("\x1b[2J"));
    assert_false(parse_name("\x7f"));
    assert_false(parse_name("\xc2\x9b"));
    assert_false(parse_name("\xff"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_rates),
        cmocka_unit_test(reads_counts),
        cmocka_unit_test(reads_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
