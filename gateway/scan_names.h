/*
 * scan_names.h - what the names of the code stand for, by dotted names that the rules know: `import os as o` makes o.fork
 * os.fork, `s = socket.socket()` makes s.listen socket.socket().listen.  A name that no rule is about is not followed.  Pure.
 * Part of scan.h.
 */
#ifndef GATEWAY_SCAN_NAMES_H
#define GATEWAY_SCAN_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mem.h"
#include "scan_rules.h"

enum {
    SCAN_MAX_BINDINGS = 512, /* names that are followed */
    SCAN_MAX_STARS = 8,      /* modules of `from x import *` */
    SCAN_NAME_SLOTS = 2048,  /* of the table of bindings; a power of two */
};

/* --- chains ------------------------------------------------------------------------------- */

/* A dotted name, resolved; "?" stands for an object of which nothing is known. */
struct scan_chain {
    size_t len;                      /* 0: none at hand */
    const struct scan_rule *decoded; /* the object was made with what this rule is about */
    bool known;                      /* some rule's name begins with its first name */
    char text[SCAN_NAME_LEN];
};

static inline bool
scan_chain_is_unknown(const struct scan_chain *chain)
{
    return chain->len == 1 && chain->text[0] == '?';
}

static inline void
scan_chain_copy(struct scan_chain *chain, const struct scan_chain *from)
{
    memcpy(chain, from, offsetof(struct scan_chain, text) + from->len);
}

void scan_chain_forget(struct scan_chain *); /* it is unknown then */
void scan_chain_set(struct scan_chain *, const struct scan_rules *, const char *text, size_t len);

/* Appends .text.  A chain that becomes too long for any rule keeps its end: the object before that is unknown then. */
void scan_chain_add(struct scan_chain *, const char *text, size_t len);

/* What calling the chain returns: f() for f, of which calling once more leads nowhere. */
void scan_chain_call(struct scan_chain *);

/* --- names of the code -------------------------------------------------------------------- */

/* A name in the code. */
struct scan_name {
    uint64_t hash; /* 0: none */
    bool known;    /* some rule's name begins with it */
};

struct scan_name scan_name_of(const struct scan_rules *, const char *text, size_t len);

struct scan_binding;

struct scan_names {
    const struct scan_rules *rules;
    struct scan_binding *bindings;
    unsigned n_bindings, n_stars;
    uint16_t slots[SCAN_NAME_SLOTS]; /* 1 + index of the binding, 0: none */
    struct scan_chain stars[SCAN_MAX_STARS];
};

/* Nothing is bound.  The rules are borrowed. */
void scan_names_init(struct scan_names *, const struct scan_rules *);
void scan_names_clear(struct scan_names *); /* frees what is in it */

/* The name stands for the chain from now on; -1 if that would be one too many to follow. */
int scan_names_bind(struct scan_names *, const struct scan_name *,
                    const struct scan_chain *) must_check;

/* All names of the module are the code's, too. */
void scan_names_import_all(struct scan_names *, const struct scan_chain *module);

/* What the first name of a chain stands for: it was bound, or comes from a module of which all was imported. */
void scan_names_resolve(struct scan_names *, const char *text, size_t len, struct scan_name *,
                        struct scan_chain *);

#endif
