/* words.h - a line as words, as a shell would take it apart: blanks, quotes of both kinds, backslashes.  Pure. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

enum { WORDS_MAX = 8 };

/* The words, in the line itself, which is changed: how many; -1: too many, or a quote has no end. */
int words_split(char *line, char *words[WORDS_MAX]);

#endif
