/* test_cli_sift.c - what of a program's output a terminal gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/sift.h"

/* The same in one piece, and byte by byte. */
static void
assert_sifted(const char *text, const char *expected)
{
    const size_t len = strlen(text);
    char *out = calloc(len + SIFT_HELD + 1, 1);
    struct sift whole = {0}, pieces = {0};
    size_t n = sift_text(&whole, text, len, out);

    assert_true(n <= len);
    out[n] = '\0';
    assert_string_equal(out, expected);
    n = 0;
    for (size_t i = 0; i < len; i++)
        n += sift_text(&pieces, text + i, 1, out + n);
    out[n] = '\0';
    assert_string_equal(out, expected);
    free(out);
}

static void
what_passes(void **state)
{
    static const char *const texts[] = {
        "",
        "plain\ttext\r\n\b\a",
        "\033[1;31mred\033[0m \033[38;2;1;2;3mx\033[m \033[4:3mwave",
        "\033[2K\033[1A\033[10;20Hx\033[J\033[3C",
        "\033[?25lspin\033[?25h",
        "\0337here\0338",
        "\xc3\xa4\xc2\xa0\xe2\x82\xac\xf0\x9f\x98\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_sifted(texts[i], texts[i]);
}

static void
what_does_not(void **state)
{
    static const char *const texts[] = {
        "a\033]52;c;cm0gLXJmIH4K\ab",                                  /* the clipboard */
        "a\033]0;title\033\\b",                                        /* the title */
        "a\033]8;;http://x/\033\\b\033]8;;\a",                         /* a link */
        "a\033[21t\033[6n\033[c\033[>q\033[>0c\033[5nb",               /* questions */
        "a\033P$qm\033\\\033P+q544e\033\\b",                           /* ... */
        "a\033_Gi=1,a=q;AAAA\033\\\033^x\033\\\033Xy\033\\b",          /* other strings */
        "a\033[?1049h\033[?1000h\033[?2004l\033[4h\033[!p\033[61\"pb", /* modes */
        "a\033[5i\033[0q\033[1b\033cb\033=\033>\033D\033M",            /* printing and more */
        "a\033(0b\033%G\033#8",                                        /* character sets */
        "a\005\016\017\177b",                 /* controls, ENQ among them */
        "a\302\233\302\220\302\234\302\205b", /* ... of two bytes */
        "a\033[\033]0;x\ab",                  /* broken off by another */
        "a\033]0;x\033]0;y\ab\033]0;z\030",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_sifted(texts[i], "ab");
}

static void
what_is_cut(void **state)
{
    char text[SIFT_HELD + 20] = "a\033[";

    (void)state;
    memset(text + 3, '1', SIFT_HELD);
    strcat(text, "mb");
    assert_sifted(text, "ab");
    assert_sifted("a\033[31\nb", "a\nb");
    assert_sifted("a\033\nb", "a\nb");
    assert_sifted("a\033\xc3\xa4", "a\xc3\xa4");
    assert_sifted("a\xc2\033[1mb", "a\xc2\033[1mb");
    assert_sifted("a\033", "a");
    assert_sifted("a\033]0;never", "a");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes),
        cmocka_unit_test(what_does_not),
        cmocka_unit_test(what_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
