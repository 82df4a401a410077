/*
 * scan.c - see scan.h.
 *
 * One pass over the tokens, without a syntax tree.  What is kept is the dotted name at hand (`chain`), the brackets that are
 * open, and what names of the code stand for (scan_names.h).  Names are followed in the order of the text; functions, branches
 * and loops are not understood.
 */
#include "scan.h"

#include <stdbool.h>

#include "scan_lex.h"
#include "scan_match.h"
#include "scan_names.h"
#include "scan_rules.h"

enum {
    MAX_DEPTH = 200,  /* brackets, as in CPython */
    MIN_ESCAPES = 16, /* from which on a literal may be one to hide code */
};

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

    unsigned depth, excess; /* levels above the first; brackets beyond MAX_DEPTH */

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
    struct level levels[MAX_DEPTH + 1];
};

struct scan {
    bool is_python;
    struct scan_rules *rules;
};

/* --- mentions ----------------------------------------------------------------------------- */

static struct level *
top(struct scanner *s)
{
    return &s->levels[s->depth];
}

static void
bind(struct scanner *s, const struct scan_name *name, const struct scan_chain *chain)
{
    if (scan_names_bind(&s->names, name, chain) < 0)
        scan_match_give_up(&s->match, s->token.line);
}

/* Something an exec rule is about: found where exec runs it, remembered where a name is given to it. */
static void
check_decoder(struct scanner *s, const struct scan_pattern *p)
{
    const unsigned line = top(s)->runner_line;

    for (; p; p = scan_rules_more(p)) {
        if (line)
            scan_match_report(&s->match, p->rule, line);
        else if (s->target.hash)
            s->decoded = p->rule;
    }
}

/* The chain is complete: as an argument, as what exec is given, as part of what is assigned. */
static void
mention(struct scanner *s)
{
    const struct level *level = top(s);
    const struct scan_chain *chain = &s->chain;

    if (chain->len == 0 || scan_chain_is_unknown(chain))
        return;
    scan_match_name(&s->match, level->pending_first, level->pending_after, chain);
    if (chain->known && (level->runner_line || s->target.hash))
        check_decoder(s, scan_rules_find(s->rules, ROLE_DECODER, chain->text, chain->len));
}

/* The first name of a term: what was decoded before is run now, or given on to another name. */
static void
use_decoded(struct scanner *s)
{
    const struct level *level = top(s);

    if (s->chain.decoded == NULL || level->n_terms != 1)
        return;
    if (level->run_first)
        scan_match_report(&s->match, s->chain.decoded, level->runner_line);
    else if (s->target.hash && s->depth == 0)
        s->decoded = s->chain.decoded;
}

/* --- literals ----------------------------------------------------------------------------- */

static void
match_literal(struct scanner *s)
{
    const struct level *level = top(s);

    scan_match_text(&s->match, level->pending_first, level->pending_after, s->lex.value,
                    s->lex.value_len);
    if (s->lex.n_escapes >= MIN_ESCAPES && s->lex.n_escapes * 2 >= s->lex.n_chars)
        check_decoder(s, scan_rules_find(s->rules, ROLE_ESCAPES, "", 0));
}

