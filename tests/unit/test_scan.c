/*
 * test_scan.c - what the scan finds with the shipped rules and with others, in ordinary and in hostile code; what is wrong
 * with a rules file; and that no code takes it long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/scan.h"

enum { MEGABYTE = 1000 * 1000, MAX_CORPUS = 1 << 20 };

static const char mark[] = "## %% ";
static struct scan *shipped;
static char rules_path[] = "/tmp/test_scan.XXXXXX";

/* --- helpers ------------------------------------------------------------------------------ */

static char *
source_path(const char *name)
{
    const char *top = getenv("srcdir");

    return xasprintf("%s/%s", top ? top : ".", name);
}

static struct scan *
load(const char *language, const char *path)
{
    struct scan *scan = scan_new(language);
    struct err err = ERR_INIT;

    if (scan_load(scan, path, &err) < 0)
        fail_msg("%s", err.msg);
    return scan;
}

static void
write_rules(const char *text, size_t len)
{
    FILE *f = fopen(rules_path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static struct scan *
load_text(const char *text)
{
    write_rules(text, strlen(text));
    return load("python", rules_path);
}

static bool
has(const struct scan_result *result, const char *rule, unsigned line)
{
    for (unsigned i = 0; i < result->n; i++)
        if (strcmp(result->findings[i].rule, rule) == 0 && result->findings[i].line == line)
            return true;
    return false;
}

static char *
read_corpus(const char *name)
{
    cleanup_free char *path = source_path(name);
    FILE *f = fopen(path, "r");
    char *text = xcalloc(1, MAX_CORPUS);

    if (f == NULL)
        fail_msg("cannot open %s", path);
    assert_true(fread(text, 1, MAX_CORPUS - 1, f) > 0);
    fclose(f);
    return text;
}

struct cell {
    char *title, *code;
};

/* Takes the cells of a corpus apart, in place; false at its end. */
static bool
next_cell(char **rest, struct cell *cell)
{
    char *end;

    cell->title = strstr(*rest, mark);
    if (cell->title == NULL)
        return false;
    cell->title += strlen(mark);
    cell->code = strchr(cell->title, '\n') + 1;
    cell->code[-1] = '\0';
    end = strstr(cell->code, mark);
    *rest = end ? end : strchr(cell->code, '\0');
    return true;
}

/* The code of a cell, in memory of exactly its size, for the sanitizer. */
static void
scan_cell(const struct scan *scan, const char *code, size_t len, struct scan_result *result)
{
    char *copy = xcalloc(1, len + (len == 0));

    memcpy(copy, code, len);
    scan_code(scan, copy, len, result);
    free(copy);
}

static size_t
code_len(const struct cell *cell, const char *rest)
{
    return (size_t)(rest - cell->code);
}

/* --- the shipped rules -------------------------------------------------------------------- */

/* Scans every cell of a corpus; there are many. */
static void
check_corpus(const char *path, void (*check)(const struct cell *, const struct scan_result *))
{
    cleanup_free char *text = read_corpus(path);
    struct scan_result result;
    struct cell cell;
    unsigned n = 0;

    for (char *rest = text; next_cell(&rest, &cell); n++) {
        scan_cell(shipped, cell.code, code_len(&cell, rest), &result);
        check(&cell, &result);
    }
    assert_true(n >= 40);
}

static void
check_silence(const struct cell *cell, const struct scan_result *result)
{
    if (result->n > 0)
        fail_msg("%s: %s in line %u", cell->title, result->findings[0].rule,
                 result->findings[0].line);
}

static void
is_silent_about_ordinary_code(void **state)
{
    (void)state;
    check_corpus("tests/unit/scan/ordinary.txt", check_silence);
}

/* "rule:line rule:line" */
static void
check_cell(const struct cell *cell, const struct scan_result *result)
{
    cleanup_free char *titles = xstrdup(cell->title);
    unsigned n = 0;
    char *save;

    for (char *word = strtok_r(titles, " ", &save); word; word = strtok_r(NULL, " ", &save), n++) {
        char *colon = strchr(word, ':');

        assert_non_null(colon);
        *colon = '\0';
        if (!has(result, word, (unsigned)strtoul(colon + 1, NULL, 10)))
            fail_msg("not found: %s:%s in\n%.300s", word, colon + 1, cell->code);
    }
    if (result->n != n)
        fail_msg("%u findings instead of %u in\n%.300s", result->n, n, cell->code);
}

static void
finds_hostile_code(void **state)
{
    (void)state;
    check_corpus("tests/unit/scan/hostile.txt", check_cell);
}

/* Each rule of the file has code that it is for. */
static void
has_no_rule_without_a_test(void **state)
{
    cleanup_free char *rules = read_corpus("gateway/scan.rules");
    cleanup_free char *text = read_corpus("tests/unit/scan/hostile.txt");
    unsigned n = 0;
    char *save;

    (void)state;
    for (char *line = strtok_r(rules, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cleanup_free char *needle = NULL;

        if (line[0] != '[')
            continue;
        needle = xasprintf(" %.*s:", (int)strlen(line) - 2, line + 1);
        if (strstr(text, needle) == NULL)
            fail_msg("no code in hostile.txt breaks the rule %s", line);
        n++;
    }
    assert_true(n > 15);
}

/* Cut anywhere, with any kind of line end, and with bytes that are no text. */
static void
takes_any_bytes(void **state)
{
    static const char *const names[] = {"tests/unit/scan/ordinary.txt",
                                        "tests/unit/scan/hostile.txt"};
    struct scan_result result;
    struct cell cell;

    (void)state;
    for (int i = 0; i < 2; i++) {
        cleanup_free char *text = read_corpus(names[i]);

        for (char *rest = text; next_cell(&rest, &cell);) {
            size_t len = code_len(&cell, rest);

            for (size_t cut = 0; cut < len; cut++)
                scan_cell(shipped, cell.code, cut, &result);
            for (size_t at = 0; at < len; at += 3)
                cell.code[at] = (char)(at * 37);
            scan_cell(shipped, cell.code, len, &result);
        }
    }
}

static void
counts_all_kinds_of_lines(void **state)
{
    static const char *const codes[] = {
        "x\n\nos.setuid(0)",
        "x\r\n\r\nos.setuid(0)",
        "x\r\ros.setuid(0)",
        "'''\n'''\nos.setuid(0)",
        "x = \\\n1;\\\nos.setuid(0)",
        "(\n\nos.setuid(0))",
        "# c\r# d\ros.setuid(0)",
        "f'''\n{1}\n{os.setuid(0)}'''",
        "\xef\xbb\xbf\n\nos.setuid(0)",
        "%skip \\\n a\nos.setuid(0)",
        "'unterminated\n\nos.setuid(0)",
        "!ls '\n\"\"\"\n\"\"\";os.setuid(0)",
    };
    struct scan_result result;

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        scan_code(shipped, codes[i], strlen(codes[i]), &result);
        if (result.n != 1 || !has(&result, "change-identity", 3))
            fail_msg("%u findings in \"%s\"", result.n, codes[i]);
    }
}

static void
looks_at_python_only(void **state)
{
    static const char code[] = "import os; os.setuid(0)";
    cleanup_free char *path = source_path("gateway/scan.rules");
    struct scan *scan = load("R", path);
    struct scan_result result;

    (void)state;
    scan_code(scan, code, strlen(code), &result);
    assert_int_equal(result.n, 0);
    scan_free(scan);
    scan = scan_new("python"); /* without rules */
    scan_code(scan, code, strlen(code), &result);
    assert_int_equal(result.n, 0);
    scan_free(scan);
    scan_free(NULL);
}

/* --- limits ------------------------------------------------------------------------------- */

/* A new string: head, then as many units as fit into a megabyte. */
static char *
repeat(const char *head, const char *unit)
{
    char *text = xcalloc(1, MEGABYTE + 1);
    size_t len = strlen(head), n = strlen(unit);

    strcpy(text, head);
    for (; len + n <= MEGABYTE; len += n)
        strcpy(text + len, unit);
    return text;
}

static double
cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Anything but linear would take minutes or more; the bound is for sanitizers on a slow machine. */
static void
takes_time_in_proportion(void **state)
{
    static const char *const cases[][2] = {
        {"", "abc = def1 + ghi.jkl(1, 'x')  # comment\n"},
        {"", "("},
        {"", "f'{"},
        {"x", "()"},
        {"os", ".a()"},
        {"a", ".a"},
        {"", "os.system(("},
        {"os.system(", "'xmrig',"},
        {"os.system(", "':(){:|:',"},
        {"os.system('", "xmri"},
        {"exec(", "chr,"},
        {"exec(", "'a'+"},
        {"from subprocess import *\n", "run(a)\n"},
        {"", "\\\n"},
        {"", "       \n"},
        {"", "%x\n"},
        {"import ", "a."},
        {"from a import ", "b as c,"},
        {"a", "bcdefgh"},
        {"", "\xf0\x9d\x90\xa8"},
    };
    struct scan_result result;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_free char *text = repeat(cases[i][0], cases[i][1]);
        double begun = cpu_seconds();

        scan_code(shipped, text, strlen(text), &result);
        if (cpu_seconds() - begun > 5)
            fail_msg("%.1f s for a megabyte of %s", cpu_seconds() - begun, cases[i][1]);
    }
}

static void
stops_at_its_limit_of_findings(void **state)
{
    cleanup_free char *text = repeat("", "os.setuid(0)\n");
    struct scan_result result;

    (void)state;
    scan_code(shipped, text, strlen(text), &result);
    assert_int_equal(result.n, SCAN_MAX_FINDINGS);
    assert_int_equal(result.findings[SCAN_MAX_FINDINGS - 1].line, SCAN_MAX_FINDINGS);
}

/* Names without end cannot push a hostile one out unseen. */
static void
says_when_it_cannot_follow(void **state)
{
    cleanup_free char *text = xcalloc(1, MEGABYTE);
    struct scan_result result;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 2000; i++)
        len += (size_t)sprintf(text + len, "import os as o%d\n", i);
    scan_code(shipped, text, len, &result);
    assert_true(result.n > 0);
    assert_string_equal(result.findings[0].rule, "scan-limit");
}

