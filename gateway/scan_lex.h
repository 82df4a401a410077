/*
 * scan_lex.h - Python source as tokens, as far as a scan needs them: names, literals, operators, where a logical line begins.
 * It takes any bytes, and never fails: what is no Python becomes tokens that mean nothing.  Pure.
 *
 * Fields of f-strings are code, and come as tokens between OP '{' and OP '}'.  What IPython takes for its own is followed
 * where it leads to code (`%timeit f()`), is a TOKEN_SHELL where it leads to a shell (`!ls`, `%%bash`), and is skipped else.
 */
#ifndef GATEWAY_SCAN_LEX_H
#define GATEWAY_SCAN_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SCAN_VALUE_MAX = 4096, /* bytes of a literal that are kept */
    SCAN_NAME_MAX = 128,   /* bytes of a name whose characters have to be changed */
    SCAN_MAX_FIELDS = 150, /* fields of f-strings one in the other, as in CPython */
};

enum scan_token_kind {
    TOKEN_END,
    TOKEN_NEWLINE, /* the end of a logical line */
    TOKEN_NAME,
    TOKEN_NUMBER,
    TOKEN_STRING, /* a literal, or a piece of an f-string */
    TOKEN_SHELL,  /* a command line */
    TOKEN_OP,
};

struct scan_token {
    enum scan_token_kind kind;
    const char *text; /* of a name or number; valid until the next token */
    size_t len;
    /* Of an operator, its first character; '=' is the assignment only, 'e' are == += and so on. */
    char op;
    unsigned line;   /* where it begins; the first is 1 */
    bool first;      /* of its logical line */
    unsigned column; /* how far a first one is indented */
};

/* An open field of an f-string. */
struct scan_field {
    char quote;
    bool triple, raw;
    bool in_format; /* behind its colon, where text and more fields are */
    unsigned depth; /* of brackets inside it */
};

struct scan_lex {
    const char *at, *end;
    const char *line_start; /* of the physical line */
    unsigned line;
    unsigned depth;    /* open brackets */
    unsigned n_fields; /* used of fields */
    bool fresh_line;   /* no token of this logical line yet */
    bool fresh_cell;   /* no token at all yet */
    bool in_text;      /* of the f-string text_of */
    bool shell;        /* the rest is for a shell */
    char pending;      /* an operator to come before anything else */
    char last;         /* operator, 0 if the last token was none */
    struct scan_field text_of;
    /*
     * What literals say, their escapes resolved, one behind the other until scan_lex_drop_value; and how much of them,
     * beyond what fits as well, was written as an escape by number.
     */
    size_t value_len, n_chars, n_escapes;
    char value[SCAN_VALUE_MAX];
    char name[SCAN_NAME_MAX];
    struct scan_field fields[SCAN_MAX_FIELDS];
};

/* code is borrowed. */
void scan_lex_init(struct scan_lex *, const char *code, size_t len);
/* After TOKEN_END, TOKEN_END again. */
void scan_lex_next(struct scan_lex *, struct scan_token *);
void scan_lex_drop_value(struct scan_lex *);

#endif