/* __import__("x") and getattr(x, "y") are as good as the names they stand for. */
static void
resolve_literal(struct scanner *s)
{
    struct level *level = top(s);
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

/* The literal has come to its end, with all that was joined to it. */
static void
end_literal(struct scanner *s)
{
    if (!s->literal)
        return;
    s->literal = false;
    top(s)->n_terms += s->plus; /* something else is added to it */
    s->plus = false;
    match_literal(s);
    resolve_literal(s);
    scan_lex_drop_value(&s->lex);
}

/* --- statements --------------------------------------------------------------------------- */

static void
end_chain(struct scanner *s)
{
    mention(s);
    s->chain.len = 0;
    s->dot = false;
}

/* `name = ...` is over: the name is what stands behind, if that is one chain. */
static void
end_assignment(struct scanner *s)
{
    struct scan_chain value = s->chain;

    if (top(s)->n_terms != 1 || value.len == 0 || s->dot)
        scan_chain_forget(&value);
    value.decoded = s->decoded;
    bind(s, &s->target, &value);
}

static void
end_statement(struct scanner *s)
{
    end_literal(s);
    mention(s);
    if (s->target.hash && s->depth == 0)
        end_assignment(s);
    s->chain.len = 0;
    s->dot = false;
    s->depth = s->excess = s->match.n_pending = 0; /* of code that is wrong, more may be open */
    s->target.hash = 0;
    s->decoded = NULL;
    s->expected = NOTHING;
    top(s)->n_terms = 0;
    s->at_statement = true;
}

static void
next(struct scanner *s)
{
    scan_lex_next(&s->lex, &s->token);
}

static bool
is_op(const struct scanner *s, char op)
{
    return s->token.kind == TOKEN_OP && s->token.op == op;
}

static bool
is_word(const struct scanner *s, const char *word)
{
    return s->token.kind == TOKEN_NAME && s->token.len == strlen(word) &&
           memcmp(s->token.text, word, s->token.len) == 0;
}

/* A module's name from the token on; what follows it is the token then. */
static void
read_module(struct scanner *s, struct scan_chain *module)
{
    bool dot = true;

    module->len = 0;
    module->decoded = NULL;
    for (; !is_word(s, "import"); next(s)) {
        if (s->token.kind == TOKEN_NAME && dot && module->len == 0)
            scan_chain_set(module, s->rules, s->token.text, s->token.len);
        else if (s->token.kind == TOKEN_NAME && dot)
            scan_chain_add(module, s->token.text, s->token.len);
        else if (is_op(s, '.') && module->len == 0) /* relative to a package of their own */
            scan_chain_forget(module);
        else if (!is_op(s, '.'))
            return;
        dot = s->token.kind == TOKEN_OP;
    }
}

/* `as name` if it is there: name is what is imported, else the name that it has by itself. */
static void
bind_import(struct scanner *s, struct scan_name name, const struct scan_chain *object)
{
    if (is_word(s, "as")) {
        next(s);
        if (s->token.kind != TOKEN_NAME)
            return;
        name = scan_name_of(s->rules, s->token.text, s->token.len);
        next(s);
    }
    bind(s, &name, object);
}

/* import a.b as c, d */
static void
read_import(struct scanner *s)
{
    struct scan_chain module, root;
    unsigned line;

    do {
        next(s);
        line = s->token.line;
        read_module(s, &module);
        scan_match_import(&s->match, module.text, module.len, line);
        root = module;
        for (size_t i = 0; i < root.len; i++)
            if (root.text[i] == '.')
                root.len = i;
        bind_import(s, scan_name_of(s->rules, root.text, root.len),
                    is_word(s, "as") ? &module : &root);
    } while (is_op(s, ','));
}

/* One name of `from module import`. */
static void
read_imported(struct scanner *s, const struct scan_chain *module)
{
    struct scan_chain object = *module;
    struct scan_name name = scan_name_of(s->rules, s->token.text, s->token.len);

    scan_chain_add(&object, s->token.text, s->token.len);
    scan_match_import(&s->match, object.text, object.len, s->token.line);
    next(s);
    bind_import(s, name, &object);
}

/* from a import b as c, d; from a import (b, c); from a import * */
static void
read_from(struct scanner *s)
{
    struct scan_chain module;
    unsigned line;

    next(s);
    line = s->token.line;
    read_module(s, &module);
    if (module.len == 0 || !is_word(s, "import"))
        return;
    scan_match_import(&s->match, module.text, module.len, line);
    for (next(s); s->token.kind == TOKEN_NAME || is_op(s, '(') || is_op(s, ')') || is_op(s, ',') ||
                  is_op(s, '*');) {
        if (s->token.kind == TOKEN_NAME) {
            read_imported(s, &module);
            continue;
        }
        if (is_op(s, '*'))
            scan_names_import_all(&s->names, &module);
        next(s);
    }
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
    top(s)->n_terms++;
    if (expected == AS_NAME && s->as.len > 0) {
        name = scan_name_of(s->rules, s->token.text, s->token.len);
        bind(s, &name, &s->as);
    }
    return true;
}

/* Words that are not part of an expression; true when the token is one. */
static bool
take_keyword(struct scanner *s)
{
    if (is_word(s, "as")) {
        scan_chain_copy(&s->as, &s->chain);
        end_chain(s);
        s->expected = AS_NAME;
    } else if (is_word(s, "def") || is_word(s, "class")) {
        end_chain(s);
        s->expected = DEFINED_NAME;
    } else if (is_word(s, "while") && s->token.first) {
        end_chain(s);
        s->condition_column = s->token.column;
        s->expected = LOOP_CONDITION;
    } else {
        return false;
    }
    top(s)->n_terms++;
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
    end_chain(s);
    s->expected = s->expected == LOOP_CONDITION && is_word(s, "True") ? LOOP_COLON : NOTHING;
    top(s)->n_terms++;
    scan_names_resolve(&s->names, s->token.text, s->token.len, &s->root, &s->chain);
    use_decoded(s);
}

/* --- brackets ----------------------------------------------------------------------------- */

static bool
has_role(const struct scanner *s, enum scan_role role, const struct scan_chain *chain)
{
    return scan_rules_find(s->rules, role, chain->text, chain->len) != NULL;
}

/* The level of a call of the chain: which rules wait for its arguments, and what it is worth. */
static void
open_call(struct scanner *s, struct level *level, const struct scan_chain *callee)
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
    const struct level *outer = top(s);
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

static void
open_bracket(struct scanner *s)
{
    const bool is_call = s->token.op == '(' && s->chain.len > 0 && !s->dot;
    const bool is_first = s->chain.len == 0 && ++top(s)->n_terms == 1;
    const bool run_first = is_first && top(s)->run_first;

    mention(s);
    if (s->depth == MAX_DEPTH) {
        s->excess++;
    } else {
        open_level(s);
        if (is_call)
            open_call(s, top(s), &s->chain);
        else
            top(s)->run_first = run_first && s->token.op == '(';
    }
    s->chain.len = 0;
    s->dot = false;
}

/* What the brackets are worth is the chain then, for a dot or a call that follows. */
static void
close_bracket(struct scanner *s)
{
    const struct level *level = top(s);
    bool keep = level->value == VALUE_OF_PARENS && level->n_terms == 1 && s->chain.len > 0;

    keep = keep && !s->dot;
    mention(s);
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
    return top(s)->n_terms > 1;
}

/* A statement may follow in the line; the body of a loop that never ends does. */
static void
take_colon(struct scanner *s)
{
    bool head = s->depth == 0 && ends_head(s);

    end_chain(s);
    top(s)->n_terms = head ? 0 : top(s)->n_terms + 1;
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
    if (s->depth > 0 || top(s)->n_terms != 1 || s->root.hash == 0 || s->chain.len == 0 || s->dot)
        return false;
    s->target = s->root;
    s->decoded = NULL;
    s->chain.len = 0; /* it is set here, not used */
    top(s)->n_terms = 0;
    return true;
}

static void
take_comma(struct scanner *s)
{
    struct level *level = top(s);

    if (level->value == VALUE_OF_GETATTR && level->n_terms == 1 && s->chain.len > 0) {
        scan_chain_copy(&s->object, &s->chain);
        s->object_depth = s->depth;
    }
    end_chain(s);
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
        end_chain(s);
        top(s)->n_terms++;
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
    end_literal(s);
    if (op == '.' && !s->dot) {
        if (s->chain.len == 0)
            scan_chain_forget(&s->chain);
        s->dot = true;
    } else if (op == '(' || op == '[' || op == '{') {
        open_bracket(s);
    } else if (op == ')' || op == ']' || op == '}') {
        close_bracket(s);
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
    end_chain(s);
    if (!s->literal)
        top(s)->n_terms++;
    s->literal = true;
    s->plus = false;
}

/* `!command` is a call of os.system. */
static void
take_shell(struct scanner *s)
{
    static const char name[] = "os.system";
    struct level *level = top(s);
    const struct level before = *level;
    struct scan_chain callee;

    end_chain(s);
    scan_chain_set(&callee, s->rules, name, strlen(name));
    level->pending_before = s->match.n_pending;
    open_call(s, level, &callee);
    match_literal(s);
    s->match.n_pending = before.pending_before;
    *level = before;
    level->n_terms++;
    scan_lex_drop_value(&s->lex);
}

static void
take_number(struct scanner *s)
{
    bool is_true = s->expected == LOOP_CONDITION && s->token.text[0] != '0';

    end_chain(s);
    top(s)->n_terms++;
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
    bool from = s->at_statement && is_word(s, "from");

    if (s->dot || (!from && !is_word(s, "import")))
        return false;
    end_literal(s);
    end_chain(s);
    if (from)
        read_from(s);
    else
        read_import(s);
    return true;
}

static void
take_token(struct scanner *s)
{
    const bool was_at_statement = s->at_statement;

    switch (s->token.kind) {
    case TOKEN_NAME:
        end_literal(s);
        take_name(s);
        break;
    case TOKEN_NUMBER:
        end_literal(s);
        take_number(s);
        break;
    case TOKEN_STRING:
        take_literal(s);
        break;
    case TOKEN_SHELL:
        end_literal(s);
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
    if (was_at_statement && !is_op(s, ':') && !is_op(s, ';'))
        s->at_statement = false;
    if (s->token.kind != TOKEN_NAME && (s->expected == DEFINED_NAME || s->expected == AS_NAME))
        s->expected = NOTHING;
}

static void
scan_python(struct scanner *s)
{
    next(s);
    while (s->token.kind != TOKEN_END && !scan_match_is_full(&s->match)) {
        if (s->token.first)
            take_first(s);
        if (take_import(s))
            continue;
        take_token(s);
        next(s);
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