/* A finding is not lost behind brackets that Python itself would refuse. */
static void
survives_deep_nesting(void **state)
{
    cleanup_free char *text = repeat("", "(");
    struct scan_result result;

    (void)state;
    memset(text + 100000, ')', 100000);
    strcpy(text + 200000, "\nos.setuid(0)\n");
    scan_code(shipped, text, strlen(text), &result);
    assert_int_equal(result.n, 1);
    assert_true(has(&result, "change-identity", 2));
}

/* --- rules -------------------------------------------------------------------------------- */

#define HEAD "[a-rule]\nlanguage = python\n"
#define REST "message = is not nice\n"

static const char own_rules[] =
    "# comment\n\n  [mods]\r\nlanguage=python\nkind = import\npattern = secret.plans  "
    "other\n" REST "[calls]\nlanguage = python\nkind = call\npattern = a.b a.c.* *.d.e x().y\n"
    "pattern = plain\nmessage = \xc3\xa9t\xc3\xa9\n"
    "[args]\nlanguage = python\nkind = call\npattern = f\nargument = one *two* three\n"
    "argument = =\nargument = n.m\nargument = *.last\n" REST
    "[loops]\nlanguage = python\nkind = call\nwhere = endless-loop\npattern = g\n" REST
    "[codes]\nlanguage = python\nkind = exec\npattern = rot\n" REST;
