/* scan_literal.c - see scan_literal.h. */
#include "scan_literal.h"

#include <ctype.h>
#include <string.h>

#include "scan_cursor.h"

void
scan_literal_put(struct scan_lex *lex, char c)
{
    lex->n_chars++;
    if (lex->value_len < SCAN_VALUE_MAX)
        lex->value[lex->value_len++] = c;
}

/* At most max digits; characters beyond ASCII, which no rule has, are one '?'. */
static void
put_by_number(struct scan_lex *lex, unsigned base, unsigned max)
{
    unsigned value = 0;

    for (unsigned i = 0; i < max && isxdigit((unsigned char)scan_peek(lex, 0)); i++) {
        char c = (char)tolower((unsigned char)*lex->at);
        unsigned digit = (unsigned)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);

        if (digit >= base)
            break;
        value = value * base + digit;
        lex->at++;
    }
    lex->n_escapes++;
    scan_literal_put(lex, value < 0x80 ? (char)value : '?');
}

static void
put_by_letter(struct scan_lex *lex, char c)
{
    static const char letters[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
    const char *found = c != '\0' ? strchr(letters, c) : NULL;

    if (found == NULL && strchr("\\'\"", c) == NULL)
        scan_literal_put(lex, '\\'); /* no escape at all */
    scan_literal_put(lex, found ? values[found - letters] : c);
}

/* \N{DASH} */
static void
skip_character_name(struct scan_lex *lex)
{
    while (lex->at < lex->end && *lex->at != '}' && !scan_is_newline(*lex->at))
        lex->at++;
    if (scan_peek(lex, 0) == '}')
        lex->at++;
    lex->n_escapes++;
    scan_literal_put(lex, '?');
}

/* At the backslash of a literal that is not raw. */
static void
take_escape(struct scan_lex *lex)
{
    char c = scan_peek(lex, 1);

    lex->at++;
    if (lex->at == lex->end)
        return;
    if (scan_is_newline(c)) {
        scan_take_newline(lex);
        return;
    }
    if (c >= '0' && c <= '7') {
        put_by_number(lex, 8, 3);
        return;
    }
    lex->at++;
    if (c == 'x')
        put_by_number(lex, 16, 2);
    else if (c == 'u')
        put_by_number(lex, 16, 4);
    else if (c == 'U')
        put_by_number(lex, 16, 8);
    else if (c == 'N' && scan_peek(lex, 0) == '{')
        skip_character_name(lex);
    else
        put_by_letter(lex, c);
}

/* A raw literal's backslash stays, and so does what it keeps from being the end. */
static void
take_raw_backslash(struct scan_lex *lex)
{
    char c = scan_peek(lex, 1);

    scan_literal_put(lex, '\\');
    lex->at++;
    if (c == '\\' || c == '\'' || c == '"') {
        scan_literal_put(lex, c);
        lex->at++;
    }
}

static void
take_char(struct scan_lex *lex, bool raw)
{
    if (*lex->at == '\\' && raw)
        take_raw_backslash(lex);
    else if (*lex->at == '\\')
        take_escape(lex);
    else if (scan_is_newline(*lex->at)) {
        scan_literal_put(lex, '\n');
        scan_take_newline(lex);
    } else
        scan_literal_put(lex, *lex->at++);
}

/* Whether the literal ends here: at its quotes, or at a line's end that it must not have. */
static bool
take_end(struct scan_lex *lex, const struct scan_field *q)
{
    if (!q->triple && scan_is_newline(*lex->at))
        return true;
    if (*lex->at != q->quote)
        return false;
    if (!q->triple) {
        lex->at++;
        return true;
    }
    if (scan_peek(lex, 1) != q->quote || scan_peek(lex, 2) != q->quote)
        return false;
    lex->at += 3;
    return true;
}

void
scan_literal_take(struct scan_lex *lex, const struct scan_field *q)
{
    while (lex->at < lex->end && !take_end(lex, q))
        take_char(lex, q->raw);
}

/* --- f-strings ---------------------------------------------------------------------------- */

static struct scan_field *
innermost(struct scan_lex *lex)
{
    return lex->n_fields > 0 ? &lex->fields[lex->n_fields - 1] : NULL;
}

/* Whether the text that goes on is that of a field's format, not of a string. */
static bool
is_format(struct scan_lex *lex)
{
    return lex->n_fields > 0 && innermost(lex)->in_format;
}

/* At its '{', which is the next token. */
static void
open_field(struct scan_lex *lex)
{
    struct scan_field *field = &lex->fields[lex->n_fields++];

    *field = lex->text_of;
    field->in_format = false;
    field->depth = 0;
    lex->at++;
    lex->in_text = false;
    lex->pending = '{';
}

/* Behind its '}', where the text goes on. */
static void
close_field(struct scan_lex *lex)
{
    lex->text_of = *innermost(lex);
    lex->n_fields--;
    lex->in_text = true;
}

/* Whether the text pauses at a brace; `{{` and `}}` are characters. */
static bool
take_brace(struct scan_lex *lex)
{
    char c = *lex->at;

    if (c == '}' && is_format(lex)) {
        lex->at++;
        close_field(lex);
        lex->pending = '}';
        return true;
    }
    if (c == '{' && (is_format(lex) || scan_peek(lex, 1) != '{') &&
        lex->n_fields < SCAN_MAX_FIELDS) {
        open_field(lex);
        return true;
    }
    if ((c == '{' || c == '}') && scan_peek(lex, 1) == c)
        lex->at++;
    return false;
}

/* Text of an f-string up to a field, or to its end. */
void
scan_literal_take_text(struct scan_lex *lex)
{
    const struct scan_field q = lex->text_of;

    while (lex->at < lex->end) {
        if (take_brace(lex))
            return;
        if (take_end(lex, &q)) {
            if (is_format(lex)) /* a field without its end */
                lex->n_fields--;
            break;
        }
        take_char(lex, q.raw);
    }
    lex->in_text = false;
}

void
scan_literal_end_field(struct scan_lex *lex, char c)
{
    if (c == '}') {
        close_field(lex);
    } else {
        innermost(lex)->in_format = true;
        lex->text_of = *innermost(lex);
        lex->in_text = true;
    }
}
