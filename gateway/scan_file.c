/* scan_file.c - the rules' file, read and checked: scan_rules_load of scan_rules.h. */
#include "scan_rules.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scan_table.h"
#include "utf8.h"

enum {
    MAX_FILE = 1 << 20, /* bytes */
    MAX_LINE = 1000,    /* characters */
    MAX_WORDS = 5000,   /* patterns and arguments of all rules */
    MAX_RULE_NAME = 40,
    MAX_MESSAGE = 200,
    MAX_GLOB = 200,
};

/* A line of a rule that can only be judged when all of it is known. */
struct word {
    unsigned line;
    bool is_pattern; /* else an argument */
    char text[MAX_LINE + 1];
};

struct reader {
    struct scan_rules *rules;
    const char *path;
    struct err *err;
    unsigned line;
    struct scan_rule *rule; /* the one being read, already among the rules */
    unsigned rule_line;
    bool has_kind, has_language, has_where;
    struct word *words; /* of the rule */
    unsigned n_words;
};

static int __attribute__((format(printf, 3, 4)))
fail_at(struct reader *r, unsigned line, const char *fmt, ...)
{
    char what[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_field(r->err, ERR_CONFIG, "scan_rules", "%.150s:%u: %s", r->path, line, what);
}

/* --- patterns and arguments --------------------------------------------------------------- */

static bool
is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

/* Names with dots between them, each of which may end with "()" for what a call of it returns. */
static bool
is_dotted(const char *s, size_t len, bool calls)
{
    size_t i = 0;

    for (;;) {
        if (i == len || !is_name_start(s[i]))
            return false;
        while (i < len && (is_name_start(s[i]) || isdigit((unsigned char)s[i])))
            i++;
        if (calls && i + 2 <= len && s[i] == '(' && s[i + 1] == ')')
            i += 2;
        if (i == len)
            return true;
        if (s[i++] != '.')
            return false;
    }
}

static unsigned
count_dots(const char *s, size_t len)
{
    unsigned n = 0;

    for (size_t i = 0; i < len; i++)
        n += s[i] == '.';
    return n;
}

static int
add_module(struct reader *r, const struct word *w)
{
    size_t len = strlen(w->text);

    if (len >= SCAN_NAME_LEN || !is_dotted(w->text, len, false))
        return fail_at(r, w->line, "pattern = %.60s; allowed for imports: a module's name",
                       w->text);
    scan_table_add_name(r->rules, ROLE_MODULE, r->rule, w->text, len);
    return 0;
}

static int
add_call(struct reader *r, const struct word *w)
{
    const char *text = w->text;
    size_t len = strlen(text);
    enum scan_role role = ROLE_CALL;

    if (len > 2 && strncmp(text, "*.", 2) == 0) {
        role = ROLE_CALL_ANYONES;
        text += 2;
        len -= 2;
    } else if (len > 2 && strcmp(text + len - 2, ".*") == 0) {
        role = ROLE_CALL_BELOW;
        len -= 2;
    }
    if (len >= SCAN_NAME_LEN || !is_dotted(text, len, true) ||
        (role == ROLE_CALL_ANYONES && count_dots(text, len) >= SCAN_TAIL))
        return fail_at(
            r, w->line,
            "pattern = %.60s; allowed for calls: name, name.* or *.name, where a name is dotted, "
            "with () where something is called, at most %d characters, or %d names behind *.",
            w->text, SCAN_NAME_LEN - 1, SCAN_TAIL);
    if (role == ROLE_CALL_ANYONES)
        scan_table_add_row(r->rules, role, r->rule, text, len);
    else
        scan_table_add_name(r->rules, role, r->rule, text, len);
    return 0;
}

static int
add_decoder(struct reader *r, const struct word *w)
{
    size_t len = strlen(w->text);

    if (strcmp(w->text, "\\x") == 0) {
        scan_table_add_row(r->rules, ROLE_ESCAPES, r->rule, "", 0);
        return 0;
    }
    if (len >= SCAN_NAME_LEN || !is_dotted(w->text, len, true))
        return fail_at(r, w->line, "pattern = %.60s; allowed for exec: a dotted name, or \\x",
                       w->text);
    scan_table_add_name(r->rules, ROLE_DECODER, r->rule, w->text, len);
    return 0;
}

static int
add_argument(struct reader *r, const struct word *w)
{
    struct scan_argument *a;
    const char *name = w->text;
    size_t len = strlen(name);

    if (r->rule->kind != SCAN_CALL)
        return fail_at(r, w->line, "an argument; allowed for calls only");
    if (len > MAX_GLOB)
        return fail_at(r, w->line, "the argument is too long; allowed: %d characters", MAX_GLOB);
    r->rule->arguments =
        xrealloc(r->rule->arguments, (r->rule->n_arguments + 1) * sizeof(*r->rule->arguments));
    a = &r->rule->arguments[r->rule->n_arguments++];
    *a = (struct scan_argument){.glob = xstrdup(name), .glob_len = len};
    for (size_t i = 0; i < len; i++)
        a->min_len += name[i] != '*';
    a->has_star = a->min_len < len;
    if (r->rule->n_arguments == 1 || a->min_len < r->rule->min_len)
        r->rule->min_len = a->min_len;
    if (len > 2 && strncmp(name, "*.", 2) == 0) {
        name += 2;
        len -= 2;
    }
    a->is_name = is_dotted(name, len, true);
    r->rule->any_name |= a->is_name && a->has_star;
    if (a->is_name && !a->has_star && len < SCAN_NAME_LEN)
        scan_table_add_parts(r->rules, name, len);
    return 0;
}

static int
add_word(struct reader *r, const struct word *w)
{
    if (!w->is_pattern)
        return add_argument(r, w);
    switch (r->rule->kind) {
    case SCAN_IMPORT:
        return add_module(r, w);
    case SCAN_CALL:
        return add_call(r, w);
    case SCAN_EXEC:
        return add_decoder(r, w);
    }
    return -1;
}

/* --- rules -------------------------------------------------------------------------------- */

static int
finish_rule(struct reader *r)
{
    const char *missing = !r->has_kind        ? "kind"
                          : !r->has_language  ? "language"
                          : !r->rule->message ? "message"
                                              : NULL;
    bool has_pattern = false;

    for (unsigned i = 0; i < r->n_words; i++)
        has_pattern |= r->words[i].is_pattern;
    if (missing == NULL && !has_pattern)
        missing = "pattern";
    if (missing)
        return fail_at(r, r->rule_line, "the rule %s has no %s", r->rule->name, missing);
    if (r->has_where && r->rule->kind != SCAN_CALL)
        return fail_at(r, r->rule_line, "the rule %s has where; allowed for calls only",
                       r->rule->name);
    for (unsigned i = 0; i < r->n_words; i++)
        if (add_word(r, &r->words[i]) < 0)
            return -1;
    return 0;
}

static int
begin_rule(struct reader *r, char *text)
{
    size_t len = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (len == 0 || len > MAX_RULE_NAME || strcmp(text + 1 + len, "]") != 0)
        return fail_at(r, r->line,
                       "%.60s is no rule's name; allowed: [name] of at most %d of a-z 0-9 -", text,
                       MAX_RULE_NAME);
    if (r->rule && finish_rule(r) < 0)
        return -1;
    text[1 + len] = '\0';
    for (unsigned i = 0; i < r->rules->n_rules; i++)
        if (strcmp(r->rules->rules[i]->name, text + 1) == 0)
            return fail_at(r, r->line, "there is a rule %s already", text + 1);
    if (r->rules->n_rules == SCAN_MAX_RULES)
        return fail_at(r, r->line, "too many rules; allowed: %d", SCAN_MAX_RULES);
    r->rule = xcalloc(1, sizeof(*r->rule));
    r->rule->name = xstrdup(text + 1);
    r->rule_line = r->line;
    r->n_words = 0;
    r->has_kind = r->has_language = r->has_where = false;
    r->rules->rules[r->rules->n_rules++] = r->rule;
    return 0;
}

/* --- lines -------------------------------------------------------------------------------- */

static int
keep_word(struct reader *r, bool is_pattern, const char *text, size_t len)
{
    struct word *w;

    if (r->rules->n_words++ == MAX_WORDS)
        return fail_at(r, r->line, "too many patterns and arguments; allowed: %d", MAX_WORDS);
    r->words = xrealloc(r->words, (r->n_words + 1) * sizeof(*r->words));
    w = &r->words[r->n_words++];
    w->line = r->line;
    w->is_pattern = is_pattern;
    memcpy(w->text, text, len);
    w->text[len] = '\0';
    return 0;
}

static int
take_argument(struct reader *r, const char *value)
{
    return keep_word(r, false, value, strlen(value));
}

/* Patterns have no spaces, so that one line may have several of them. */
static int
take_pattern(struct reader *r, const char *value)
{
    while (*value != '\0') {
        size_t len = strcspn(value, " \t");

        if (keep_word(r, true, value, len) < 0)
            return -1;
        value += len;
        value += strspn(value, " \t");
    }
    return 0;
}

static int
once(struct reader *r, bool *seen, const char *key)
{
    if (*seen)
        return fail_at(r, r->line, "the rule %s has a %s already", r->rule->name, key);
    *seen = true;
    return 0;
}

static int
take_kind(struct reader *r, const char *value)
{
    static const char *const names[] = {"import", "call", "exec"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(names[i], value) != 0)
            continue;
        r->rule->kind = (enum scan_kind)i;
        return once(r, &r->has_kind, "kind");
    }
    return fail_at(r, r->line, "kind = %.60s; allowed: import, call or exec", value);
}

