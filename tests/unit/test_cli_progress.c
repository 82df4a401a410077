/* test_cli_progress.c - the arithmetic and the line of a transfer's progress, the widths of text, and tables. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "cli/width.h"

static void
counts_a_rate(void **state)
{
    struct progress p;

    (void)state;
    progress_start(&p, 10, 0, 1000000);
    p.done = 100000;
    progress_sample(&p, 10.1);
    assert_true(p.rate == 0); /* too early to tell */
    progress_sample(&p, 11);
    assert_true(p.rate > 99999 && p.rate < 100001);
    assert_true(progress_left(&p) > 8.99 && progress_left(&p) < 9.01);
    for (int i = 0; i < 20; i++) { /* ten times as fast, and soon that is what it says */
        p.done += 40000;
        progress_sample(&p, 11.4 + 0.4 * i);
    }
    assert_true(p.rate > 90000 && p.rate < 101000);
    for (int i = 0; i < 50; i++) /* nothing comes any more */
        progress_sample(&p, 21 + i);
    assert_true(p.rate < 1);
    assert_true(progress_left(&p) < 0);
}

static void
leaves_out_what_was_there(void **state)
{
    struct progress p;

    (void)state;
    progress_start(&p, 0, 900, 1000);
    p.done = 950;
    progress_sample(&p, 1);
    assert_true(p.rate > 49.9 && p.rate < 50.1);
    assert_true(progress_left(&p) > 0.9 && progress_left(&p) < 1.1);
    p.done = 2000; /* more than was said */
    assert_true(progress_left(&p) == 0);
}

static void
writes_sizes_and_times(void **state)
{
    static const struct {
        double n;
        const char *text;
    } sizes[] = {{0, "0 B"},         {999, "999 B"},    {1000, "1.0 KiB"},   {1048576, "1.0 MiB"},
                 {1.5e9, "1.4 GiB"}, {5e12, "4.5 TiB"}, {5e15, "4547.5 TiB"}},
      times[] = {{0, "0 s"},        {59.4, "59 s"},      {60, "1:00"},      {3599, "59:59"},
                 {3600, "1:00:00"}, {86400, "24:00:00"}, {1e18, "99:59:59"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        progress_bytes(sizes[i].n, text, sizeof(text));
        assert_string_equal(text, sizes[i].text);
    }
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        progress_time(times[i].n, text, sizeof(text));
        assert_string_equal(text, times[i].text);
    }
}

static void
draws_a_line(void **state)
{
    struct progress p;
    char *line;

    (void)state;
    progress_start(&p, 0, 0, 100 << 20);
    p.name = "x.bin";
    p.done = 50 << 20;
    p.rate = 10 << 20;
    line = progress_line(&p, 79);
    assert_string_equal(line, "x.bin  [============>            ]  50%  50.0 MiB of 100.0 MiB  "
                              "10.0 MiB/s  5 s");
    free(line);
    line = progress_line(&p, 62);
    assert_string_equal(line, "x.bin  [====>   ]  50%  50.0 MiB of 100.0 MiB  10.0 MiB/s  5 s");
    free(line);
    line = progress_line(&p, 40); /* no room for the bar */
    assert_string_equal(line, "x.bin  50.0 MiB of 100.0 MiB  10.0 MiB/s");
    free(line);
    p.total = -1;
    p.rate = 0;
    line = progress_line(&p, 79);
    assert_string_equal(line, "x.bin  50.0 MiB  -/s");
    free(line);
}

static void
keeps_to_the_columns(void **state)
{
    static const char *const names[] = {
        "",         "plain",      "名前がとても長いファイルの名前です.txt", "e\xcc\x81\xcc\x81",
        "\xff\xfe", "a\033[2Jb\n"};
    struct progress p;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (size_t columns = 0; columns < 200; columns++)
            for (int64_t total = -1; total < 1000; total += 500) {
                char *line;

                progress_start(&p, 0, 0, total);
                p.name = names[i];
                p.done = 499;
                p.rate = 3;
                line = progress_line(&p, columns);
                assert_true(width_of(line) <= columns);
                assert_null(strpbrk(line, "\033\n"));
                free(line);
            }
}

static void
measures_text(void **state)
{
    (void)state;
    assert_int_equal(width_of(""), 0);
    assert_int_equal(width_of("abc"), 3);
    assert_int_equal(width_of("äöü"), 3);
    assert_int_equal(width_of("名前"), 4);
    assert_int_equal(width_of("e\xcc\x81"), 1); /* a combining accent */
    assert_int_equal(width_of("\xff\xc3"), 2);
    assert_int_equal(width_cut("名前", 3), 3);
    assert_int_equal(width_cut("名前", 4), 6);
    assert_int_equal(width_cut("e\xcc\x81x", 1), 3);
    assert_int_equal(width_cut("abc", 10), 3);
    assert_int_equal(width_cut("abc", 0), 0);
}

/* What the rows, of three columns each, are printed as; the caller's. */
static char *
printed(const char *const *cells, size_t n)
{
    static const char *const headings[] = {"NAME", ">N", "NOTE", NULL};
    struct table *t = table_new(headings);
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    for (size_t i = 0; i < n; i++)
        table_add(t, cells[i]);
    table_print(t, file);
    fclose(file);
    table_free(t);
    return text;
}

static void
prints_tables(void **state)
{
    static const char *const plain[] = {"a", "1", "x", "名前", "1000", NULL, "", "", "y\033\n"};
    static const char *const short_ones[] = {"longer", "7", "", "b", "8", ""};
    char *text = printed(plain, 9);

    (void)state;
    assert_string_equal(text, "NAME     N  NOTE\n"
                              "a        1  x\n"
                              "名前  1000\n"
                              "            y??\n");
    free(text);
    text = printed(short_ones, 6); /* and there is no third column */
    assert_string_equal(text, "NAME    N\nlonger  7\nb       8\n");
    free(text);
    text = printed(plain, 2); /* half a row is none */
    assert_string_equal(text, "NAME  N\n");
    free(text);
    text = printed(plain, 0);
    assert_string_equal(text, "");
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_a_rate),          cmocka_unit_test(leaves_out_what_was_there),
        cmocka_unit_test(writes_sizes_and_times), cmocka_unit_test(draws_a_line),
        cmocka_unit_test(prints_tables),          cmocka_unit_test(keeps_to_the_columns),
        cmocka_unit_test(measures_text),
    };

    width_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
