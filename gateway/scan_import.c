/* scan_import.c - see scan_import.h. */
#include "scan_import.h"

#include "scan_state.h"

/* A module's name from the token on; what follows it is the token then. */
static void
read_module(struct scanner *s, struct scan_chain *module)
{
    bool dot = true;

    module->len = 0;
    module->decoded = NULL;
    for (; !scanner_is_word(s, "import"); scanner_next(s)) {
        if (s->token.kind == TOKEN_NAME && dot && module->len == 0)
            scan_chain_set(module, s->rules, s->token.text, s->token.len);
        else if (s->token.kind == TOKEN_NAME && dot)
            scan_chain_add(module, s->token.text, s->token.len);
        else if (scanner_is_op(s, '.') && module->len == 0) /* relative to a package of their own */
            scan_chain_forget(module);
        else if (!scanner_is_op(s, '.'))
            return;
        dot = s->token.kind == TOKEN_OP;
    }
}

/* `as name` if it is there: name is what is imported, else the name that it has by itself. */
static void
bind_import(struct scanner *s, struct scan_name name, const struct scan_chain *object)
{
    if (scanner_is_word(s, "as")) {
        scanner_next(s);
        if (s->token.kind != TOKEN_NAME)
            return;
        name = scan_name_of(s->rules, s->token.text, s->token.len);
        scanner_next(s);
    }
    scanner_bind(s, &name, object);
}

/* import a.b as c, d */
void
scanner_read_import(struct scanner *s)
{
    struct scan_chain module, root;
    unsigned line;

    do {
        scanner_next(s);
        line = s->token.line;
        read_module(s, &module);
        scan_match_import(&s->match, module.text, module.len, line);
        root = module;
        for (size_t i = 0; i < root.len; i++)
            if (root.text[i] == '.')
                root.len = i;
        bind_import(s, scan_name_of(s->rules, root.text, root.len),
                    scanner_is_word(s, "as") ? &module : &root);
    } while (scanner_is_op(s, ','));
}

/* One name of `from module import`. */
static void
read_imported(struct scanner *s, const struct scan_chain *module)
{
    struct scan_chain object = *module;
    struct scan_name name = scan_name_of(s->rules, s->token.text, s->token.len);

    scan_chain_add(&object, s->token.text, s->token.len);
    scan_match_import(&s->match, object.text, object.len, s->token.line);
    scanner_next(s);
    bind_import(s, name, &object);
}

/* from a import b as c, d; from a import (b, c); from a import * */
void
scanner_read_from(struct scanner *s)
{
    struct scan_chain module;
    unsigned line;

    scanner_next(s);
    line = s->token.line;
    read_module(s, &module);
    if (module.len == 0 || !scanner_is_word(s, "import"))
        return;
    scan_match_import(&s->match, module.text, module.len, line);
    for (scanner_next(s); s->token.kind == TOKEN_NAME || scanner_is_op(s, '(') ||
                          scanner_is_op(s, ')') || scanner_is_op(s, ',') ||
                          scanner_is_op(s, '*');) {
        if (s->token.kind == TOKEN_NAME) {
            read_imported(s, &module);
            continue;
        }
        if (scanner_is_op(s, '*'))
            scan_names_import_all(&s->names, &module);
        scanner_next(s);
    }
}
