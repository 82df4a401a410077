/*
 * scan_match.h - the rules held against what the code imports, calls and gives to its calls; and what was found.  A call
 * rule that asks for an argument is pending until the call's arguments have been read.  Pure.  Part of scan.h.
 */
#ifndef GATEWAY_SCAN_MATCH_H
#define GATEWAY_SCAN_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "scan.h"
#include "scan_names.h"
#include "scan_rules.h"

enum { SCAN_MAX_PENDING = 512 };

/* A call rule whose arguments are to come. */
struct scan_pending {
    const struct scan_rule *rule;
    unsigned line;
};

struct scan_match {
    const struct scan_rules *rules;
    struct scan_result *result;
    unsigned n_pending;
    struct scan_pending pending[SCAN_MAX_PENDING]; /* the caller's to drop, by n_pending */
};

/* Both are borrowed; the result is empty then. */
void scan_match_init(struct scan_match *, const struct scan_rules *, struct scan_result *);
bool scan_match_is_full(const struct scan_match *);

void scan_match_report(struct scan_match *, const struct scan_rule *, unsigned line);

/* Finds that the code is too involved: more than there is room for. */
void scan_match_give_up(struct scan_match *, unsigned line);

/* A module's name, to which rules of the packages it is in apply as well. */
void scan_match_import(struct scan_match *, const char *text, size_t len, unsigned line);

/* A call: of the rules about it, those that ask for no argument have found it, the others are pending. */
void scan_match_call(struct scan_match *, const struct scan_chain *, bool in_endless_loop,
                     unsigned line);

/* A dotted name, or a literal, that is given to the call of which the pending rules from first to before after are. */
void scan_match_name(struct scan_match *, unsigned first, unsigned after,
                     const struct scan_chain *);
void scan_match_text(struct scan_match *, unsigned first, unsigned after, const char *text,
                     size_t len);

#endif
