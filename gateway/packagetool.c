#include "packagetool.h"

#include <string.h>

#include "packageindex.h"
#include "worker/protocol.h"

enum { MAX_STRINGS = 64 };

static bool
is_strings(const json_t *array)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(array) || json_array_size(array) > MAX_STRINGS)
        return false;
    json_array_foreach (array, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

static bool
is_variables(const json_t *env)
{
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)env, name, value)
        if (!json_is_string(value) || name[0] == '\0' || strchr(name, '='))
            return false;
    return env == NULL || (json_is_object(env) && json_object_size(env) <= MAX_STRINGS);
}

/* A path below, without dots; or a name that packageindex.h finds. */
static bool
is_place(const json_t *value)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-/";
    const char *text = json_string_value(value);

    return value == NULL ||
           (text && text[0] != '\0' && text[0] != '/' && text[strspn(text, letters)] == '\0');
}

const char *
packagetool_check(const json_t *packages)
{
    static const char *const lists[] = {"from_dir", "from_index", "from_plain_index", "only_dir"};
    const json_t *install = json_object_get(packages, "install");
    const char *program = json_string_value(json_array_get(install, 0));
    const json_t *activate = json_object_get(packages, "activate");
    const json_t *scopes = json_object_get(packages, "scopes");

    if (!is_strings(install) || program == NULL || program[0] != '/')
        return "install must be an array of at most 64 strings, the program's absolute path first";
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const json_t *list = json_object_get(packages, lists[i]);

        if (list && !is_strings(list))
            return "from_dir, from_index, from_plain_index and only_dir must be arrays of at most "
                   "64 strings";
    }
    if (!is_place(json_object_get(packages, "dir")) ||
        !is_place(json_object_get(packages, "index")))
        return "dir and index must be names of letters, digits, _ and -";
    if (scopes && !json_is_boolean(scopes))
        return "scopes must be true or false";
    if (!is_variables(json_object_get(packages, "env")))
        return "env must be an object of at most 64 strings";
    return activate && !json_is_string(activate) ? "activate must be a string" : NULL;
}

static const char *
string_of(const json_t *packages, const char *name)
{
    const char *text = json_string_value(json_object_get(packages, name));

    return text ? text : "";
}

const char *
packagetool_dir(const json_t *packages)
{
    return string_of(packages, "dir");
}

const char *
packagetool_index(const json_t *packages)
{
    return string_of(packages, "index");
}

bool
packagetool_takes_dir(const json_t *packages)
{
    return json_object_get(packages, "from_dir") != NULL;
}

bool
packagetool_takes_index(const json_t *packages)
{
    return json_object_get(packages, "from_index") != NULL;
}

bool
packagetool_takes_scopes(const json_t *packages)
{
    return json_is_true(json_object_get(packages, "scopes"));
}

/* A copy with each `what` in it replaced. */
static json_t *
replaced(const char *text, const char *what, const char *by)
{
    const char *at = strstr(text, what);
    json_t *string, *rest;

    if (at == NULL)
        return xnotnull(json_string(text));
    rest = replaced(at + strlen(what), what, by);
    string =
        xnotnull(json_sprintf("%.*s%s%s", (int)(at - text), text, by, json_string_value(rest)));
    json_decref(rest);
    return string;
}

static void
add_all(json_t *argv, const json_t *list, const char *what, const char *by)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        json_array_append_new(argv, replaced(json_string_value(item), what, by));
    }
}

/* The operator has said that it may be without TLS; tools want to be told so. */
static void
add_plain(json_t *argv, const json_t *list, const char *url)
{
    struct packageindex index;

    if (strncmp(url, "http://", 7) != 0 || packageindex_parse(url, &index) < 0)
        return;
    *strrchr(index.place, ':') = '\0';
    add_all(argv, list, "{host}", index.place);
}

static void
add_sources(json_t *argv, const json_t *packages, const char *dir, const char *index)
{
    if (dir)
        add_all(argv, json_object_get(packages, "from_dir"), "{dir}", dir);
    if (index) {
        add_all(argv, json_object_get(packages, "from_index"), "{index}", index);
        add_plain(argv, json_object_get(packages, "from_plain_index"), index);
    } else {
        add_all(argv, json_object_get(packages, "only_dir"), "{dir}", dir);
    }
}

json_t *
packagetool_argv(const json_t *packages, const char *dir, const char *index, const json_t *wanted)
{
    static const char target[] = TCI_PATH_WORKSPACE "/" TCI_INSTALL_TARGET;
    json_t *argv = xnotnull(json_array());
    const json_t *item;
    size_t i;

    json_array_foreach (json_object_get(packages, "install"), i, item) {
        const char *text = json_string_value(item);

        if (strcmp(text, "{sources}") == 0)
            add_sources(argv, packages, dir, index);
        else if (strcmp(text, "{packages}") == 0)
            json_array_extend(argv, (json_t *)wanted);
        else
            json_array_append_new(argv, replaced(text, "{target}", target));
    }
    return argv;
}

void
packagetool_add_env(const json_t *packages, json_t *env)
{
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(packages, "env"), name, value) {
        json_object_set_new(env, name,
                            replaced(json_string_value(value), "{target}", TCI_PATH_PACKAGES));
    }
}

const char *
packagetool_activation(const json_t *packages)
{
    return json_string_value(json_object_get(packages, "activate"));
}
