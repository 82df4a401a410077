/*
 * scan_state.h - what the parts of a scan have in common: where it stands.  Part of scan.h, and for its parts alone.
 *
 * scan.c goes through the tokens, scan_import reads imports, scan_term knows what terms are worth.
 */
#ifndef GATEWAY_SCAN_STATE_H
#define GATEWAY_SCAN_STATE_H

#include <stdbool.h>
#include <string.h>

#include "scan_lex.h"
#include "scan_match.h"
#include "scan_names.h"
#include "scan_rules.h"

enum { SCAN_MAX_DEPTH = 200 }; /* brackets, as in CPython */

/* How a closing bracket's value is found. */
enum value {
    VALUE_UNKNOWN,
    VALUE_OF_PARENS,  /* what is in them, if it is one name */
    VALUE_OF_CALL,    /* "chain()" */
    VALUE_OF_IMPORT,  /* the module that the literal names */
    VALUE_OF_GETATTR, /* "object.literal" */
    VALUE_FOUND,      /* chain */
};

struct level {
    enum value value;
    struct scan_chain chain;
    unsigned n_terms;                      /* names, literals and operators in it so far */
    unsigned pending_first, pending_after; /* the rules that its arguments are for */
    unsigned pending_before;               /* rules that waited when it was opened */
    unsigned runner_line;                  /* inside the call of exec in this line; 0: in none */
    bool run_first;                        /* its first term is what exec runs */
};

enum expected { NOTHING, DEFINED_NAME, AS_NAME, LOOP_CONDITION, LOOP_COLON };

struct scanner {
    const struct scan_rules *rules;
    struct scan_token token;

    struct scan_chain chain; /* of the dotted name that is being read */
    struct scan_name root;   /* its first name while that is all there is, else none */
    bool dot;                /* behind a dot of it */
    bool literal, plus; /* a literal is complete but for what may be joined to it; a + behind it */
    enum expected expected;

    unsigned depth, excess; /* levels above the first; brackets beyond SCAN_MAX_DEPTH */

    bool at_statement;               /* a statement may begin with the next token */
    struct scan_name target;         /* what the statement assigns to, if that is a name */
    const struct scan_rule *decoded; /* a decoder's name stands behind it */

    struct scan_chain as;      /* what the name after `as` is for */
    struct scan_chain object;  /* getattr's first argument */
    unsigned object_depth;     /* of the call it was given to */
    bool in_loop;              /* in the body of `while True` */
    unsigned loop_column;      /* of that */
    unsigned condition_column; /* of a while whose condition is being read */

    /* From here on nothing has a value before it is used. */
    struct scan_names names;
    struct scan_match match;
    struct scan_lex lex;
    struct level levels[SCAN_MAX_DEPTH + 1];
};

static inline struct level *
scanner_top(struct scanner *s)
{
    return &s->levels[s->depth];
}

static inline void
scanner_bind(struct scanner *s, const struct scan_name *name, const struct scan_chain *chain)
{
    if (scan_names_bind(&s->names, name, chain) < 0)
        scan_match_give_up(&s->match, s->token.line);
}

static inline void
scanner_next(struct scanner *s)
{
    scan_lex_next(&s->lex, &s->token);
}

static inline bool
scanner_is_op(const struct scanner *s, char op)
{
    return s->token.kind == TOKEN_OP && s->token.op == op;
}

static inline bool
scanner_is_word(const struct scanner *s, const char *word)
{
    return s->token.kind == TOKEN_NAME && s->token.len == strlen(word) &&
           memcmp(s->token.text, word, s->token.len) == 0;
}

#endif