static const struct {
    const char *code, *rule; /* NULL: nothing */
} own_cases[] = {
    {"import secret.plans.of.mine", "mods"},
    {"import secret", NULL},
    {"import secret.plan", NULL},
    {"from secret import plans", "mods"},
    {"from secret import other", NULL},
    {"from . import other", NULL},
    {"from .other import x", NULL},
    {"import x, other as y", "mods"},
    {"x.other", NULL},
    {"a.b()", "calls"},
    {"a.b", NULL},
    {"a.b.c()", NULL},
    {"z.a.b()", NULL},
    {"a.c()", NULL},
    {"a.c.anything.at.all()", "calls"},
    {"whatever[0].d.e()", "calls"},
    {"d.e()", NULL},
    {"x().y()", "calls"},
    {"v = x(1)\nv.y()", "calls"},
    {"v = x(1)\nv = 2\nv.y()", NULL},
    {"with x(1) as v: v.y()", "calls"},
    {"plain()", "calls"},
    {"def plain(): pass", NULL},
    {"q.plain()", NULL},
    {"from q import plain\nplain()", NULL},
    {"plain = q\nplain()", NULL},
    {"plain = [plain][0]\nplain()", "calls"},
    {"plain = plain\nplain()", "calls"},
    {"from a import b as plain2\nplain2()", "calls"},
    {"if 1: from a import b as p\np()", "calls"},
    {"class C: v = a.b\n", NULL},
    {"f('one, two, three')", NULL},
    {"f('one  two  three')", "args"},
    {"f('one two' ' three')", "args"},
    {"f('one two' + \" three\")", "args"},
    {"f('one \\x74wo\\x20three')", "args"},
    {"f(r'one \\x74wo three')", NULL},
    {"f(x, [{'k': ('one two three')}])", "args"},
    {"f(k='=')", "args"},
    {"f()('=')", NULL},
    {"f(1), '='", NULL},
    {"f(n.m)", "args"},
    {"f(n.m.o)", NULL},
    {"f(n).m", NULL},
    {"f(g[1].last)", "args"},
    {"f('n.m')", "args"},
    {"g()", NULL},
    {"while x: g()", NULL},
    {"while True: g()", "loops"},
    {"while True:\n  x\ng()", NULL},
    {"while True and x: g()", NULL},
    {"  while 1:\n\n# c\n    g()", "loops"},
    {"while True:\n  'x\n  '\n\tg()", "loops"},
    {"exec(rot('x'))", "codes"},
    {"x.exec(rot('x'))", NULL},
    {"rot('x')", NULL},
    {"t = rot('x')\nexec(t)", "codes"},
    {"t = rot('x')\nu = t\neval(u.v())", "codes"},
    {"t = rot('x')\neval(w(t))", NULL},
    {"t = rot('x')\nt = 1\nexec(t)", NULL},
};

