/*
 * line.h - lines that the user types: edited, remembered and completed (libedit) on a terminal, else read as they are.
 */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <stddef.h>
#include <jansson.h>

struct line;

enum line_end { LINE_READ, LINE_INTERRUPTED, LINE_OVER };

/*
 * What the text, of which the cursor is at the end, could go on with: an array of texts, the caller's, each in the place of the
 * last *replaces characters; NULL: nothing.
 */
typedef json_t *line_complete_fn(void *owner, const char *text, size_t *replaces);

/* The history is kept in a file there; NULL: it is not kept. */
struct line *line_new(const char *history, line_complete_fn *, void *owner);
void line_free(struct line *); /* accepts NULL */

/* *text: a new string for LINE_READ.  begun: what stands in the line already, unless one has been typed ahead. */
enum line_end line_read(struct line *, const char *prompt, const char *begun, char **text);

/* The last n lines, numbered, on stdout. */
void line_print_history(const struct line *, unsigned n);

/* Where the history is: $XDG_STATE_HOME/tci/history or ~/.local/state/tci/history, whose directories are made; NULL: nowhere. */
char *line_history_path(void);

#endif
