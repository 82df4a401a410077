/*
 * scan.c - see scan.h.
 *
 * One pass over the tokens, without a syntax tree.  What is kept is the dotted name at hand (`chain`), the brackets that are
 * open, and what names of the code stand for (scan_names.h).  Names are followed in the order of the text; functions, branches
 * and loops are not understood.
 */
#include "scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "scan_import.h"
#include "scan_lex.h"
#include "scan_match.h"
#include "scan_names.h"
#include "scan_rules.h"
#include "scan_state.h"
#include "scan_term.h"

struct scan {
    bool is_python;
    struct scan_rules *rules;
};

/* --- statements --------------------------------------------------------------------------- */

/* `name = ...` is over: the name is what stands behind, if that is one chain. */
static void
end_assignment(struct scanner *s)
{
    struct scan_chain value = s->chain;

    if (scanner_top(s)->n_terms != 1 || value.len == 0 || s->dot)
        scan_chain_forget(&value);
    value.decoded = s->decoded;
    scanner_bind(s, &s->target, &value);
}

static void
end_statement(struct scanner *s)
{
    scanner_end_literal(s);
    scanner_mention(s);
    if (s->target.hash && s->depth == 0)
        end_assignment(s);
    s->chain.len = 0;
    s->dot = false;
    s->depth = s->excess = s->match.n_pending = 0; /* of code that is wrong, more may be open */
    s->target.hash = 0;
    s->decoded = NULL;
    s->expected = NOTHING;
    scanner_top(s)->n_terms = 0;
    s->at_statement = true;
}

/* --- names -------------------------------------------------------------------------------- */

/* The name that `def`, `class` or `as` was followed by.  False when the token is for somebody else. */
static bool
take_expected_name(struct scanner *s)
{
    const enum expected expected = s->expected;
    struct scan_name name;

    if (expected != DEFINED_NAME && expected != AS_NAME)
        return false;
    s->expected = NOTHING;
    scanner_top(s)->n_terms++;
    if (expected == AS_NAME && s->as.len > 0) {
        name = scan_name_of(s->rules, s->token.text, s->token.len);
        scanner_bind(s, &name, &s->as);
    }
    return true;
}

/* Words that are not part of an expression; true when the token is one. */
static bool
take_keyword(struct scanner *s)
{
    if (scanner_is_word(s, "as")) {
        scan_chain_copy(&s->as, &s->chain);
        scanner_end_chain(s);
        s->expected = AS_NAME;
    } else if (scanner_is_word(s, "def") || scanner_is_word(s, "class")) {
        scanner_end_chain(s);
        s->expected = DEFINED_NAME;
    } else if (scanner_is_word(s, "while") && s->token.first) {
        scanner_end_chain(s);
        s->condition_column = s->token.column;
        s->expected = LOOP_CONDITION;
    } else {
        return false;
    }
    scanner_top(s)->n_terms++;
    return true;
}

static void
take_name(struct scanner *s)
{
    if (s->dot) {
        s->dot = false;
        s->root.hash = 0;
        scan_chain_add(&s->chain, s->token.text, s->token.len);
        return;
    }
    if (take_expected_name(s) || take_keyword(s))
        return;
    scanner_end_chain(s);
    s->expected =
        s->expected == LOOP_CONDITION && scanner_is_word(s, "True") ? LOOP_COLON : NOTHING;
    scanner_top(s)->n_terms++;
    scan_names_resolve(&s->names, s->token.text, s->token.len, &s->root, &s->chain);
    scanner_use_decoded(s);
}

/* --- operators ---------------------------------------------------------------------------- */

/* Whether the colon ends the head of a compound statement, and not the name of an annotated one. */
static bool
ends_head(struct scanner *s)
{
    static const char *const words[] = {"else", "finally", "try"};

    if (s->target.hash)
        return false; /* a lambda's */
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (s->chain.len == strlen(words[i]) && memcmp(s->chain.text, words[i], s->chain.len) == 0)
            return true;
    return scanner_top(s)->n_terms > 1;
}

/* A statement may follow in the line; the body of a loop that never ends does. */
static void
take_colon(struct scanner *s)
{
    bool head = s->depth == 0 && ends_head(s);

    scanner_end_chain(s);
    scanner_top(s)->n_terms = head ? 0 : scanner_top(s)->n_terms + 1;
    s->at_statement |= s->depth == 0;
    if (s->depth > 0 || s->expected != LOOP_COLON || s->in_loop)
        return;
    s->in_loop = true;
    s->loop_column = s->condition_column;
}

/* True when what stands before the = is one name. */
static bool
take_assignment(struct scanner *s)
{
    if (s->depth > 0 || scanner_top(s)->n_terms != 1 || s->root.hash == 0 || s->chain.len == 0 ||
        s->dot)
        return false;
    s->target = s->root;
    s->decoded = NULL;
    s->chain.len = 0; /* it is set here, not used */
    scanner_top(s)->n_terms = 0;
    return true;
}

static void
take_comma(struct scanner *s)
{
    struct level *level = scanner_top(s);

    if (level->value == VALUE_OF_GETATTR && level->n_terms == 1 && s->chain.len > 0) {
        scan_chain_copy(&s->object, &s->chain);
        s->object_depth = s->depth;
    }
    scanner_end_chain(s);
    level->n_terms++;
}

