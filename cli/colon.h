/* colon.h - the commands of the conversation itself: lines that begin with a colon. */
#ifndef CLI_COLON_H
#define CLI_COLON_H

#include <stdbool.h>

#include "line.h"
#include "session.h"
#include "transfer.h"

struct colon {
    struct transfer_place place;
    const struct session *session;
    const struct line *line;
    bool as_json; /* answers are printed as the server gives them */
};

/* Does what the line says, and tells what came of it.  False: that was the last. */
bool colon_obey(const struct colon *, const char *line);

/* The commands that the text may become, as line_complete_fn has it. */
json_t *colon_complete(const char *text, size_t *replaces);

#endif
