/* run_stdin.c - see run_stdin.h. */
#include "run_stdin.h"

#include <string.h>

#include "body_run.h"
#include "run.h"

enum { MAX_LINES = 10000 }; /* that wait to be read */

/* The lines of a text; a line break at its end begins none. */
static json_t *
split(const json_t *text)
{
    const char *s = json_string_value(text), *end = s + json_string_length(text);
    json_t *lines = xnotnull(json_array());

    while (s < end) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        const size_t len = stop ? (size_t)(stop - s) : (size_t)(end - s);

        json_array_append_new(lines, xnotnull(json_stringn_nocheck(s, len)));
        s += len + 1;
    }
    return lines;
}

void
run_stdin_take(struct run_stdin *in, const struct body_run *body)
{
    *in = (struct run_stdin){.interactive = body->input};
    if (json_is_string(body->stdin_text))
        in->lines = split(body->stdin_text);
    else if (body->stdin_text)
        in->lines = xnotnull(json_copy((json_t *)body->stdin_text));
    else if (in->interactive)
        in->lines = xnotnull(json_array());
}

void
run_stdin_clear(struct run_stdin *in)
{
    json_decref(in->lines);
    in->lines = NULL;
}

bool
run_stdin_must_ask(const struct run_stdin *in)
{
    return in->interactive && !in->ended && json_array_size(in->lines) == 0;
}

json_t *
run_stdin_next(struct run_stdin *in)
{
    json_t *line = json_incref(json_array_get(in->lines, 0));

    if (line == NULL)
        return NULL;
    json_array_remove(in->lines, 0);
    in->bytes -= json_string_length(line);
    return line;
}

int
run_stdin_add(struct run_stdin *in, const json_t *line, struct err *err)
{
    if (!in->interactive || in->ended)
        return err_set(err, ERR_CONFLICT,
                       "The execution takes no input: it was not made with stdin true");
    if (json_array_size(in->lines) >= MAX_LINES ||
        in->bytes + json_string_length(line) > RUN_MAX_INPUT)
        return err_set(err, ERR_BUSY, "Too much input waits for the execution to read it");
    if (line == NULL) {
        in->ended = true;
    } else {
        json_array_append(in->lines, (json_t *)line);
        in->bytes += json_string_length(line);
    }
    return 0;
}
