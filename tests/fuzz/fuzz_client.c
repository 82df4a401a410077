/*
 * fuzz_client.c - the JSON of a server, to tci: what it shows of an execution's events, of a session's files and of a session, and
 * a terminal's answers, lines as words, paths.
 *
 * The first line of the input is an event's name, the rest is its data.  Of what is no output of code, nothing that drives a
 * terminal comes through.
 */
#include <stdio.h>
#include <string.h>
#include <jansson.h>

#include "cli/files.h"
#include "cli/graphics.h"
#include "cli/remotepath.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/words.h"
#include "fuzz.h"

/* What a function writes to stdout or stderr; the caller's. */
static char *
output_of(void (*function)(const char *name, const json_t *), const char *name, const json_t *json)
{
    FILE *out = stdout, *err = stderr;
    char *text = NULL;
    size_t len;

    stdout = stderr = open_memstream(&text, &len);
    function(name, json);
    fclose(stdout);
    stdout = out;
    stderr = err;
    return text;
}

static void
show_one(const char *name, const json_t *json)
{
    struct show *show = show_new("/nonexistent");

    show_event(show, name, json);
    show_free(show);
}

static void
print_files(const char *name, const json_t *json)
{
    (void)name;
    files_print(json);
}

static void
print_fields(const char *name, const json_t *json)
{
    (void)name;
    terminal_fields(json);
}

static void
print_json(const char *name, const json_t *json)
{
    (void)name;
    terminal_json(json);
}

static bool
is_tame(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (; *p; p++)
        if ((*p < 0x20 && *p != '\n') || *p == 0x7f ||
            (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return false;
    return true;
}

static void
try_json(const char *name, const char *bytes, size_t len)
{
    static void (*const functions[])(const char *, const json_t *) = {print_files, print_fields,
                                                                      print_json};
    json_t *json = json_loadb(bytes, len, JSON_ALLOW_NUL, NULL);

    if (json == NULL)
        return;
    free(output_of(show_one, name, json));
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        char *text = output_of(functions[i], name, json);

        must(is_tame(text));
        free(text);
    }
    json_decref(json);
}

static void
try_text(const char *bytes, size_t len)
{
    struct graphics_answers answers = {.over = false};
    cleanup_free char *line = fuzz_text(bytes, len);
    cleanup_free char *path = remotepath_clean(line);
    cleanup_free char *encoded = remotepath_encode(path);
    const size_t whole = strlen(line);
    char *words[WORDS_MAX];
    int n;

    for (size_t i = 0; i < len; i++)
        graphics_take(&answers, bytes[i]);
    must(answers.len < sizeof(answers.text) && answers.n_typed <= sizeof(answers.typed));
    must(strpbrk(encoded, " ?#\033\n") == NULL);
    n = words_split(line, words);
    for (int i = 0; i < n; i++)
        must(words[i] >= line && words[i] + strlen(words[i]) <= line + whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t name_len, len;
    cleanup_free char *name = fuzz_next(&input, '\n', &name_len);
    cleanup_free char *rest = fuzz_next(&input, '\0', &len);

    if (name == NULL || rest == NULL)
        return 0;
    cleanup_free char *event = fuzz_text(name, name_len);

    try_json(event, rest, len);
    try_text(rest, len);
    return 0;
}
