/* scan_literal.h - what literals say: escapes, line ends, the text of f-strings around its fields.  Part of scan_lex.h. */
#ifndef GATEWAY_SCAN_LITERAL_H
#define GATEWAY_SCAN_LITERAL_H

#include "scan_lex.h"

/* One character of the value, if there is room for it. */
void scan_literal_put(struct scan_lex *, char c);

/* Behind the opening quotes of a literal that has no fields: to behind its end. */
void scan_literal_take(struct scan_lex *, const struct scan_field *);

/* The text of an f-string, lex->text_of, up to a field or to its end; the brace of a field is pending then. */
void scan_literal_take_text(struct scan_lex *);

/* Behind the '}' or ':' that ends a field of an f-string, or goes on as its format, where no bracket inside it is open. */
void scan_literal_end_field(struct scan_lex *, char c);

#endif
