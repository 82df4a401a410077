/* session.c - see session.h. */
#include "session.h"

#include <fcntl.h>
#include <stdio.h>

#include "program.h"
#include "scratch.h"
#include "watch.h"

enum {
    LINE = 4096,
    MAX_MATCHES = 500,
    TURN = 64 << 10, /* bytes: what the FIFO holds */
};

struct session {
    const struct language *language;
    const struct attendant *attendant;
    struct program program;
    char *status_path, *kept_path;
    int status, feed; /* descriptors: what it says, and its standard input */
    unsigned number;  /* of the cell that runs */
    bool over;
    int exit_status;
    char *error; /* NAME: TEXT; NULL: nothing was said of one */
    json_t *matches;
    int word;
    char line[LINE];
    size_t len;
};

/* --- what it says --------------------------------------------------------------------------- */

static void
on_exit_line(struct session *s, unsigned number, int status)
{
    if (number != s->number || s->over)
        return;
    s->over = true;
    s->exit_status = status;
}

static void
on_match(struct session *s, const char *word)
{
    json_t *match = json_array_size(s->matches) < MAX_MATCHES ? json_string(word) : NULL;

    if (match != NULL) /* else it is no UTF-8 */
        json_array_append_new(s->matches, match);
}

static void
on_error_line(struct session *s, const char *text)
{
    free(s->error);
    s->error = xstrdup(text);
}

static void
on_line(struct session *s, const char *line)
{
    unsigned number;
    int value;

    if (sscanf(line, "exit %u %d", &number, &value) == 2)
        on_exit_line(s, number, value);
    else if (sscanf(line, "word %d", &value) == 1)
        s->word = value;
    else if (strncmp(line, "match ", 6) == 0)
        on_match(s, line + 6);
    else if (strncmp(line, "image ", 6) == 0)
        s->attendant->show_image(s->attendant->owner, line + 6);
    else if (strncmp(line, "show ", 5) == 0)
        s->attendant->show(s->attendant->owner, line + 5, false);
    else if (strncmp(line, "result ", 7) == 0)
        s->attendant->show(s->attendant->owner, line + 7, true);
    else if (strncmp(line, "error ", 6) == 0)
        on_error_line(s, line + 6);
}

/* What is there now: who goes on writing is not read for ever.  A line that is longer than any of ours comes in pieces,
   which mean nothing. */
static void
on_status(void *owner)
{
    struct session *s = owner;
    char c;

    for (int i = 0; i < TURN && read(s->status, &c, 1) == 1; i++) {
        if (c != '\n' && s->len < sizeof(s->line) - 1) {
            s->line[s->len++] = c;
            continue;
        }
        s->line[s->len] = '\0';
        s->len = 0;
        on_line(s, s->line);
    }
}

/* --- its life ------------------------------------------------------------------------------- */

static void
close_feed(struct session *s)
{
    if (s->feed >= 0)
        close(s->feed);
    s->feed = -1;
}

static int
start(struct session *s, struct err *err)
{
    const struct language_values none = {NULL, NULL, NULL, NULL};
    char **argv = language_argv(s->language, s->language->session, &none);
    int fds[2], rc = -1;

    close_feed(s);
    if (pipe2(fds, O_CLOEXEC) < 0) {
        err_sys(err, "cannot make a pipe");
    } else {
        const struct program_fds where = {fds[0], -1, -1};

        rc = program_start(&s->program, argv, &where, err);
        close(fds[0]);
        s->feed = fds[1];
    }
    language_free_argv(argv);
    return rc;
}

/* Both may fail where nothing but memory or descriptors is missing: the session then ends with the first cell. */
struct session *
session_new(const struct language *language, const struct attendant *attendant, const char *dir,
            struct err *err)
{
    struct session *s = xcalloc(1, sizeof(*s));

    s->language = language;
    s->attendant = attendant;
    s->feed = -1;
    s->matches = xnotnull(json_array());
    s->status = scratch_fifo(dir, "status", &s->status_path, err);
    if (s->status >= 0) {
        s->kept_path = xasprintf("%s.kept", s->status_path);
        setenv("TCI_STATUS", s->status_path, 1);
        if (start(s, err) == 0)
            return s;
    }
    session_free(s);
    return NULL;
}

