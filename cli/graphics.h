/*
 * graphics.h - pictures in the terminal, where it can show them.
 *
 * It is asked: for the kitty graphics protocol, for its name (XTVERSION), and last for what it is (DA1), which all terminals answer,
 * so that an answer to that says that the others had theirs.  One that says nothing within half a second shows none; what it says
 * later is not taken for input.
 */
#ifndef CLI_GRAPHICS_H
#define CLI_GRAPHICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum graphics { GRAPHICS_NONE, GRAPHICS_KITTY, GRAPHICS_ITERM };

/* Shows it, and an empty line's end, on stdout; false: this terminal does not show pictures of that type (MIME). */
bool graphics_show(const char *type, const unsigned char *bytes, size_t len);

/* Before the end of the program: waits a little for answers that have not come yet, which would be typed into the user's shell. */
void graphics_end(void);

/* The answers of a terminal, read byte by byte; all zero before.  Pure. */
struct graphics_answers {
    enum { OUTSIDE, AFTER_ESCAPE, IN_CSI, IN_STRING, IN_STRING_ESCAPE } state;
    char kind; /* of the sequence: what came after the escape */
    char text[128];
    size_t len;
    bool kitty, iterm;
    bool over;       /* it has said what it is */
    char typed[256]; /* what is no answer: the user's own */
    size_t n_typed;
};

void graphics_take(struct graphics_answers *, char byte);

/* What can be had of a terminal that has answered so. */
enum graphics graphics_of(const struct graphics_answers *);

/* Whether it shows that type. */
bool graphics_can(enum graphics, const char *type);

/* The sequences for a picture, whose bytes are in memory. */
void graphics_write(FILE *, enum graphics, const unsigned char *bytes, size_t len);

#endif
