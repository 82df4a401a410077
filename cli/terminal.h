/*
 * terminal.h - what may be written to the user's terminal, and how.
 *
 * What code prints, its results' text and its traceback pass as they are, but for what a terminal would do for it (sift.h).
 * All else that comes from a server or a session - messages, names, ids - goes
 * through terminal_clean, and JSON has its control characters escaped.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
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

/* Lines of a program that is not the user's: the same but for line feeds and tabs. */
void terminal_put_lines(FILE *, const char *text);

/* A column of a table: the same on stdout, filled up to that width, and two spaces. */
void terminal_cell(const char *text, size_t width);

/*
 * The error as one line on stderr, "tci COMMAND: ...", and the exit status that goes with its code.  With --json it is on stdout, in
 * the shape of the API's: {"error": {"code", "message"}}, where the code is the server's, or one of client_error,
 * interrupted, timeout, unreachable.  That nobody reads the output any further is no error to tell.
 */
enum exit_status terminal_fail(const char *command, const struct err *);
void terminal_fail_in_json(bool);
enum exit_status terminal_misused(const char *command, const char *what);

/* The value as JSON in ASCII and a line feed: indented on a terminal, else on one line. */
void terminal_json(const json_t *);

/* A line for each field of an object, and of the objects in it; of a list only how long it is. */
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
 * Reads what is there, and waits for more if that is wanted.  TERMINAL_LINE: *text is a new string of *len bytes, without its end
 * (LF or CR LF), and may have NULs in it; TERMINAL_NOTHING: the line is not whole yet.  A Ctrl-C is left for others to take.
 */
enum terminal_read terminal_read(struct terminal_input *, bool wait, char **text, size_t *len);

/* Puts back what was typed and read by somebody else; the next line begins with it.  Up to 256 bytes are kept. */
void terminal_unread(const char *bytes, size_t n);

/* The first byte of that; false: there is none. */
bool terminal_take_unread(char *byte);
bool terminal_has_unread(void);

/* From here on answers to what the terminal was asked are left out of what is read (late.h), up to the last; begun: of the first. */
void terminal_expect_answers(const char *begun, size_t n);
bool terminal_expects_answers(void);

/* read(2) of one byte from stdin; -1 and EINTR also when it is an answer's, or may be. */
ssize_t terminal_read_byte(char *byte);

/* Gives up what has been read of a line. */
void terminal_leave(struct terminal_input *);

#endif
