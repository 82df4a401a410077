/* scan_term.h - terms: the dotted name at hand, literals, brackets; what they are worth, and to whom.  Part of scan.h. */
#ifndef GATEWAY_SCAN_TERM_H
#define GATEWAY_SCAN_TERM_H

struct level;
struct scan_chain;
struct scanner;

/* The chain is complete: as an argument, as what exec is given, as part of what is assigned. */
void scanner_mention(struct scanner *);

/* That, and the next name begins another. */
void scanner_end_chain(struct scanner *);

/* The first name of a term: what was decoded before is run now, or given on to another name. */
void scanner_use_decoded(struct scanner *);

/* The literal has come to its end, with all that was joined to it. */
void scanner_end_literal(struct scanner *);
void scanner_match_literal(struct scanner *); /* only what the rules say of it */

/* The level of a call of the chain: which rules wait for its arguments, and what it is worth. */
void scanner_open_call(struct scanner *, struct level *, const struct scan_chain *callee);

/* At a bracket.  What a pair of them is worth is the chain behind it, for a dot or a call that follows. */
void scanner_open_bracket(struct scanner *);
void scanner_close_bracket(struct scanner *);

#endif
