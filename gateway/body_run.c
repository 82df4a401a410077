#include "body_run.h"

#include <string.h>

static int
bad(struct err *err, const char *field, const char *what)
{
    return err_field(err, ERR_BAD_REQUEST, field, "%s: %s", field, what);
}

/* --- an execution ------------------------------------------------------------------------- */

static int
take_flag(const json_t *json, const char *name, bool standard, bool *out, struct err *err)
{
    const json_t *value = json_object_get(json, name);

    *out = standard;
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_boolean(value))
        return bad(err, name, "must be true or false");
    *out = json_is_true(value);
    return 0;
}

static int
take_flags(struct body_run *run, struct err *err)
{
    const json_t *json = run->body.json;
    bool history;

    if (take_flag(json, "stream", false, &run->stream, err) < 0 ||
        take_flag(json, "background", false, &run->background, err) < 0 ||
        take_flag(json, "silent", false, &run->silent, err) < 0 ||
        take_flag(json, "store_history", true, &history, err) < 0)
        return -1;
    run->no_history = !history;
    return 0;
}

static bool
are_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return json_is_array(array);
}

static int
take_stdin(struct body_run *run, struct err *err)
{
    const json_t *text = json_object_get(run->body.json, "stdin");
    size_t bytes = json_string_length(text);

    if (text == NULL || json_is_null(text))
        return 0;
    run->input = json_is_true(text);
    if (json_is_boolean(text))
        return 0;
    if (!json_is_string(text) && !are_strings(text))
        return bad(err, "stdin", "must be true, false, a string, or an array of lines");
    for (size_t i = 0; i < json_array_size(text); i++)
        bytes += json_string_length(json_array_get(text, i));
    if (bytes > BODY_RUN_MAX_STDIN)
        return err_field(err, ERR_TOO_LARGE, "stdin", "stdin: %zu bytes, at most %d are allowed",
                         bytes, BODY_RUN_MAX_STDIN);
    run->stdin_text = text;
    return 0;
}

/* An object whose values are strings, or nothing. */
static int
take_strings(const json_t *json, const char *name, json_t **out, struct err *err)
{
    json_t *object = json_object_get(json, name), *value;
    const char *key;

    if (object == NULL || json_is_null(object))
        return 0;
    if (!json_is_object(object))
        return bad(err, name, "must be an object of strings");
    json_object_foreach (object, key, value)
        if (!json_is_string(value))
            return bad(err, name, "must be an object of strings");
    *out = object;
    return 0;
}

static bool
is_name(const char *s)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    return s[0] != '\0' && !(s[0] >= '0' && s[0] <= '9') && s[strspn(s, alphabet)] == '\0';
}

static int
take_env(struct body_run *run, struct err *err)
{
    json_t *env = NULL, *value;
    const char *key;
    size_t bytes = 0;

    if (take_strings(run->body.json, "env", &env, err) < 0)
        return -1;
    run->env = env;
    json_object_foreach (env, key, value) {
        bytes += strlen(key) + json_string_length(value);
        if (!is_name(key))
            return bad(err, "env", "a name must be of A-Z a-z 0-9 _, and begin with no digit");
        if (strlen(json_string_value(value)) != json_string_length(value))
            return bad(err, "env", "a value has a NUL character");
    }
    if (bytes > BODY_RUN_MAX_ENV)
        return err_field(err, ERR_TOO_LARGE, "env", "env: %zu bytes, at most %d are allowed", bytes,
                         BODY_RUN_MAX_ENV);
    return 0;
}

static int
take_tests(struct body_run *run, struct err *err)
{
    const json_t *tests = json_object_get(run->body.json, "tests");

    if (tests == NULL || json_is_null(tests))
        return 0;
    if (!json_is_array(tests))
        return bad(err, "tests", "must be an array");
    run->tests = tests;
    return 0;
}

int
body_parse_run(const char *text, size_t len, const struct body_limits *limits, struct body_run *out,
               struct err *err)
{
    static const char *const names[] = {
        "background",    "code",   "cpu",   "env",     "memory_mb",        "silent", "stdin",
        "store_history", "stream", "tests", "timeout", "user_expressions", NULL};

    memset(out, 0, sizeof(*out));
    if (body_load(text, len, &out->body, err) == 0 && body_only(&out->body, names, err) == 0 &&
        body_take_code(&out->body, limits->max_code, err) == 0 &&
        body_take_limits(&out->body, limits, err) == 0 && take_flags(out, err) == 0 &&
        take_stdin(out, err) == 0 && take_env(out, err) == 0 &&
        take_strings(out->body.json, "user_expressions", &out->user_expressions, err) == 0 &&
        take_tests(out, err) == 0)
        return 0;
    body_run_clear(out);
    return -1;
}

void
body_run_clear(struct body_run *run)
{
    body_clear(&run->body);
    memset(run, 0, sizeof(*run));
}

/* --- what is asked of a kernel or an execution -------------------------------------------- */

static int
take_whole(const struct body *body, const char *name, json_int_t max, struct err *err)
{
    const json_t *value = json_object_get(body->json, name);

    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return err_field(err, ERR_BAD_REQUEST, name, "%s: must be a whole number, 0 to %lld", name,
                         (long long)max);
    return 0;
}

int
body_parse_question(const char *text, size_t len, size_t max_code, struct body *out,
                    struct err *err)
{
    static const char *const names[] = {"code", "cursor_pos", "detail_level", NULL};

    if (body_load(text, len, out, err) == 0 && body_only(out, names, err) == 0 &&
        body_take_code(out, max_code, err) == 0 &&
        take_whole(out, "cursor_pos", (json_int_t)out->code_len, err) == 0 &&
        take_whole(out, "detail_level", 1, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}

static int
take_line(const struct body *body, const json_t **line, struct err *err)
{
    const json_t *text = json_object_get(body->json, "text");
    bool eof;

    if (take_flag(body->json, "eof", false, &eof, err) < 0)
        return -1;
    if (text == NULL ? !eof : !json_is_string(text) || eof)
        return bad(err, "text", "must be a string, or eof true");
    if (json_string_length(text) > BODY_RUN_MAX_STDIN)
        return err_field(err, ERR_TOO_LARGE, "text", "text: at most %d bytes are allowed",
                         BODY_RUN_MAX_STDIN);
    *line = text;
    return 0;
}

int
body_parse_stdin(const char *text, size_t len, struct body *out, const json_t **line,
                 struct err *err)
{
    static const char *const names[] = {"eof", "text", NULL};

    if (body_load(text, len, out, err) == 0 && body_only(out, names, err) == 0 &&
        take_line(out, line, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}

static int
take_grace(const struct body *body, double *grace, struct err *err)
{
    const json_t *value = json_object_get(body->json, "grace");

    *grace = 5;
    if (value == NULL || json_is_null(value))
        return 0;
    *grace = json_number_value(value);
    if (!json_is_number(value) || *grace < 0 || *grace > 60)
        return bad(err, "grace", "must be a number of seconds, 0 to 60");
    return 0;
}

int
body_parse_interrupt(const char *text, size_t len, struct body *out, double *grace, struct err *err)
{
    static const char *const names[] = {"grace", NULL};

    if (body_load(len ? text : "{}", len ? len : 2, out, err) == 0 &&
        body_only(out, names, err) == 0 && take_grace(out, grace, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}