static int
take_language(struct reader *r, const char *value)
{
    if (strcmp(value, "python") != 0)
        return fail_at(r, r->line, "language = %.60s; allowed: python", value);
    return once(r, &r->has_language, "language");
}

static int
take_message(struct reader *r, const char *value)
{
    bool seen = r->rule->message != NULL;
    size_t len = strlen(value);

    if (len > MAX_MESSAGE || utf8_valid_prefix(value, len) != len)
        return fail_at(r, r->line, "the message is not usable; allowed: %d bytes of UTF-8",
                       MAX_MESSAGE);
    if (once(r, &seen, "message") < 0)
        return -1;
    r->rule->message = xstrdup(value);
    return 0;
}

static int
take_where(struct reader *r, const char *value)
{
    if (strcmp(value, "endless-loop") != 0)
        return fail_at(r, r->line, "where = %.60s; allowed: endless-loop", value);
    r->rule->in_endless_loop = true;
    return once(r, &r->has_where, "where");
}

/* Cuts the spaces at both ends off. */
static char *
trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

static int
take_pair(struct reader *r, char *text)
{
    static const struct {
        const char *name;
        int (*take)(struct reader *, const char *value);
    } keys[] = {
        {"argument", take_argument}, {"kind", take_kind},       {"language", take_language},
        {"message", take_message},   {"pattern", take_pattern}, {"where", take_where},
    };
    char *value = strchr(text, '=');

    if (value == NULL)
        return fail_at(r, r->line, "neither [name] nor key = value");
    *value++ = '\0';
    value = trim(value);
    text = trim(text);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].name, text) != 0)
            continue;
        if (r->rule == NULL)
            return fail_at(r, r->line, "%s stands before the first [name]", text);
        if (*value == '\0')
            return fail_at(r, r->line, "%s is empty", text);
        return keys[i].take(r, value);
    }
    return fail_at(r, r->line,
                   "%.60s is no key; allowed: argument, kind, language, message, pattern and where",
                   text);
}

