/*
 * terminal.h - what may be written to the user's terminal, and how.
 *
 * What code prints, its results' text and its traceback pass as they are, as those of a program that is run in the terminal
 * do: whoever runs code looks at its output.  All else that comes from a server or a session - messages, names, ids - goes
 * through terminal_clean, and JSON has its control characters escaped.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>

#include "gateway/err.h"
#include "command.h"

/* Whether colours are welcome there: a terminal, and NO_COLOR is not set. */
bool terminal_has_colours(FILE *);

/* Without ANSI escape sequences (CSI, OSC and those of two bytes), in place. */
void terminal_strip(char *text);

/* Control characters (C0, DEL, C1) become question marks, in place; the text itself is returned. */
char *terminal_clean(char *text);

/* The same of a copy, written; NULL: nothing is written. */
void terminal_put(FILE *, const char *text);

/* The error as one line on stderr, "tci COMMAND: ...", and the exit status that goes with its code. */
enum exit_status terminal_fail(const char *command, const struct err *);
enum exit_status terminal_misused(const char *command, const char *what);

/* The value as JSON in ASCII and a line feed: indented on a terminal, else on one line. */
void terminal_json(const json_t *);

/* A line for each field of an object; of a list only how long it is. */
void terminal_fields(const json_t *);

/* A line from the terminal or file without its end; a new string.  NULL at the end, or with EINTR in errno.  hidden: without echo. */
char *terminal_ask(const char *prompt, bool hidden);

#endif
