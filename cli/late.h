/*
 * late.h - a terminal's answers to what it was asked for its pictures (graphics.h) that come when nobody waits for them any more, told
 * from what is typed.  Pure.
 */
#ifndef CLI_LATE_H
#define CLI_LATE_H

#include <stddef.h>

/* All zero at first. */
struct late {
    char held[128]; /* what may yet be an answer, after what the last byte has settled */
    size_t len, settled;
};

enum late_kind {
    LATE_HELD,  /* it may be an answer's */
    LATE_TYPED, /* what is settled, of which the byte is the last unless it is held, is no answer */
    LATE_ANSWER, /* that was one */
    LATE_LAST,   /* ... and the last of them */
};

enum late_kind late_take(struct late *, char byte);

#endif