static void
take_other_operator(struct scanner *s)
{
    if (s->token.op == ':')
        take_colon(s);
    else if (s->token.op == ',')
        take_comma(s);
    else if (s->token.op != '=' || !take_assignment(s)) {
        scanner_end_chain(s);
        scanner_top(s)->n_terms++;
    }
    s->expected = NOTHING;
}

static void
take_operator(struct scanner *s)
{
    const char op = s->token.op;

    if (op == '+' && s->literal && !s->plus) {
        s->plus = true;
        return;
    }
    scanner_end_literal(s);
    if (op == '.' && !s->dot) {
        if (s->chain.len == 0)
            scan_chain_forget(&s->chain);
        s->dot = true;
    } else if (op == '(' || op == '[' || op == '{') {
        scanner_open_bracket(s);
    } else if (op == ')' || op == ']' || op == '}') {
        scanner_close_bracket(s);
    } else if (op == ';' && s->depth == 0) {
        end_statement(s);
    } else {
        take_other_operator(s);
    }
}

/* --- tokens ------------------------------------------------------------------------------- */

static void
take_literal(struct scanner *s)
{
    scanner_end_chain(s);
    if (!s->literal)
        scanner_top(s)->n_terms++;
    s->literal = true;
    s->plus = false;
}

/* `!command` is a call of os.system. */
static void
take_shell(struct scanner *s)
{
    static const char name[] = "os.system";
    struct level *level = scanner_top(s);
    const struct level before = *level;
    struct scan_chain callee;

    scanner_end_chain(s);
    scan_chain_set(&callee, s->rules, name, strlen(name));
    level->pending_before = s->match.n_pending;
    scanner_open_call(s, level, &callee);
    scanner_match_literal(s);
    s->match.n_pending = before.pending_before;
    *level = before;
    level->n_terms++;
    scan_lex_drop_value(&s->lex);
}

static void
take_number(struct scanner *s)
{
    bool is_true = s->expected == LOOP_CONDITION && s->token.text[0] != '0';

    scanner_end_chain(s);
    scanner_top(s)->n_terms++;
    s->expected = is_true ? LOOP_COLON : NOTHING;
}

static void
take_first(struct scanner *s)
{
    if (s->in_loop && s->token.column <= s->loop_column)
        s->in_loop = false;
}

/* True when the token is an import, which has been read to its end: the token is what follows it. */
static bool
take_import(struct scanner *s)
{
    bool from = s->at_statement && scanner_is_word(s, "from");

    if (s->dot || (!from && !scanner_is_word(s, "import")))
        return false;
    scanner_end_literal(s);
    scanner_end_chain(s);
    if (from)
        scanner_read_from(s);
    else
        scanner_read_import(s);
    return true;
}

static void
take_token(struct scanner *s)
{
    const bool was_at_statement = s->at_statement;

    switch (s->token.kind) {
    case TOKEN_NAME:
        scanner_end_literal(s);
        take_name(s);
        break;
    case TOKEN_NUMBER:
        scanner_end_literal(s);
        take_number(s);
        break;
    case TOKEN_STRING:
        take_literal(s);
        break;
    case TOKEN_SHELL:
        scanner_end_literal(s);
        take_shell(s);
        break;
    case TOKEN_OP:
        take_operator(s);
        break;
    case TOKEN_NEWLINE:
    case TOKEN_END:
        end_statement(s);
        return;
    }
    if (was_at_statement && !scanner_is_op(s, ':') && !scanner_is_op(s, ';'))
        s->at_statement = false;
    if (s->token.kind != TOKEN_NAME && (s->expected == DEFINED_NAME || s->expected == AS_NAME))
        s->expected = NOTHING;
}

static void
scan_python(struct scanner *s)
{
    scanner_next(s);
    while (s->token.kind != TOKEN_END && !scan_match_is_full(&s->match)) {
        if (s->token.first)
            take_first(s);
        if (take_import(s))
            continue;
        take_token(s);
        scanner_next(s);
    }
    end_statement(s);
}

void
scan_code(const struct scan *scan, const char *code, size_t len, struct scan_result *result)
{
    struct scanner s;

    result->n = 0;
    if (!scan->is_python || scan->rules == NULL)
        return;
    memset(&s, 0, offsetof(struct scanner, names));
    memset(&s.levels[0], 0, sizeof(s.levels[0]));
    s.rules = scan->rules;
    scan_names_init(&s.names, scan->rules);
    scan_match_init(&s.match, scan->rules, result);
    s.at_statement = true;
    scan_lex_init(&s.lex, code, len);
    scan_python(&s);
    scan_names_clear(&s.names);
}

/* --- the rules ---------------------------------------------------------------------------- */

struct scan *
scan_new(const char *language)
{
    struct scan *scan = xcalloc(1, sizeof(*scan));

    scan->is_python = strcmp(language, "python") == 0;
    return scan;
}

void
scan_free(struct scan *scan)
{
    if (scan == NULL)
        return;
    scan_rules_free(scan->rules);
    free(scan);
}

int
scan_load(struct scan *scan, const char *path, struct err *err)
{
    struct scan_rules *rules = scan_rules_load(path, err);

    if (rules == NULL)
        return -1;
    scan_rules_free(scan->rules);
    scan->rules = rules;
    return 0;
}
