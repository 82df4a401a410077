/* test_cli_terminal.c - what is taken out of text before a terminal gets it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/terminal.h"

static void
strips_escape_sequences(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"\033[0;31mred\033[0m", "red"},
        {"\033[38;5;28;01mx\033[39;00my", "xy"},
        {"a\033]0;title\ab\033]8;;u\033\\c", "abc"},
        {"a\033cb\033", "ab"},
        {"a\033[", "a"},
        {"a\033[31", "a"},
        {"a\033]0;title", "a"},
        {"\033P1$r\033\\z", "z"},
        {"ä\033[1mö", "äö"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[80];

        strcpy(text, cases[i][0]);
        terminal_strip(text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void
cleans_names(void **state)
{
    static const char *const cases[][2] = {
        {"plain ä 你", "plain ä 你"},
        {"\033[2J\r\n\t\x7f", "?[2J????"},
        {"a\xc2\x9b"
         "b",
         "a??b"}, /* U+009B is CSI */
        {"\xc2\xa0\xc2", "\xc2\xa0\xc2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[80];

        strcpy(text, cases[i][0]);
        assert_string_equal(terminal_clean(text), cases[i][1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strips_escape_sequences),
        cmocka_unit_test(cleans_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