static int
take_line(struct reader *r, char *line, FILE *file)
{
    size_t len = strlen(line);
    char *text;

    r->line++;
    if (len == 0 || (line[len - 1] != '\n' && !feof(file)))
        return fail_at(r, r->line, "the line is no text, or too long; allowed: %d characters",
                       MAX_LINE);
    text = trim(line);
    if (*text == '\0' || *text == '#')
        return 0;
    return *text == '[' ? begin_rule(r, text) : take_pair(r, text);
}

static int
read_rules(struct reader *r, FILE *file)
{
    char line[MAX_LINE + 2];

    while (fgets(line, sizeof(line), file) != NULL)
        if (take_line(r, line, file) < 0)
            return -1;
    if (ferror(file))
        return fail_at(r, r->line + 1, "%s", strerror(errno));
    if (r->rule == NULL)
        return fail_at(r, r->line, "there is no rule; to look for nothing: TCI_SCAN = off");
    return finish_rule(r);
}

/* Nothing that opening or reading could wait for: a directory, a pipe. */
static FILE *
open_file(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    const char *why = NULL;

    if (fd < 0 || fstat(fd, &st) < 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "no regular file";
    else if (st.st_size > MAX_FILE)
        why = "larger than 1 MiB";
    if (why == NULL)
        return xnotnull(fdopen(fd, "re"));
    if (fd >= 0)
        close(fd);
    err_field(err, ERR_CONFIG, "scan_rules", "scan_rules = %.200s is not usable: %s", path, why);
    return NULL;
}

struct scan_rules *
scan_rules_load(const char *path, struct err *err)
{
    struct reader r = {.path = path, .err = err};
    FILE *file = open_file(path, err);
    int rc;

    if (file == NULL)
        return NULL;
    r.rules = scan_table_new();
    rc = read_rules(&r, file);
    fclose(file);
    free(r.words);
    if (rc == 0)
        return r.rules;
    scan_rules_free(r.rules);
    return NULL;
}
