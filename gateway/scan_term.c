/* scan_term.c - see scan_term.h. */
#include "scan_term.h"

#include "scan_state.h"

enum { MIN_ESCAPES = 16 }; /* from which on a literal may be one to hide code */

/* --- mentions ----------------------------------------------------------------------------- */

/* Something an exec rule is about: found where exec runs it, remembered where a name is given to it. */
static void
check_decoder(struct scanner *s, const struct scan_pattern *p)
{
    const unsigned line = scanner_top(s)->runner_line;

    for (; p; p = scan_rules_more(p)) {
        if (line)
            scan_match_report(&s->match, p->rule, line);
        else if (s->target.hash)
            s->decoded = p->rule;
    }
}

void
scanner_mention(struct scanner *s)
{
    const struct level *level = scanner_top(s);
    const struct scan_chain *chain = &s->chain;

    if (chain->len == 0 || scan_chain_is_unknown(chain))
        return;
    scan_match_name(&s->match, level->pending_first, level->pending_after, chain);
    if (chain->known && (level->runner_line || s->target.hash))
        check_decoder(s, scan_rules_find(s->rules, ROLE_DECODER, chain->text, chain->len));
}

void
scanner_end_chain(struct scanner *s)
{
    scanner_mention(s);
    s->chain.len = 0;
    s->dot = false;
}

void
scanner_use_decoded(struct scanner *s)
{
    const struct level *level = scanner_top(s);

    if (s->chain.decoded == NULL || level->n_terms != 1)
        return;
    if (level->run_first)
        scan_match_report(&s->match, s->chain.decoded, level->runner_line);
    else if (s->target.hash && s->depth == 0)
        s->decoded = s->chain.decoded;
}

/* --- literals ----------------------------------------------------------------------------- */

void
scanner_match_literal(struct scanner *s)
{
    const struct level *level = scanner_top(s);

    scan_match_text(&s->match, level->pending_first, level->pending_after, s->lex.value,
                    s->lex.value_len);
    if (s->lex.n_escapes >= MIN_ESCAPES && s->lex.n_escapes * 2 >= s->lex.n_chars)
        check_decoder(s, scan_rules_find(s->rules, ROLE_ESCAPES, "", 0));
}

/* __import__("x") and getattr(x, "y") are as good as the names they stand for. */
static void
resolve_literal(struct scanner *s)
{
    struct level *level = scanner_top(s);
    const char *text = s->lex.value;
    size_t len = s->lex.value_len;

    if (level->value == VALUE_OF_IMPORT && level->n_terms == 1) {
        scan_match_import(&s->match, text, len, s->token.line);
        scan_chain_set(&level->chain, s->rules, text, len);
    } else if (level->value == VALUE_OF_GETATTR && level->n_terms == 3 &&
               s->object_depth == s->depth) {
        level->chain = s->object;
        scan_chain_add(&level->chain, text, len);
    } else {
        return;
    }
    if (level->chain.len > 0)
        level->value = VALUE_FOUND;
}

void
scanner_end_literal(struct scanner *s)
{
    if (!s->literal)
        return;
    s->literal = false;
    scanner_top(s)->n_terms += s->plus; /* something else is added to it */
    s->plus = false;
    scanner_match_literal(s);
    resolve_literal(s);
    scan_lex_drop_value(&s->lex);
}

/* --- brackets ----------------------------------------------------------------------------- */

static bool
has_role(const struct scanner *s, enum scan_role role, const struct scan_chain *chain)
{
    return scan_rules_find(s->rules, role, chain->text, chain->len) != NULL;
}

void
scanner_open_call(struct scanner *s, struct level *level, const struct scan_chain *callee)
{
    const unsigned before = s->match.n_pending;

    level->value = VALUE_OF_CALL;
    scan_chain_copy(&level->chain, callee);
    scan_match_call(&s->match, callee, s->in_loop, s->token.line);
    if (s->match.n_pending > before) {
        level->pending_first = before;
        level->pending_after = s->match.n_pending;
    }
    if (!callee->known)
        return;
    if (has_role(s, ROLE_RUNNER, callee)) {
        level->runner_line = s->token.line;
        level->run_first = true;
    } else if (has_role(s, ROLE_IMPORTER, callee)) {
        level->value = VALUE_OF_IMPORT;
    } else if (has_role(s, ROLE_GETATTR, callee)) {
        level->value = VALUE_OF_GETATTR;
    }
}

/* What waits for an argument outside takes it from inside as well. */
static void
open_level(struct scanner *s)
{
    const struct level *outer = scanner_top(s);
    struct level *level = &s->levels[++s->depth];

    level->value = s->token.op == '(' ? VALUE_OF_PARENS : VALUE_UNKNOWN;
    level->chain.len = 0;
    level->n_terms = 0;
    level->pending_first = outer->pending_first;
    level->pending_after = outer->pending_after;
    level->pending_before = s->match.n_pending;
    level->runner_line = outer->runner_line;
    level->run_first = false;
}

void
scanner_open_bracket(struct scanner *s)
{
    const bool is_call = s->token.op == '(' && s->chain.len > 0 && !s->dot;
    const bool is_first = s->chain.len == 0 && ++scanner_top(s)->n_terms == 1;
    const bool run_first = is_first && scanner_top(s)->run_first;

    scanner_mention(s);
    if (s->depth == SCAN_MAX_DEPTH) {
        s->excess++;
    } else {
        open_level(s);
        if (is_call)
            scanner_open_call(s, scanner_top(s), &s->chain);
        else
            scanner_top(s)->run_first = run_first && s->token.op == '(';
    }
    s->chain.len = 0;
    s->dot = false;
}

void
scanner_close_bracket(struct scanner *s)
{
    const struct level *level = scanner_top(s);
    bool keep = level->value == VALUE_OF_PARENS && level->n_terms == 1 && s->chain.len > 0;

    keep = keep && !s->dot;
    scanner_mention(s);
    s->dot = false;
    s->root.hash = 0;
    if (s->excess > 0 || s->depth == 0) {
        s->excess -= s->excess > 0;
        s->chain.len = 0;
        return;
    }
    s->depth--;
    s->match.n_pending = level->pending_before;
    if (level->value == VALUE_OF_CALL || level->value == VALUE_FOUND)
        scan_chain_copy(&s->chain, &level->chain);
    else if (!keep)
        scan_chain_forget(&s->chain);
    if (level->value == VALUE_OF_CALL)
        scan_chain_call(&s->chain);
}
