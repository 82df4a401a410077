/*
 * runner.c - see runner.h.
 *
 * A cell's file, and what is built of it, are in a directory that is made for it and removed after it, so that the user's
 * working directory has nothing in it but what is his.
 */
#include "runner.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "capture.h"
#include "program.h"
#include "scratch.h"
#include "session.h"
#include "watch.h"

struct runner {
    const struct language *language;
    const struct attendant *attendant;
    char *scratch;
    int null;
    struct session *session; /* NULL: each cell is a program */
    struct capture capture;
};

/* A cell's files. */
struct cell {
    char *dir, *file, *stdin_path;
    int input; /* the FIFO behind stdin_path; -1: there is nothing to read */
};

struct runner *
runner_new(const struct language *language, const struct attendant *attendant, struct err *err)
{
    struct runner *r = xcalloc(1, sizeof(*r));

    r->language = language;
    r->attendant = attendant;
    r->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    r->scratch = scratch_new(err);
    if (r->scratch != NULL && language->session != NULL)
        r->session = session_new(language, attendant, r->scratch, err);
    if (r->scratch != NULL && (r->session != NULL || language->session == NULL))
        return r;
    runner_free(r);
    return NULL;
}

void
runner_free(struct runner *r)
{
    if (r == NULL)
        return;
    session_free(r->session);
    if (r->scratch != NULL)
        scratch_remove(r->scratch);
    if (r->null >= 0)
        close(r->null);
    free(r->scratch);
    free(r);
}

/* --- a cell's files ------------------------------------------------------------------------- */

static void
cell_close(struct cell *cell)
{
    if (cell->dir != NULL)
        scratch_remove(cell->dir);
    free(cell->dir);
    free(cell->file);
    free(cell->stdin_path);
}

static int
cell_open(struct runner *r, struct cell *cell, const char *code, size_t len, bool may_ask,
          struct err *err)
{
    *cell = (struct cell){.input = -1};
    cell->dir = scratch_subdir(r->scratch, "cell", err);
    if (cell->dir == NULL)
        return -1;
    cell->file = scratch_write(cell->dir, r->language->file, code, len, err);
    if (cell->file != NULL && may_ask)
        cell->input = scratch_fifo(cell->dir, ".stdin", &cell->stdin_path, err);
    else
        cell->stdin_path = xstrdup("/dev/null");
    if (cell->file != NULL && (cell->input >= 0 || !may_ask))
        return 0;
    cell_close(cell);
    return -1;
}

static struct language_values
values_of(const struct cell *cell)
{
    return (struct language_values){cell->file, cell->dir, cell->stdin_path, NULL};
}

/* --- programs ------------------------------------------------------------------------------- */

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Starts one of the language's commands and waits for its end; w->input is taken. */
static int
execute(struct runner *r, const json_t *command, const struct language_values *values,
        const struct program_fds *out, struct watch *w, struct err *err)
{
    char **argv = language_argv(r->language, command, values);
    cleanup_close int in = w->input < 0 ? -1 : open(values->stdin_path, O_RDONLY | O_CLOEXEC);
    const struct program_fds fds = {in < 0 ? r->null : in, out->out, out->err};
    const int rc = program_start(w->program, argv, &fds, err);

    w->attendant = r->attendant;
    if (rc == 0)
        watch_run(w);
    else
        watch_give_up(w);
    language_free_argv(argv);
    return rc;
}

/* The same, of one that has no input, and whose output is captured. */
static int
execute_captured(struct runner *r, const json_t *command, const struct language_values *values,
                 struct watch *w, struct err *err)
{
    int rc;

    if (capture_open(&r->capture, err) < 0)
        return -1;
    w->fd = r->capture.read_fd;
    w->input = -1;
    w->on_readable = capture_read;
    w->owner = &r->capture;
    rc = execute(r, command, values,
                 &(struct program_fds){-1, r->capture.write_fd, r->capture.write_fd}, w, err);
    capture_close(&r->capture);
    return rc;
}

/* The user need not know where his cell is: "/tmp/cells-abcdef/cell/main.c:3" becomes "main.c:3". */
static char *
without_directory(const char *text, const char *dir)
{
    const size_t len = strlen(dir);
    char *out = xstrdup(text), *end = out;

    while (*text != '\0') {
        if (strncmp(text, dir, len) == 0 && text[len] == '/')
            text += len + 1;
        else
            *end++ = *text++;
    }
    *end = '\0';
    return out;
}

static void
explain(const struct program *program, bool interrupted, const char *after, struct outcome *o)
{
    char ename[32], evalue[96];

    program_explain(program, ename, evalue);
    if (interrupted)
        outcome_fail(o, "KeyboardInterrupt", xasprintf("interrupted%s", after));
    else if (!program_went_well(program))
        outcome_fail(o, ename, xasprintf("%s%s", evalue, after));
}

