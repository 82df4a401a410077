/*
 * sift.h - what code prints, as a terminal may have it.
 *
 * A terminal obeys what is written to it, and code in a session is not to be obeyed by whoever looks at it: text, colours, moves of
 * the cursor and what erases pass; what has the terminal answer, as if that were typed, set its title or the clipboard, or change
 * its modes (but for showing the cursor), is left out.
 */
#ifndef CLI_SIFT_H
#define CLI_SIFT_H

#include <stddef.h>
#include <stdio.h>

enum { SIFT_HELD = 64 /* bytes of a sequence that may still pass */ };

/* One output; all zero at first.  A sequence may come in pieces. */
struct sift {
    enum {
        SIFT_TEXT,
        SIFT_ESCAPE,
        SIFT_CSI,
        SIFT_OTHER, /* a sequence of the sort that does not pass */
        SIFT_STRING,
        SIFT_STRING_ESCAPE,
        SIFT_C2, /* the first byte of what may be a control character of two */
    } state;
    char held[SIFT_HELD];
    size_t len;
};

/* out has room for SIFT_HELD more than len bytes; returns how many are there. */
size_t sift_text(struct sift *, const char *text, size_t len, char *out);

/* Writes it (outlet_put); sifted, if that is a terminal. */
void sift_write(struct sift *, const char *text, size_t len, FILE *);

#endif
