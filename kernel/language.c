/* language.c - see language.h. */
#include "language.h"

#include <libgen.h>

enum { MAX_WORDS = 64 };

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static int
bad(struct err *err, const char *key, const char *wanted)
{
    return err_set(err, ERR_CONFIG, "metadata.tci.command.%.60s %s", key, wanted);
}

/* *out stays NULL where there is none. */
static int
take_string(const json_t *command, const char *key, const char **out, struct err *err)
{
    const json_t *value = json_object_get(command, key);

    *out = json_string_value(value);
    if (value != NULL && json_string_length(value) == 0)
        return bad(err, key, "must be a string that is not empty");
    return 0;
}

static int
take_argv(const json_t *command, const char *key, const json_t **out, struct err *err)
{
    const json_t *list = json_object_get(command, key), *word;
    size_t i;

    *out = list;
    if (list == NULL)
        return 0;
    if (json_array_size(list) == 0 || json_array_size(list) > MAX_WORDS ||
        json_string_length(json_array_get(list, 0)) == 0)
        return bad(err, key, "must be an array of 1 to 64 strings, the first one not empty");
    json_array_foreach (list, i, word)
        if (!json_is_string(word))
            return bad(err, key, "must have strings only");
    return 0;
}

static int
check_keys(json_t *command, struct err *err)
{
    static const char *const known[] = {"build",      "check",    "complete", "feed",    "file",
                                        "incomplete", "mimetype", "run",      "session", "version"};
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach (command, key, value) {
        for (i = 0; i < N_ELEMENTS(known) && strcmp(key, known[i]) != 0; i++)
            ;
        if (i == N_ELEMENTS(known))
            return bad(err, key, "is not known");
    }
    return 0;
}

static int
check_sense(const struct language *l, struct err *err)
{
    if (l->file == NULL || strchr(l->file, '/') != NULL || l->file[0] == '.')
        return bad(err, "file", "must be the name of a file, without a directory");
    if ((l->run == NULL) == (l->session == NULL))
        return bad(err, "run", "or session must be there, and not both");
    if ((l->session == NULL) != (l->feed == NULL))
        return bad(err, "feed", "must be there with session, and only then");
    if (l->session != NULL && l->build != NULL)
        return bad(err, "build", "does not go with session");
    if (l->complete != NULL && l->session == NULL)
        return bad(err, "complete", "goes with session only");
    return 0;
}

static int
take_command(struct language *l, json_t *command, struct err *err)
{
    if (!json_is_object(command))
        return err_set(err, ERR_CONFIG, "metadata.tci.command must be an object");
    if (check_keys(command, err) < 0 || take_string(command, "file", &l->file, err) < 0 ||
        take_string(command, "feed", &l->feed, err) < 0 ||
        take_string(command, "complete", &l->complete, err) < 0 ||
        take_argv(command, "incomplete", &l->incomplete, err) < 0 ||
        take_string(command, "mimetype", &l->mimetype, err) < 0 ||
        take_argv(command, "build", &l->build, err) < 0 ||
        take_argv(command, "run", &l->run, err) < 0 ||
        take_argv(command, "session", &l->session, err) < 0 ||
        take_argv(command, "check", &l->check, err) < 0 ||
        take_argv(command, "version", &l->version, err) < 0)
        return -1;
    if (l->mimetype == NULL)
        l->mimetype = "text/plain";
    return check_sense(l, err);
}

static const char *
string_or(const json_t *spec, const char *key, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(spec, key));

    return value == NULL ? otherwise : value;
}

int
language_read(struct language *l, const char *kernel_json, struct err *err)
{
    cleanup_free char *path = xstrdup(kernel_json);
    json_error_t error;

    memset(l, 0, sizeof(*l));
    l->spec = json_load_file(kernel_json, JSON_REJECT_DUPLICATES, &error);
    if (l->spec == NULL)
        return err_set(err, ERR_CONFIG, "%.200s:%d: %.100s", kernel_json, error.line, error.text);
    l->resource_dir = xstrdup(dirname(path));
    l->name = string_or(l->spec, "language", "text");
    l->title = string_or(l->spec, "display_name", l->name);
    json_t *tci = json_object_get(json_object_get(l->spec, "metadata"), "tci");
    if (take_command(l, json_object_get(tci, "command"), err) == 0)
        return 0;
    language_clear(l);
    return -1;
}

void
language_clear(struct language *l)
{
    json_decref(l->spec);
    free(l->resource_dir);
    memset(l, 0, sizeof(*l));
}

const char *
language_suffix(const struct language *l)
{
    const char *dot = strrchr(l->file, '.');

    return dot == NULL ? "" : dot;
}

/* --- placeholders --------------------------------------------------------------------------- */

struct placeholder {
    const char *name, *value;
};

/* The placeholder that p begins with, NULL if with none. */
static const struct placeholder *
find_placeholder(const struct placeholder *list, size_t n, const char *p)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].value != NULL && strncmp(p, list[i].name, strlen(list[i].name)) == 0)
            return &list[i];
    return NULL;
}

char *
language_fill(const struct language *l, const char *text, const struct language_values *v)
{
    const struct placeholder list[] = {{"{file}", v->file},
                                       {"{dir}", v->dir},
                                       {"{stdin}", v->stdin_path},
                                       {"{number}", v->number},
                                       {"{resource_dir}", l->resource_dir}};
    char *out = xstrdup("");
    size_t len = 0;

    for (const char *p = text; *p != '\0';) {
        const struct placeholder *hit = find_placeholder(list, N_ELEMENTS(list), p);
        const char *piece = hit ? hit->value : p;
        const size_t n = hit ? strlen(hit->value) : 1;

        out = xrealloc(out, len + n + 1);
        memcpy(out + len, piece, n);
        len += n;
        out[len] = '\0';
        p += hit ? strlen(hit->name) : 1;
    }
    return out;
}

char **
language_argv(const struct language *l, const json_t *list, const struct language_values *v)
{
    char **argv = xcalloc(json_array_size(list) + 1, sizeof(*argv));
    const json_t *word;
    size_t i;

    json_array_foreach (list, i, word)
        argv[i] = language_fill(l, json_string_value(word), v);
    return argv;
}

void
language_free_argv(char **argv)
{
    for (char **p = argv; p && *p; p++)
        free(*p);
    free(argv);
}