void
session_free(struct session *s)
{
    if (s == NULL)
        return;
    program_kill(&s->program);
    close_feed(s);
    if (s->status >= 0)
        close(s->status);
    json_decref(s->matches);
    free(s->error);
    free(s->status_path);
    free(s->kept_path);
    free(s);
}

/* --- a line of ours ------------------------------------------------------------------------- */

static int
feed(struct session *s, const char *template, struct language_values *values)
{
    char number[16];
    cleanup_free char *line = NULL;

    snprintf(number, sizeof(number), "%u", ++s->number);
    values->number = number;
    line = language_fill(s->language, template, values);
    values->number = NULL;
    s->over = false;
    free(s->error);
    s->error = NULL;
    return dprintf(s->feed, "%s\n", line) < 0 ? -1 : 0;
}

static void
await(struct session *s, int input, bool *interrupted)
{
    struct watch w = {.program = &s->program,
                      .attendant = s->attendant,
                      .fd = s->status,
                      .on_readable = on_status,
                      .owner = s,
                      .over = &s->over,
                      .input = input};

    watch_run(&w);
    on_status(s); /* its last words, where it has ended */
    *interrupted = w.interrupted;
}

/* After `exit`, or a command that failed under `set -e`.  What the next one takes over is in a file. */
static void
explain_end(struct session *s, struct outcome *o)
{
    char ename[32], evalue[96];

    program_explain(&s->program, ename, evalue);
    if (access(s->kept_path, F_OK) != 0)
        outcome_fail(o, "SessionEnded",
                     xasprintf("the interpreter has ended (%s); its state is lost", evalue));
    else if (!program_went_well(&s->program))
        outcome_fail(o, ename, xstrdup(evalue));
}

/* What it has said of an error, or the bare status. */
static void
explain_status(const struct session *s, struct outcome *o)
{
    const char *text = s->error ? strstr(s->error, ": ") : NULL;
    cleanup_free char *name = text ? xasprintf("%.*s", (int)(text - s->error), s->error) : NULL;

    if (text != NULL)
        outcome_fail(o, name, xstrdup(text + 2));
    else
        outcome_fail(o, "ExitStatus", xasprintf("exit status %d", s->exit_status));
}

static void
explain(struct session *s, bool interrupted, struct outcome *o)
{
    if (!s->over)
        explain_end(s, o);
    else if (s->exit_status != 0)
        explain_status(s, o);
    if (interrupted && s->over)
        outcome_fail(o, "KeyboardInterrupt", xstrdup("interrupted"));
    else if (interrupted)
        outcome_fail(
            o, "KeyboardInterrupt",
            xstrdup("interrupted; the interpreter did not heed it, and its state is lost"));
}

void
session_run(struct session *s, struct language_values *values, int input, struct outcome *o)
{
    struct err err = ERR_INIT;
    bool interrupted;

    if (program_has_ended(&s->program) || feed(s, s->language->feed, values) < 0) {
        program_kill(&s->program);
        if (input >= 0)
            close(input);
        outcome_fail(o, "SessionEnded",
                     xstrdup("the interpreter had ended; the code was not run, and state is lost"));
    } else {
        await(s, input, &interrupted);
        explain(s, interrupted, o);
    }
    if (s->program.pid == 0 && start(s, &err) < 0)
        outcome_fail(o, "SessionEnded", xstrdup(err.msg));
}

json_t *
session_complete(struct session *s, struct language_values *values, int *word)
{
    struct err err = ERR_INIT;
    bool interrupted;

    json_array_clear(s->matches);
    s->word = 0;
    if (feed(s, s->language->complete, values) == 0)
        await(s, -1, &interrupted);
    /* Where it has kept nothing, the next cell is to say so. */
    if (program_has_ended(&s->program) && access(s->kept_path, F_OK) == 0 && start(s, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    *word = s->word;
    return json_incref(s->matches);
}
