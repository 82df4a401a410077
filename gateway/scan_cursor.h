/* scan_cursor.h - the bytes at which a scan stands, for the parts of scan_lex.h.  Part of scan_lex.h, and for its parts alone. */
#ifndef GATEWAY_SCAN_CURSOR_H
#define GATEWAY_SCAN_CURSOR_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>

#include "scan_lex.h"

/* The byte at this distance, 0 beyond the end. */
static inline char
scan_peek(const struct scan_lex *lex, size_t ahead)
{
    return ahead < (size_t)(lex->end - lex->at) ? lex->at[ahead] : '\0';
}

static inline bool
scan_is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static inline bool
scan_is_name_char(char c)
{
    return scan_is_name_start(c) || isdigit((unsigned char)c);
}

static inline bool
scan_is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* Over a line's end, of which there are three kinds. */
static inline void
scan_take_newline(struct scan_lex *lex)
{
    lex->at += lex->at[0] == '\r' && scan_peek(lex, 1) == '\n' ? 2 : 1;
    lex->line++;
    lex->line_start = lex->at;
}

static inline void
scan_skip_to_newline(struct scan_lex *lex)
{
    while (lex->at < lex->end && !scan_is_newline(*lex->at))
        lex->at++;
}

#endif
