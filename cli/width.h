/* width.h - how many columns of a terminal text takes: two for most of CJK, none for what joins the character before.  Pure. */
#ifndef CLI_WIDTH_H
#define CLI_WIDTH_H

#include <stddef.h>

/* Makes the characters of the locale UTF-8, whatever the user's says; before all else here. */
void width_init(void);

/* Columns of UTF-8; a byte that is none takes one. */
size_t width_of(const char *text);

/* How many bytes of it fit into so many columns, in whole characters. */
size_t width_cut(const char *text, size_t columns);

#endif