/* Once they are, they are no part of an error of what was built. */
static void
show_warnings(struct outcome *o)
{
    if (o->text[0] != '\0' && write(STDERR_FILENO, o->text, strlen(o->text)) < 0)
        perror("compiler's warnings");
    free(o->text);
    o->text = NULL;
}

/* What a compiler says of code that it takes is shown; of code that it does not take, it is the error. */
static void
build(struct runner *r, const struct cell *cell, struct outcome *o)
{
    const struct language_values values = values_of(cell);
    const char *compiler = json_string_value(json_array_get(r->language->build, 0));
    struct program program;
    struct watch w = {.program = &program};
    struct err err = ERR_INIT;
    char ename[32], evalue[96];

    if (execute_captured(r, r->language->build, &values, &w, &err) < 0) {
        outcome_fail(o, "CompileError", xstrdup(err.msg));
        return;
    }
    o->text = without_directory(r->capture.text, cell->dir);
    program_explain(&program, ename, evalue);
    if (w.interrupted)
        outcome_fail(o, "KeyboardInterrupt", xasprintf("interrupted while it was built"));
    else if (!program_went_well(&program))
        outcome_fail(o, "CompileError", xasprintf("%s: %s", compiler, evalue));
    else
        show_warnings(o);
}

static void
run(struct runner *r, const struct cell *cell, double built, struct outcome *o)
{
    const struct language_values values = values_of(cell);
    const double begin = now();
    struct program program;
    struct watch w = {.program = &program, .fd = -1, .input = cell->input};
    const struct program_fds ours = {-1, -1, -1};
    struct err err = ERR_INIT;
    char after[64] = "";

    if (execute(r, r->language->run, &values, &ours, &w, &err) < 0) {
        outcome_fail(o, "NotStarted", xstrdup(err.msg));
        return;
    }
    if (r->language->build != NULL)
        snprintf(after, sizeof(after), " (built in %.2f s, ran for %.2f s)", built, now() - begin);
    explain(&program, w.interrupted, after, o);
}

static void
run_program(struct runner *r, const struct cell *cell, struct outcome *o)
{
    const double begin = now();

    if (r->language->build != NULL)
        build(r, cell, o);
    if (!o->failed)
        run(r, cell, now() - begin, o);
    else if (cell->input >= 0)
        close(cell->input);
}

/* --- what clients ask ----------------------------------------------------------------------- */

void
runner_run(struct runner *r, const char *code, size_t len, bool may_ask, struct outcome *o)
{
    struct language_values values;
    struct cell cell;
    struct err err = ERR_INIT;

    memset(o, 0, sizeof(*o));
    if (cell_open(r, &cell, code, len, may_ask && program_can_see_input(), &err) < 0) {
        outcome_fail(o, "OSError", xstrdup(err.msg));
        return;
    }
    values = values_of(&cell);
    if (r->session != NULL)
        session_run(r->session, &values, cell.input, o);
    else
        run_program(r, &cell, o);
    cell_close(&cell);
}

/* By what the check said. */
static bool
wants_more(const struct runner *r)
{
    const json_t *hint;
    size_t i;

    json_array_foreach (r->language->incomplete, i, hint)
        if (strstr(r->capture.text, json_string_value(hint)) != NULL)
            return true;
    return false;
}

const char *
runner_check(struct runner *r, const char *code, size_t len)
{
    struct program program = {0, 0};
    struct watch w = {.program = &program};
    struct language_values values;
    struct cell cell;
    struct err err = ERR_INIT;
    const char *answer = "unknown";

    if (r->language->check == NULL || cell_open(r, &cell, code, len, false, &err) < 0)
        return answer;
    values = values_of(&cell);
    if (execute_captured(r, r->language->check, &values, &w, &err) == 0) {
        answer = program_went_well(&program) ? "complete" : "invalid";
        if (!program_went_well(&program) && wants_more(r))
            answer = "incomplete";
    }
    cell_close(&cell);
    return answer;
}

json_t *
runner_complete(struct runner *r, const char *code, size_t len, int *word)
{
    struct language_values values;
    struct cell cell;
    struct err err = ERR_INIT;
    json_t *matches;

    *word = 0;
    if (r->session == NULL || r->language->complete == NULL ||
        cell_open(r, &cell, code, len, false, &err) < 0)
        return xnotnull(json_array());
    values = values_of(&cell);
    matches = session_complete(r->session, &values, word);
    cell_close(&cell);
    return matches;
}

char *
runner_version(struct runner *r)
{
    const struct language_values none = {NULL, NULL, NULL, NULL};
    struct program program;
    struct watch w = {.program = &program};
    struct err err = ERR_INIT;
    const char *at;

    if (r->language->version == NULL ||
        execute_captured(r, r->language->version, &none, &w, &err) < 0)
        return xstrdup("");
    at = r->capture.text + strcspn(r->capture.text, "0123456789");
    return xnotnull(strndup(at, strspn(at, "0123456789.")));
}
