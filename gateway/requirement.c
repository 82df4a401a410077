#include "requirement.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static const char name_more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
static const char version_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+!*-";
/* The longer ones first. */
static const char *const operators[] = {"===", "==", ">=", "<=", "~=", "!=", "<", ">"};

/* Each reads its part at *at and moves that behind it; false: there is none. */

static bool
read_name(const char **at)
{
    const size_t n = strspn(*at, name_more);

    if (n == 0 || strchr(letters, (*at)[0]) == NULL || strchr(letters, (*at)[n - 1]) == NULL)
        return false;
    *at += n;
    return true;
}

static bool
read_scope(const char **at)
{
    ++*at;
    return read_name(at) && *(*at)++ == '/';
}

static bool
read_extras(const char **at)
{
    do {
        ++*at;
        if (!read_name(at))
            return false;
    } while (**at == ',');
    return *(*at)++ == ']';
}

static bool
read_operator(const char **at)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        const size_t n = strlen(operators[i]);

        if (strncmp(*at, operators[i], n) == 0) {
            *at += n;
            return true;
        }
    }
    return false;
}

static bool
read_version(const char **at)
{
    size_t n;

    if (!read_operator(at))
        return false;
    n = strspn(*at, version_chars);
    if (n == 0 || strchr(letters, (*at)[0]) == NULL)
        return false;
    *at += n;
    return true;
}

bool
requirement_is_valid(const char *text)
{
    const char *at = text;

    if (strlen(text) > REQUIREMENT_MAX || (*at == '@' && !read_scope(&at)) || !read_name(&at) ||
        (*at == '[' && !read_extras(&at)))
        return false;
    for (bool more = *at != '\0'; more; at += more) {
        if (!read_version(&at))
            return false;
        more = *at == ',';
    }
    return *at == '\0';
}

bool
requirement_is_scoped(const char *text)
{
    return text[0] == '@';
}

bool
requirement_is_exact(const char *text)
{
    const char *equal = strstr(text, "==");

    return equal && strchr(equal, '*') == NULL;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NULL: one of them is none. */
static json_t *
sorted(const json_t *value)
{
    const char *texts[REQUIREMENTS_MAX];
    const size_t n = json_array_size(value);
    json_t *list;

    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        texts[i] = json_string_value(item);
        if (texts[i] == NULL || strlen(texts[i]) != json_string_length(item) ||
            !requirement_is_valid(texts[i]))
            return NULL;
    }
    qsort(texts, n, sizeof(texts[0]), by_text);
    list = xnotnull(json_array());
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0)
            json_array_append_new(list, json_string(texts[i]));
    return list;
}

json_t *
requirement_list(const json_t *value, struct err *err)
{
    const size_t n = json_array_size(value);
    json_t *list = NULL;

    if (n < 1 || n > REQUIREMENTS_MAX)
        err_field(err, ERR_BAD_REQUEST, "packages",
                  "packages: must be an array of 1 to %d names of packages", REQUIREMENTS_MAX);
    else if ((list = sorted(value)) == NULL)
        err_field(err, ERR_BAD_REQUEST, "packages",
                  "packages: must have strings like name, name==1.2, name[extra]>=1,<2, without "
                  "spaces; no options, paths or URLs");
    return list;
}

static bool
is_among(const json_t *list, const json_t *wanted)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (json_equal(item, wanted))
            return true;
    return false;
}

bool
requirement_has(const json_t *groups, const json_t *group)
{
    return is_among(groups, group);
}

json_t *
requirement_all(const json_t *groups)
{
    json_t *all = xnotnull(json_array()), *group, *item;
    size_t i, k;

    json_array_foreach (groups, i, group) {
        json_array_foreach (group, k, item) {
            if (!is_among(all, item))
                json_array_append(all, item);
        }
    }
    return all;
}
