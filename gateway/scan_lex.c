/* scan_lex.c - see scan_lex.h.  Every byte is looked at a fixed number of times, and nothing is allocated. */
#include "scan_lex.h"

#include <ctype.h>
#include <string.h>

#include "scan_cursor.h"
#include "scan_literal.h"

/* --- names, numbers, operators ------------------------------------------------------------ */

/* Full-width and mathematical letters are the same as ASCII's to Python: ｅｘｅｃ is exec.  0 if it is none. */
static char
ascii_of(const unsigned char *s, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned c = 0;

    if (len >= 3 && s[0] == 0xef)
        c = (s[0] & 0x0fU) << 12 | (s[1] & 0x3fU) << 6 | (s[2] & 0x3fU);
    else if (len >= 4 && s[0] == 0xf0)
        c = (s[1] & 0x3fU) << 12 | (s[2] & 0x3fU) << 6 | (s[3] & 0x3fU);
    if (c >= 0xff01 && c <= 0xff5e)
        return (char)(c - 0xff01 + '!');
    if (c >= 0x1d400 && c <= 0x1d6a3)
        return letters[(c - 0x1d400) % 52];
    if (c >= 0x1d7ce && c <= 0x1d7ff)
        return (char)('0' + (c - 0x1d7ce) % 10);
    return '\0';
}

/* A name that is too long to be one of a rule's stays as it is. */
static void
normalise(struct scan_lex *lex, struct scan_token *token)
{
    size_t len = 0;

    if (token->len > SCAN_NAME_MAX)
        return;
    for (size_t i = 0; i < token->len;) {
        char c = ascii_of((const unsigned char *)token->text + i, token->len - i);

        lex->name[len++] = c != '\0' ? c : token->text[i];
        i += c == '\0' ? 1 : token->text[i] == '\xef' ? 3 : 4;
    }
    token->text = lex->name;
    token->len = len;
}

/* b, r, f, t, u in any case, with r at most one of the others. */
static bool
is_prefix(const char *s, size_t len, bool *raw, bool *formatted)
{
    *raw = *formatted = false;
    for (size_t i = 0; i < len; i++) {
        char c = (char)tolower((unsigned char)s[i]);

        *raw |= c == 'r';
        *formatted |= c == 'f' || c == 't';
        if (strchr("brftu", c) == NULL)
            return false;
    }
    return len <= 2;
}

static void
take_string(struct scan_lex *lex, struct scan_token *token, bool raw, bool formatted)
{
    struct scan_field q = {.quote = *lex->at, .raw = raw};

    token->kind = TOKEN_STRING;
    q.triple = scan_peek(lex, 1) == q.quote && scan_peek(lex, 2) == q.quote;
    lex->at += q.triple ? 3 : 1;
    if (!formatted) {
        scan_literal_take(lex, &q);
        return;
    }
    lex->text_of = q;
    lex->in_text = true;
    scan_literal_take_text(lex);
}

static void
take_name(struct scan_lex *lex, struct scan_token *token)
{
    bool ascii = true, raw, formatted;

    token->kind = TOKEN_NAME;
    token->text = lex->at;
    for (; lex->at < lex->end && scan_is_name_char(*lex->at); lex->at++)
        ascii &= (*lex->at & 0x80) == 0;
    token->len = (size_t)(lex->at - token->text);
    if ((scan_peek(lex, 0) == '"' || scan_peek(lex, 0) == '\'') &&
        is_prefix(token->text, token->len, &raw, &formatted))
        take_string(lex, token, raw, formatted);
    else if (!ascii)
        normalise(lex, token);
}

static void
take_number(struct scan_lex *lex, struct scan_token *token)
{
    token->kind = TOKEN_NUMBER;
    token->text = lex->at++;
    while (lex->at < lex->end && (scan_is_name_char(*lex->at) || *lex->at == '.'))
        lex->at++;
    token->len = (size_t)(lex->at - token->text);
}

static unsigned *
depth_of(struct scan_lex *lex)
{
    return lex->n_fields > 0 ? &lex->fields[lex->n_fields - 1].depth : &lex->depth;
}

