/* colon.c - see colon.h. */
#include "colon.h"

#include <stdio.h>
#include <string.h>

#include "files.h"
#include "parse.h"
#include "remotepath.h"
#include "terminal.h"
#include "width.h"
#include "words.h"

enum { HISTORY_LINES = 50, MAX_HISTORY = 1000, TEXT_COLUMNS = 40 };

/* One command: what is asked of words[0...n-1], those after its name.  -1: the error is told. */
typedef int action_fn(const struct colon *, int n, char *words[], struct err *);

/* --- answers ------------------------------------------------------------------------------ */

static void
show(const struct colon *c, json_t *answer, void (*print)(const json_t *))
{
    if (answer && c->as_json)
        terminal_json(answer);
    else if (answer)
        print(answer);
    json_decref(answer);
}

static int
call(const struct colon *c, const char *method, const char *verb, json_t **answer, struct err *err)
{
    cleanup_free char *path = session_path(c->session, verb);

    return client_call(c->place.client, method, path, NULL, answer, err);
}

static const char *
text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

/* --- the commands ------------------------------------------------------------------------- */

static int
list_files(const struct colon *c, int n, char *words[], struct err *err)
{
    cleanup_free char *path = remotepath_clean(n > 0 ? words[0] : "");
    json_t *list;

    if (files_list(&c->place, path, false, &list, err) < 0)
        return -1;
    show(c, list, files_print);
    return 0;
}

static void
print_download(const json_t *told)
{
    printf("%lld bytes: ", (long long)json_integer_value(json_object_get(told, "bytes")));
    terminal_put(stdout, text(told, "local"));
    putchar('\n');
}

static int
download(const struct colon *c, int n, char *words[], struct err *err)
{
    cleanup_free char *path = remotepath_clean(words[0]);
    cleanup_free char *local = files_local(n > 1 ? words[1] : ".", path);
    json_t *told = NULL;

    if (transfer_get(&c->place, path, local, &told, err) < 0)
        return -1;
    show(c, told, print_download);
    return 0;
}

/* Of a file its path; of a directory how much it was. */
static void
print_upload(const json_t *told)
{
    const char *path = text(told, "path");
    const json_t *size = json_object_get(told, path[0] ? "size" : "bytes");

    printf("%lld bytes%s", (long long)json_integer_value(size), path[0] ? ": " : "\n");
    if (path[0])
        terminal_put(stdout, path);
    fputs(path[0] ? "\n" : "", stdout);
}

static int
upload(const struct colon *c, int n, char *words[], struct err *err)
{
    cleanup_free char *path = files_remote(n > 1 ? words[1] : "", words[0], false);
    json_t *told = NULL;

    if (transfer_put(&c->place, words[0], path, &told, err) < 0) {
        json_decref(told);
        return -1;
    }
    show(c, told, print_upload);
    return 0;
}

/* A text in so many columns, on one line. */
static void
put_short(const char *s, size_t columns)
{
    cleanup_free char *copy = terminal_clean(xstrdup(s));

    copy[width_cut(copy, columns)] = '\0';
    fputs(copy, stdout);
}

static void
print_variables(const json_t *answer)
{
    const json_t *list = json_object_get(answer, "variables"), *one;
    size_t i;

    json_array_foreach (list, i, one) {
        terminal_cell(text(one, "name"), 16);
        terminal_cell(text(one, "type"), 16);
        put_short(text(one, "text"), TEXT_COLUMNS);
        putchar('\n');
    }
    if (json_is_true(json_object_get(answer, "truncated")))
        puts("... and more");
}

static int
list_variables(const struct colon *c, int n, char *words[], struct err *err)
{
    json_t *answer;

    (void)n, (void)words;
    if (call(c, "GET", "/variables", &answer, err) < 0)
        return -1;
    show(c, answer, print_variables);
    return 0;
}

/* With how full its workspace is, where there is one. */
static int
info(const struct colon *c, int n, char *words[], struct err *err)
{
    json_t *answer, *disk;

    (void)n, (void)words;
    if (call(c, "GET", "", &answer, err) < 0)
        return -1;
    if (json_is_object(json_object_get(answer, "container"))) {
        if (call(c, "GET", "/files:usage", &disk, err) < 0) {
            json_decref(answer);
            return -1;
        }
        json_object_set_new(answer, "workspace", disk);
    }
    show(c, answer, terminal_fields);
    return 0;
}

static int
history(const struct colon *c, int n, char *words[], struct err *err)
{
    uint64_t lines = HISTORY_LINES;

    if (n > 0 && !parse_count(words[0], 1, MAX_HISTORY, &lines))
        return err_set(err, ERR_CONFIG, ":history takes a number from 1 to %d", MAX_HISTORY);
    line_print_history(c->line, (unsigned)lines);
    return 0;
}

static void
say_new(const json_t *answer)
{
    (void)answer;
    puts("A new kernel.");
}

/* Its files stay. */
static int
reset(const struct colon *c, int n, char *words[], struct err *err)
{
    json_t *answer;

    (void)n, (void)words;
    if (call(c, "POST", "/restart", &answer, err) < 0)
        return -1;
    show(c, answer, say_new);
    return 0;
}

/* --- which is which ----------------------------------------------------------------------- */

static const struct entry {
    const char *name, *words, *summary;
    int min, max; /* words */
    action_fn *act;
} commands[] = {
    {":download", "PATH [FILE]", "a file or directory of the session to this machine", 1, 2,
     download},
    {":files", "[PATH]", "what is in the session's workspace", 0, 1, list_files},
    {":history", "[N]", "the last lines that were typed", 0, 1, history},
    {":info", "", "the session, and what it uses", 0, 0, info},
    {":reset", "", "a new kernel; files stay", 0, 0, reset},
    {":upload", "FILE [PATH]", "a file or directory of this machine to the session", 1, 2, upload},
    {":vars", "", "the variables of a Python session", 0, 0, list_variables},
    {":help", "", "these", 0, 0, NULL},
    {":quit", "", "leave; so do :q and Ctrl-D", 0, 0, NULL},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
help(void)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("%-10s %-13s %s\n", commands[i].name, commands[i].words, commands[i].summary);
    puts("Tab completes, Ctrl-C interrupts.");
}

static const struct entry *
find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void
act(const struct colon *c, const struct entry *command, int n, char *words[])
{
    struct err err = ERR_INIT;

    if (n < command->min || n > command->max)
        err_set(&err, ERR_CONFIG, "%s %s", command->name, command->words);
    if (err.code != ERR_NONE || command->act(c, n, words, &err) < 0)
        terminal_fail("repl", &err);
}

bool
colon_obey(const struct colon *c, const char *line)
{
    cleanup_free char *copy = xstrdup(line);
    char *words[WORDS_MAX];
    const int n = words_split(copy, words);
    const struct entry *command = n > 0 ? find(words[0]) : NULL;

    if (n > 0 && (strcmp(words[0], ":q") == 0 || strcmp(words[0], ":quit") == 0))
        return false;
    if (command && command->act)
        act(c, command, n - 1, words + 1);
    else
        help();
    fflush(stdout);
    return true;
}

json_t *
colon_complete(const char *text_typed, size_t *replaces)
{
    json_t *matches = xnotnull(json_array());

    *replaces = strlen(text_typed);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strncmp(commands[i].name, text_typed, *replaces) == 0)
            json_array_append_new(matches, json_string(commands[i].name));
    return matches;
}