static void
follows_rules_of_one_s_own(void **state)
{
    struct scan *scan = load_text(own_rules);
    struct scan_result result;

    (void)state;
    for (size_t i = 0; i < sizeof(own_cases) / sizeof(own_cases[0]); i++) {
        scan_code(scan, own_cases[i].code, strlen(own_cases[i].code), &result);
        if (result.n != (own_cases[i].rule != NULL) ||
            (result.n > 0 && strcmp(result.findings[0].rule, own_cases[i].rule) != 0))
            fail_msg("%u findings in: %s", result.n, own_cases[i].code);
    }
    scan_code(scan, "plain()", 7, &result);
    assert_string_equal(result.findings[0].message, "\xc3\xa9t\xc3\xa9");
    scan_free(scan);
}

/* What is wrong is told with its line and what is allowed; the rules stay what they were. */
static void
refuses_bad_files(void **state)
{
    static const struct {
        const char *text, *line, *words;
    } cases[] = {
        {"", ":0:", "no rule"},
        {"# only this\n", ":1:", "no rule"},
        {"kind = call\n", ":1:", "before the first [name]"},
        {HEAD "kind = shell\n", ":3:", "kind = shell; allowed: import, call or exec"},
        {"[a]\nlanguage = perl\n", ":2:", "language = perl; allowed: python"},
        {"[Bad Name]\n", ":1:", "allowed: [name]"},
        {"[]\n", ":1:", "allowed: [name]"},
        {"[a] b\n", ":1:", "allowed: [name]"},
        {HEAD "nonsense\n", ":3:", "neither [name] nor key = value"},
        {HEAD "colour = red\n", ":3:", "allowed: argument, kind, language, message, pattern"},
        {HEAD "kind =\n", ":3:", "kind is empty"},
        {HEAD "kind = call\nkind = call\n", ":4:", "already"},
        {HEAD REST REST, ":4:", "already"},
        {HEAD HEAD, ":1:", "has no kind"},
        {HEAD "kind = call\npattern = a\n", ":1:", "has no message"},
        {HEAD "kind = call\n" REST, ":1:", "has no pattern"},
        {"[a-rule]\nkind = call\npattern = a\n" REST, ":1:", "has no language"},
        {HEAD "kind = call\n" REST "pattern = a\n" HEAD, ":6:", "already"},
        {HEAD "kind = call\n" REST "pattern = a b..c\n", ":5:", "b..c; allowed for calls"},
        {HEAD "kind = call\n" REST "pattern = *\n", ":5:", "allowed for calls"},
        {HEAD "kind = call\n" REST "pattern = *.a.b.c.d.e\n", ":5:", "allowed for calls"},
        {HEAD "kind = import\n" REST "pattern = a.*\n", ":5:", "allowed for imports"},
        {HEAD "kind = exec\n" REST "pattern = \\y\n", ":5:", "allowed for exec"},
        {HEAD "kind = exec\n" REST "pattern = a\nargument = b\n", ":6:", "for calls only"},
        {HEAD "kind = import\n" REST "pattern = a\nwhere = endless-loop\n", ":1:", "calls only"},
        {HEAD "where = somewhere\n", ":3:", "allowed: endless-loop"},
        {HEAD "message = \xff\n", ":3:", "allowed: 200 bytes of UTF-8"},
    };
    struct scan *scan = load_text(HEAD "kind = call\npattern = kept\n" REST);
    struct scan_result result;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;

        write_rules(cases[i].text, strlen(cases[i].text));
        assert_int_equal(scan_load(scan, rules_path, &err), -1);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_string_equal(err.field, "scan_rules");
        if (!strstr(err.msg, rules_path) || !strstr(err.msg, cases[i].line) ||
            !strstr(err.msg, cases[i].words))
            fail_msg("\"%s\" and \"%s\" are not in \"%s\"", cases[i].line, cases[i].words, err.msg);
        scan_code(scan, "kept()", 6, &result);
        assert_int_equal(result.n, 1);
    }
    scan_free(scan);
}