static void
take_operator(struct scan_lex *lex, struct scan_token *token)
{
    char c = *lex->at++;
    unsigned *depth = depth_of(lex);

    token->kind = TOKEN_OP;
    token->op = c;
    if (lex->n_fields > 0 && *depth == 0 && (c == '}' || c == ':')) {
        scan_literal_end_field(lex, c);
        return;
    }
    switch (c) {
    case '(':
    case '[':
    case '{':
        ++*depth;
        break;
    case ')':
    case ']':
    case '}':
        *depth -= *depth > 0;
        break;
    case '.':
    case ',':
    case ';':
        break;
    default:
        if (scan_peek(lex, 0) == '=') {
            lex->at++;
            token->op = 'e';
        }
    }
}

/* --- lines -------------------------------------------------------------------------------- */

/* Tabs go to the next column of eight, as for Python. */
static unsigned
column_of(const struct scan_lex *lex)
{
    unsigned column = 0;

    for (const char *p = lex->line_start; p < lex->at; p++)
        column = *p == '\t' ? (column / 8 + 1) * 8 : column + 1;
    return column;
}

static bool
is_continued(const struct scan_lex *lex)
{
    return scan_peek(lex, 0) == '\\' && scan_is_newline(scan_peek(lex, 1));
}

/* Whether newlines are as good as spaces here. */
static bool
is_enclosed(const struct scan_lex *lex)
{
    return lex->depth > 0 || lex->n_fields > 0;
}

/* Up to the next token, or to the newline that is one. */
static void
skip_space(struct scan_lex *lex)
{
    while (lex->at < lex->end) {
        char c = *lex->at;

        if (c == ' ' || c == '\t' || c == '\f') {
            lex->at++;
        } else if (c == '#') {
            scan_skip_to_newline(lex);
        } else if (is_continued(lex)) {
            lex->at++;
            scan_take_newline(lex);
        } else if (scan_is_newline(c) && (is_enclosed(lex) || lex->fresh_line)) {
            scan_take_newline(lex);
        } else {
            return;
        }
    }
}

/* --- IPython ------------------------------------------------------------------------------ */

/* To the end of the line, with the lines that backslashes add to it. */
static void
take_line(struct scan_lex *lex, bool keep)
{
    while (lex->at < lex->end && !scan_is_newline(*lex->at)) {
        if (is_continued(lex)) {
            lex->at++;
            scan_take_newline(lex);
        } else {
            if (keep)
                scan_literal_put(lex, *lex->at);
            lex->at++;
        }
    }
}

static void
take_shell(struct scan_lex *lex, struct scan_token *token)
{
    token->kind = TOKEN_SHELL;
    token->line = lex->line;
    take_line(lex, true);
}

static bool
is_one_of(const char *const *names, const char *s, size_t len)
{
    for (; *names; names++)
        if (strlen(*names) == len && memcmp(*names, s, len) == 0)
            return true;
    return false;
}

/*
 * At the '%' of a magic.  Those that take Python are followed by it; of the others nothing is to be seen but what goes to a
 * shell.  True when a token was made of it.
 */
static bool
take_magic(struct scan_lex *lex, struct scan_token *token, bool may_be_cell)
{
    static const char *const python[] = {"capture", "lprun",   "memit", "mprun",  "prun", "pypy",
                                         "python",  "python3", "time",  "timeit", NULL};
    static const char *const shell[] = {"!", "bash", "script", "sh", "sx", "system", NULL};
    const bool cell = may_be_cell && scan_peek(lex, 1) == '%';
    const char *name;

    lex->at += scan_peek(lex, 1) == '%' ? 2 : 1;
    for (name = lex->at; scan_is_name_char(scan_peek(lex, 0)) || scan_peek(lex, 0) == '!';)
        lex->at++;
    if (is_one_of(python, name, (size_t)(lex->at - name)))
        return false;
    if (is_one_of(shell, name, (size_t)(lex->at - name))) {
        lex->shell = cell;
        take_shell(lex, token);
        return true;
    }
    if (cell)
        lex->at = lex->end;
    take_line(lex, false);
    return false;
}

