/* shown.c - see shown.h. */
#include "shown.h"

#include <string.h>

#include "output_error.h"

enum {
    VALUE_COST = 64, /* bytes that a value counts for beside its characters */
    VALUE_DEPTH =
        256, /* levels of a result's value: what it comes to be part of is read again, by us and by clients */
};

static const char *const names[] = {
    [SHOWN_NOTHING] = "",           [SHOWN_STDOUT] = "stdout",   [SHOWN_STDERR] = "stderr",
    [SHOWN_RESULT] = "result",      [SHOWN_DISPLAY] = "display", [SHOWN_UPDATE] = "update_display",
    [SHOWN_CLEAR] = "clear_output", [SHOWN_ERROR] = "error",
};

const char *
shown_name(enum shown kind)
{
    return names[kind];
}

json_t *
shown_text(const char *text, size_t len)
{
    return xnotnull(json_pack("{s:o}", "text", xnotnull(json_stringn_nocheck(text, len))));
}

/* --- bundles ------------------------------------------------------------------------------ */

static bool
is_space(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

static json_t *
without_space(const json_t *string)
{
    const char *s = json_string_value(string);
    const size_t len = json_string_length(string);
    cleanup_free char *copy = xnotnull(malloc(len + 1));
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        if (!is_space(s[i]))
            copy[n++] = s[i];
    return xnotnull(json_stringn_nocheck(copy, n));
}

/* Types whose content is bytes, and so base64 in JSON; SVG is text. */
static bool
is_binary(const char *type)
{
    return (strncmp(type, "image/", 6) == 0 && strncmp(type, "image/svg", 9) != 0) ||
           strncmp(type, "audio/", 6) == 0 || strncmp(type, "video/", 6) == 0 ||
           strcmp(type, "application/pdf") == 0;
}

/* Kernels break base64 into lines, or leave a line break behind it. */
static json_t *
take_bundle(const json_t *content)
{
    const json_t *data = json_object_get(content, "data");
    json_t *bundle = xnotnull(json_object()), *value;
    const char *type;

    json_object_foreach ((json_t *)data, type, value) {
        if (is_binary(type) && json_is_string(value))
            json_object_set_new_nocheck(bundle, type, without_space(value));
        else
            json_object_set_nocheck(bundle, type, value);
    }
    return bundle;
}

static json_t *
take_metadata(const json_t *content)
{
    json_t *metadata = json_object_get(content, "metadata");

    return json_is_object(metadata) ? json_incref(metadata) : xnotnull(json_object());
}

static json_t *
take_display_id(const json_t *content)
{
    json_t *id = json_object_get(json_object_get(content, "transient"), "display_id");

    return json_is_string(id) ? json_incref(id) : json_null();
}

static json_t *
make_display(const json_t *content)
{
    return xnotnull(json_pack("{s:o,s:o,s:o}", "data", take_bundle(content), "metadata",
                              take_metadata(content), "display_id", take_display_id(content)));
}

/* Whether the text has more levels than VALUE_DEPTH, if it is JSON. */
static bool
is_deep(const char *text, size_t len)
{
    bool quoted = false;
    size_t depth = 0;

    for (size_t i = 0; i < len && depth <= VALUE_DEPTH; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += text[i] == '\\';
        else if (text[i] == '[' || text[i] == '{')
            depth++;
        else if (text[i] == ']' || text[i] == '}')
            depth -= depth > 0;
    }
    return depth > VALUE_DEPTH;
}

/* NULL: the result is no JSON, or too deep. */
static json_t *
value_of(const json_t *bundle)
{
    json_t *value = json_object_get(bundle, "application/json");
    const json_t *text = json_object_get(bundle, "text/plain");

    if (value)
        return json_incref(value);
    if (!json_is_string(text) || json_string_length(text) > SHOWN_MAX_VALUE ||
        is_deep(json_string_value(text), json_string_length(text)))
        return NULL;
    return json_loadb(json_string_value(text), json_string_length(text),
                      JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static json_t *
make_result(const json_t *content)
{
    json_t *bundle = take_bundle(content);
    json_t *text = json_object_get(bundle, "text/plain"), *value = value_of(bundle);
    json_t *result =
        xnotnull(json_pack("{s:O?,s:o,s:o}", "text", json_is_string(text) ? text : NULL, "data",
                           bundle, "metadata", take_metadata(content)));

    if (value)
        json_object_set_new(result, "value", value);
    return result;
}

/* --- messages ----------------------------------------------------------------------------- */

static enum shown
from_stream(const json_t *content, json_t **what)
{
    const char *name = json_string_value(json_object_get(content, "name"));
    json_t *text = json_object_get(content, "text");

    if (!json_is_string(text) || json_string_length(text) == 0)
        return SHOWN_NOTHING;
    *what = xnotnull(json_pack("{s:O}", "text", text));
    return name && strcmp(name, "stderr") == 0 ? SHOWN_STDERR : SHOWN_STDOUT;
}

static enum shown
from_display(const json_t *content, enum shown kind, json_t **what)
{
    if (!json_is_object(json_object_get(content, "data")))
        return SHOWN_NOTHING;
    *what = kind == SHOWN_RESULT ? make_result(content) : make_display(content);
    return kind;
}

/* xeus-python calls an exception <class 'ValueError'>. */
static void
name_plainly(json_t *error)
{
    static const char before[] = "<class '", after[] = "'>";
    const json_t *ename = json_object_get(error, "ename");
    const char *s = json_string_value(ename);
    const size_t len = json_string_length(ename), cut = strlen(before) + strlen(after);

    if (len > cut && strncmp(s, before, strlen(before)) == 0 &&
        strcmp(s + len - strlen(after), after) == 0)
        json_object_set_new(error, "ename",
                            xnotnull(json_stringn_nocheck(s + strlen(before), len - cut)));
}

static enum shown
from_error(const json_t *content, json_t **what, bool *truncated)
{
    size_t seen = 0;

    if (!json_is_string(json_object_get(content, "ename")))
        return SHOWN_NOTHING;
    *what = output_error_new(content, &seen, truncated);
    name_plainly(*what);
    return SHOWN_ERROR;
}

enum shown
shown_from(const char *msg_type, const json_t *content, json_t **what, bool *truncated)
{
    *what = NULL;
    if (strcmp(msg_type, "stream") == 0)
        return from_stream(content, what);
    if (strcmp(msg_type, "execute_result") == 0)
        return from_display(content, SHOWN_RESULT, what);
    if (strcmp(msg_type, "display_data") == 0)
        return from_display(content, SHOWN_DISPLAY, what);
    if (strcmp(msg_type, "update_display_data") == 0)
        return from_display(content, SHOWN_UPDATE, what);
    if (strcmp(msg_type, "error") == 0)
        return from_error(content, what, truncated);
    if (strcmp(msg_type, "clear_output") != 0)
        return SHOWN_NOTHING;
    *what = xnotnull(json_pack("{s:b}", "wait", json_is_true(json_object_get(content, "wait"))));
    return SHOWN_CLEAR;
}

json_t *
shown_error_of_reply(const json_t *reply_content, bool *truncated)
{
    json_t *error;

    if (from_error(reply_content, &error, truncated) == SHOWN_ERROR)
        return error;
    return output_error_refusal();
}

/* --- sizes -------------------------------------------------------------------------------- */

size_t
shown_size(const json_t *value)
{
    size_t size = VALUE_COST + json_string_length(value), i;
    const char *key;
    json_t *part;

    json_object_foreach ((json_t *)value, key, part)
        size += strlen(key) + shown_size(part);
    json_array_foreach ((json_t *)value, i, part)
        size += shown_size(part);
    return size;
}