static void
refuses_what_is_no_file_of_text(void **state)
{
    static char long_line[3000], nul[] = HEAD "kind = \0call\n";
    struct scan *scan = scan_new("python");
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(scan_load(scan, "/no/such/file", &err), -1);
    assert_non_null(strstr(err.msg, "/no/such/file"));
    assert_int_equal(scan_load(scan, "/tmp", &err), -1);
    assert_non_null(strstr(err.msg, "no regular file"));
    memset(long_line, 'x', sizeof(long_line));
    write_rules(long_line, sizeof(long_line));
    assert_int_equal(scan_load(scan, rules_path, &err), -1);
    assert_non_null(strstr(err.msg, "too long"));
    write_rules(nul, sizeof(nul) - 1);
    assert_int_equal(scan_load(scan, rules_path, &err), -1);
    assert_int_equal(unlink(rules_path), 0);
    assert_int_equal(mkfifo(rules_path, 0600), 0);
    assert_int_equal(scan_load(scan, rules_path, &err), -1); /* and does not wait */
    scan_free(scan);
}

static int
set_up(void **state)
{
    cleanup_free char *path = source_path("gateway/scan.rules");
    int fd = mkstemp(rules_path);

    (void)state;
    shipped = load("python", path);
    return fd < 0 || close(fd) < 0;
}

static int
tear_down(void **state)
{
    (void)state;
    scan_free(shipped);
    return unlink(rules_path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_silent_about_ordinary_code),
        cmocka_unit_test(finds_hostile_code),
        cmocka_unit_test(has_no_rule_without_a_test),
        cmocka_unit_test(takes_any_bytes),
        cmocka_unit_test(counts_all_kinds_of_lines),
        cmocka_unit_test(looks_at_python_only),
        cmocka_unit_test(takes_time_in_proportion),
        cmocka_unit_test(stops_at_its_limit_of_findings),
        cmocka_unit_test(says_when_it_cannot_follow),
        cmocka_unit_test(survives_deep_nesting),
        cmocka_unit_test(follows_rules_of_one_s_own),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_what_is_no_file_of_text),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