/* The lines of a cell that is a shell's. */
static void
take_shell_line(struct scan_lex *lex, struct scan_token *token)
{
    while (lex->at < lex->end && scan_is_newline(*lex->at))
        scan_take_newline(lex);
    token->line = lex->line;
    if (lex->at < lex->end)
        take_shell(lex, token);
}

/* `>>> ` and `... `, which people paste; the latter means nothing where it is Python. */
static bool
is_prompt(const struct scan_lex *lex)
{
    char c = *lex->at;

    return (c == '>' || c == '.') && scan_peek(lex, 1) == c && scan_peek(lex, 2) == c;
}

/* What only the beginning of a line can be: a magic, a shell command, a prompt.  True when it is a whole token. */
static bool
take_line_start(struct scan_lex *lex, struct scan_token *token)
{
    const bool fresh_cell = lex->fresh_cell;

    lex->fresh_line = lex->fresh_cell = false;
    token->first = true;
    if (is_prompt(lex)) {
        lex->at += 3;
        skip_space(lex);
    }
    token->column = column_of(lex);
    if (scan_peek(lex, 0) == '%')
        return take_magic(lex, token, fresh_cell);
    if (scan_peek(lex, 0) != '!')
        return false;
    lex->at += scan_peek(lex, 1) == '!' ? 2 : 1;
    take_shell(lex, token);
    return true;
}

/* `files = !ls` and `t = %timeit -o f()`, which are no Python. */
static bool
take_behind_assignment(struct scan_lex *lex, struct scan_token *token)
{
    if (lex->last != '=' || is_enclosed(lex))
        return false;
    if (scan_peek(lex, 0) == '%')
        return take_magic(lex, token, false);
    if (scan_peek(lex, 0) != '!')
        return false;
    lex->at++;
    take_shell(lex, token);
    return true;
}

/* --- tokens ------------------------------------------------------------------------------- */

void
scan_lex_init(struct scan_lex *lex, const char *code, size_t len)
{
    /* Not as a whole: the arrays are large and need no values. */
    memset(lex, 0, offsetof(struct scan_lex, value));
    lex->at = lex->line_start = code;
    lex->end = code + len;
    lex->line = 1;
    lex->fresh_line = lex->fresh_cell = true;
    if (len >= 3 && memcmp(code, "\xef\xbb\xbf", 3) == 0)
        lex->at += 3;
}

void
scan_lex_drop_value(struct scan_lex *lex)
{
    lex->value_len = lex->n_chars = lex->n_escapes = 0;
}

static void
take_by_char(struct scan_lex *lex, struct scan_token *token)
{
    char c = scan_peek(lex, 0);

    if (lex->at == lex->end)
        return; /* TOKEN_END */
    if (scan_is_newline(c)) {
        token->kind = TOKEN_NEWLINE;
        scan_take_newline(lex);
        lex->fresh_line = true;
    } else if (scan_is_name_start(c)) {
        take_name(lex, token);
    } else if (isdigit((unsigned char)c) ||
               (c == '.' && isdigit((unsigned char)scan_peek(lex, 1)))) {
        take_number(lex, token);
    } else if (c == '"' || c == '\'') {
        take_string(lex, token, false, false);
    } else {
        take_operator(lex, token);
    }
}

static void
next(struct scan_lex *lex, struct scan_token *token)
{
    if (lex->pending != '\0') {
        token->kind = TOKEN_OP;
        token->op = lex->pending;
        lex->pending = '\0';
        return;
    }
    if (lex->in_text) {
        token->kind = TOKEN_STRING;
        scan_literal_take_text(lex);
        return;
    }
    if (lex->shell) {
        take_shell_line(lex, token);
        return;
    }
    skip_space(lex);
    if (lex->at < lex->end && lex->fresh_line && take_line_start(lex, token))
        return;
    if (lex->at < lex->end && take_behind_assignment(lex, token))
        return;
    skip_space(lex); /* behind a magic's name */
    token->line = lex->line;
    take_by_char(lex, token);
}

void
scan_lex_next(struct scan_lex *lex, struct scan_token *token)
{
    *token = (struct scan_token){.kind = TOKEN_END, .line = lex->line};
    next(lex, token);
    lex->last = token->kind == TOKEN_OP ? token->op : '\0';
}
