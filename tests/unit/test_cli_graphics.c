/* test_cli_graphics.c - what terminals answer when they are asked for pictures, and the pictures' sequences; lines as words. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/graphics.h"
#include "cli/late.h"
#include "cli/words.h"

static void
reads_answers(void **state)
{
    static const struct {
        const char *bytes;
        enum graphics how;
        bool over;
        const char *typed;
    } cases[] = {
        {"\033_Gi=31;OK\033\\\033P>|kitty(0.26.5)\033\\\033[?62;c", GRAPHICS_KITTY, true, ""},
        {"\033P>|iTerm2 3.5.0\033\\\033[?64;1;2;4;6;17;18;21;22c", GRAPHICS_ITERM, true, ""},
        {"\033_Gi=31;ENOTSUPPORTED:no\033\\\033[?62c", GRAPHICS_NONE, true, ""},
        {"\033P>|XTerm(379)\033\\\033[?64;1;2;6;9;15;16;17;18;21;22;28c", GRAPHICS_NONE, true, ""},
        {"\033[?1;2c", GRAPHICS_NONE, true, ""},
        {"\033[?1;2", GRAPHICS_NONE, false, ""},
        {"ab\033_Gi=31;OK\033\\c\033[A\033[?62cd", GRAPHICS_KITTY, true, "abcd"},
        {"\033_Gi=31;OK\a\033[?62c", GRAPHICS_KITTY, true, ""},
        {"\033[0c\033[c", GRAPHICS_NONE, false, ""}, /* not the answer's form */
        {"y\n", GRAPHICS_NONE, false, "y\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct graphics_answers a = {.over = false};

        for (const char *p = cases[i].bytes; *p; p++)
            graphics_take(&a, *p);
        assert_int_equal(graphics_of(&a), cases[i].how);
        assert_int_equal(a.over, cases[i].over);
        assert_int_equal(a.n_typed, strlen(cases[i].typed));
        assert_memory_equal(a.typed, cases[i].typed, a.n_typed);
    }
}

/* What of these bytes was typed. */
static const char *
typed_of(const char *bytes, bool *last)
{
    static char typed[300];
    struct late late = {.len = 0};
    size_t n = 0;

    *last = false;
    for (; *bytes; bytes++)
        switch (late_take(&late, *bytes)) {
        case LATE_TYPED:
            memcpy(typed + n, late.held, late.settled);
            n += late.settled;
            break;
        case LATE_LAST:
            *last = true;
            break;
        case LATE_HELD:
        case LATE_ANSWER:
            break;
        }
    typed[n] = '\0';
    return typed;
}

static void
tells_late_answers_from_keys(void **state)
{
    static const struct {
        const char *bytes, *typed;
        bool last;
    } cases[] = {
        {"\033_Gi=31;OK\033\\\033P>|kitty(0.26.5)\033\\\033[?62;c", "", true},
        {"a\033P>|x\ab\033[?1;2cc", "abc", true},
        {"\033[A\033[1;5C\033OP\033b", "\033[A\033[1;5C\033OP\033b", false},
        {"\033Px\033_y\033]z\033[?x", "\033Px\033_y\033]z\033[?x", false},
        {"\033\033[?62c", "\033", true},
        {"\033P>|\r", "\033P>|\r", false},
        {"\033_Gi=31;OK\033x", "\033_Gi=31;OK\033x", false},
        {"\033_Gi=3", "", false},
        {"\xc3\xa4\n", "\xc3\xa4\n", false},
    };
    char text[300] = "\033P>|";
    bool last;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(typed_of(cases[i].bytes, &last), cases[i].typed);
        assert_int_equal(last, cases[i].last);
    }
    memset(text + 4, 'x', sizeof(text) - 5); /* nothing is held for good */
    assert_string_equal(typed_of(text, &last), text);
}

static void
has_bounds(void **state)
{
    struct graphics_answers a = {.over = false};

    (void)state;
    for (int i = 0; i < 100000; i++)
        graphics_take(&a, 'x');
    assert_int_equal(a.n_typed, sizeof(a.typed));
    graphics_take(&a, '\033');
    graphics_take(&a, '_');
    for (int i = 0; i < 100000; i++)
        graphics_take(&a, 'x');
    assert_true(a.len < sizeof(a.text));
}

static char *
written(enum graphics how, size_t len)
{
    unsigned char *bytes = calloc(len, 1);
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    graphics_write(file, how, bytes, len);
    fclose(file);
    free(bytes);
    return text;
}

static void
writes_pictures(void **state)
{
    char *text = written(GRAPHICS_KITTY, 3);

    (void)state;
    assert_string_equal(text, "\033_Ga=T,f=100,q=2,m=0;AAAA\033\\\n");
    free(text);
    text = written(GRAPHICS_ITERM, 4);
    assert_string_equal(text, "\033]1337;File=inline=1;size=4:AAAAAA==\a\n");
    free(text);
    text = written(GRAPHICS_KITTY, 3073); /* 4100 characters: two pieces */
    assert_int_equal(strlen(text),
                     4100 + strlen("\033_Ga=T,f=100,q=2,m=1;\033\\\033_Gm=0;\033\\\n"));
    assert_non_null(strstr(text, "\033\\\033_Gm=0;AA==\033\\\n"));
    free(text);
    assert_true(graphics_can(GRAPHICS_KITTY, "image/png"));
    assert_false(graphics_can(GRAPHICS_KITTY, "image/jpeg"));
    assert_true(graphics_can(GRAPHICS_ITERM, "image/jpeg"));
    assert_false(graphics_can(GRAPHICS_ITERM, "image/svg+xml"));
    assert_false(graphics_can(GRAPHICS_NONE, "image/png"));
}

static void
splits_lines(void **state)
{
    static const struct {
        const char *line;
        int n;
        const char *words[4];
    } cases[] = {
        {"", 0, {NULL}},
        {"  \t ", 0, {NULL}},
        {":a  b\tc ", 3, {":a", "b", "c"}},
        {"'a b' \"c 'd\" e\\ f", 3, {"a b", "c 'd", "e f"}},
        {"a'b'\"c\"", 1, {"abc"}},
        {"'' x", 2, {"", "x"}},
        {"'a", -1, {NULL}},
        {"\"a\\\"b\"", 1, {"a\"b"}},
        {"'a\\'", 1, {"a\\"}},
        {"a\\", 1, {"a\\"}},
        {"1 2 3 4 5 6 7 8 9", -1, {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[64], *words[WORDS_MAX];

        strcpy(line, cases[i].line);
        assert_int_equal(words_split(line, words), cases[i].n);
        for (int k = 0; k < cases[i].n; k++)
            assert_string_equal(words[k], cases[i].words[k]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_answers), cmocka_unit_test(tells_late_answers_from_keys),
        cmocka_unit_test(has_bounds),    cmocka_unit_test(writes_pictures),
        cmocka_unit_test(splits_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
