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

/* A line that is being read from stdin; all zero before. */
struct terminal_input {
    char *line;
    size_t len, size;
    bool hidden; /* its echo is off */
};

enum terminal_read { TERMINAL_LINE, TERMINAL_END, TERMINAL_INTERRUPT, TERMINAL_NOTHING };

/* Asks for it; hidden: without echo. */
void terminal_ask(struct terminal_input *, const char *prompt, bool hidden);

/*
 * Reads what is there, and waits for more if that is wanted.  TERMINAL_LINE: *text is a new string, without its end;
 * TERMINAL_NOTHING: the line is not whole yet.  A Ctrl-C is left for others to take.
 */
enum terminal_read terminal_read(struct terminal_input *, bool wait, char **text);

/* Gives up what has been read of a line. */
void terminal_leave(struct terminal_input *);

#endif
