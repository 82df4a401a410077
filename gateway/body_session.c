#include "body_session.h"

#include <string.h>

#include "body.h"
#include "requirement.h"

static const char *const session_fields[] = {"env",      "files_from", "idle_timeout", "kernel",
                                             "language", "limits",     "network",      "packages",
                                             "strategy", "ttl",        "user_uuid",    NULL};
static const char *const patch_fields[] = {"idle_timeout", "ttl", NULL};
static const char *const limit_fields[] = {"cpu", "disk_mb", "memory_mb", "pids", "timeout", NULL};

static const char name_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"
                                    "0123456789._+#-";

static int
bad(struct err *err, const char *field, const char *what)
{
    return err_field(err, ERR_BAD_REQUEST, field, "%s: %s", field, what);
}

static bool
is_absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

/* The text, without NUL; NULL: it is none. */
static const char *
text_of(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* --- names -------------------------------------------------------------------------------- */

static int
take_user(const struct body_session *body, const char *field, const char **out, struct err *err)
{
    const json_t *user = json_object_get(body->json, field);

    if (is_absent(user))
        return 0;
    *out = text_of(user);
    if (*out == NULL || !body_is_user(*out))
        return bad(err, field, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -");
    return 0;
}

/* Only a workspace that lives on is worth files. */
static int
take_files_from(struct body_session *body, struct err *err)
{
    if (take_user(body, "files_from", &body->files_from, err) < 0)
        return -1;
    if (body->files_from && body->terms.strategy != TERMS_SESSION)
        return bad(err, "files_from",
                   "a session of this strategy has new files for each execution");
    return 0;
}

static int
take_name(const struct body_session *body, const char *field, const char **out, struct err *err)
{
    const json_t *value = json_object_get(body->json, field);
    size_t len = json_string_length(value);

    *out = text_of(value);
    if (is_absent(value))
        return 0;
    if (*out == NULL || len < 1 || len > BODY_NAME_MAX || strspn(*out, name_alphabet) != len)
        return bad(err, field, "must be 1 to 64 characters of A-Z a-z 0-9 . _ + # -");
    return 0;
}

/* The same thing by two names. */
static int
take_kernel(struct body_session *body, struct err *err)
{
    if (take_name(body, "kernel", &body->kernel, err) < 0 ||
        take_name(body, "language", &body->language, err) < 0)
        return -1;
    return body->kernel && body->language ? bad(err, "language", "kernel says it already") : 0;
}

static int
take_strategy(struct body_session *body, struct err *err)
{
    const json_t *value = json_object_get(body->json, "strategy");
    const char *text = text_of(value);
    int strategy = text ? terms_strategy_find(text) : -1;

    if (is_absent(value))
        return 0;
    if (strategy < 0)
        return bad(err, "strategy", "must be \"session\", \"execution\" or \"pool\"");
    body->has_strategy = true;
    body->terms.strategy = (enum terms_strategy)strategy;
    return 0;
}

/* --- numbers ------------------------------------------------------------------------------ */

static const char cannot_limit[] = "this server, which runs without root, cannot limit it";

/* field: its name in full; key: in the object. */
static int
take_real(const json_t *object, const char *key, const char *field, double max, double *out,
          struct err *err)
{
    const json_t *value = json_object_get(object, key);

    if (is_absent(value))
        return 0;
    if (max <= 0)
        return bad(err, field, cannot_limit);
    *out = json_number_value(value); /* 0 of what is no number */
    if (*out > 0 && *out <= max)
        return 0;
    return err_field(err, ERR_BAD_REQUEST, field,
                     "%s: must be a number, more than 0 and at most %.10g", field, max);
}

static int
take_whole(const json_t *object, const char *key, const char *field, unsigned min, unsigned max,
           unsigned *out, struct err *err)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t number = json_integer_value(value); /* 0 of what is no whole number */

    if (is_absent(value))
        return 0;
    if (max == 0)
        return bad(err, field, cannot_limit);
    if (number < min || number > max)
        return err_field(err, ERR_BAD_REQUEST, field, "%s: must be a whole number, %u to %u", field,
                         min, max);
    *out = (unsigned)number;
    return 0;
}

static unsigned
lesser(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int
take_limits(struct body_session *body, const struct body_session_limits *l, struct err *err)
{
    const json_t *limits = json_object_get(body->json, "limits");
    const struct portion *most = &l->most;
    struct portion *out = &body->terms.limits;

    if (is_absent(limits))
        return 0;
    if (!json_is_object(limits))
        return bad(err, "limits", "must be an object");
    if (body_check_fields(limits, "limits.", limit_fields, err) < 0 ||
        take_real(limits, "cpu", "limits.cpu", most->cpu, &out->cpu, err) < 0 ||
        take_whole(limits, "memory_mb", "limits.memory_mb",
                   lesser(BODY_LEAST_MEMORY_MB, most->memory_mb), most->memory_mb, &out->memory_mb,
                   err) < 0 ||
        take_whole(limits, "disk_mb", "limits.disk_mb", 1, most->disk_mb, &out->disk_mb, err) < 0 ||
        take_whole(limits, "pids", "limits.pids", lesser(BODY_LEAST_PIDS, most->pids), most->pids,
                   &out->pids, err) < 0)
        return -1;
    return take_real(limits, "timeout", "limits.timeout", l->timeout, &body->terms.timeout, err);
}

/* --- the environment ---------------------------------------------------------------------- */

static bool
is_variable(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    size_t len = strlen(name);

    return len >= 1 && len <= 128 && strchr(letters, name[0]) && strspn(name, all) == len;
}

static int
take_env(struct body_session *body, struct err *err)
{
    json_t *env = json_object_get(body->json, "env"), *value;
    const char *name;
    size_t bytes = 0;

    if (is_absent(env))
        return 0;
    if (!json_is_object(env) || json_object_size(env) > BODY_ENV_VARIABLES)
        return bad(err, "env", "must be an object of at most 64 strings");
    json_object_foreach (env, name, value) {
        if (!is_variable(name) || text_of(value) == NULL)
            return bad(err, "env", "must have names of A-Z a-z 0-9 _, and strings without NUL");
        bytes += strlen(name) + json_string_length(value);
    }
    if (bytes > BODY_ENV_BYTES)
        return bad(err, "env", "must have at most 32 KiB of names and values");
    body->terms.env = json_incref(env);
    return 0;
}

/* --- packages ----------------------------------------------------------------------------- */

static int
take_packages(struct body_session *body, struct err *err)
{
    const json_t *value = json_object_get(body->json, "packages");
    json_t *list;
    int rc;

    if (is_absent(value) || (json_is_array(value) && json_array_size(value) == 0))
        return 0;
    list = requirement_list(value, err);
    if (list == NULL)
        return -1;
    rc = terms_add_packages(&body->terms, list);
    json_decref(list);
    return rc;
}

int
body_packages_parse(const char *text, size_t len, json_t **packages, bool *stream, struct err *err)
{
    static const char *const fields[] = {"packages", "stream", NULL};
    json_auto_t *json = body_object(len ? text : "{}", len ? len : 2, err);
    const json_t *flag = json_object_get(json, "stream");

    if (json == NULL || body_check_fields(json, "", fields, err) < 0)
        return -1;
    if (!is_absent(flag) && !json_is_boolean(flag))
        return bad(err, "stream", "must be true or false");
    *stream = json_is_true(flag);
    *packages = requirement_list(json_object_get(json, "packages"), err);
    return *packages ? 0 : -1;
}

/* --- all of it ---------------------------------------------------------------------------- */

static int
take_network(struct body_session *body, struct err *err)
{
    const json_t *value = json_object_get(body->json, "network");
    const char *text = text_of(value);

    if (is_absent(value))
        return 0;
    if (text && strcmp(text, "none") == 0)
        body->network = NETWORK_NONE;
    else if (text && strcmp(text, "allowlist") == 0)
        body->network = NETWORK_ALLOWLIST;
    else
        return bad(err, "network", "must be \"none\" or \"allowlist\"");
    return 0;
}

static int
take_times(struct body_session *body, const struct body_session_limits *l, struct err *err)
{
    return take_real(body->json, "ttl", "ttl", l->ttl, &body->ttl, err) < 0 ||
                   take_real(body->json, "idle_timeout", "idle_timeout", l->idle_timeout,
                             &body->terms.idle_timeout, err) < 0
               ? -1
               : 0;
}

static int
begin(const char *text, size_t len, const char *const fields[], struct body_session *out,
      struct err *err)
{
    memset(out, 0, sizeof(*out));
    out->network = NETWORK_UNSAID;
    out->json = body_object(len ? text : "{}", len ? len : 2, err);
    return out->json && body_check_fields(out->json, "", fields, err) == 0 ? 0 : -1;
}

int
body_session_parse(const char *text, size_t len, const struct body_session_limits *l,
                   struct body_session *out, struct err *err)
{
    if (begin(text, len, session_fields, out, err) == 0 &&
        take_user(out, "user_uuid", &out->user, err) == 0 && take_kernel(out, err) == 0 &&
        take_strategy(out, err) == 0 && take_files_from(out, err) == 0 &&
        take_network(out, err) == 0 && take_limits(out, l, err) == 0 && take_env(out, err) == 0 &&
        take_times(out, l, err) == 0 && take_packages(out, err) == 0)
        return 0;
    body_session_clear(out);
    return -1;
}

int
body_session_parse_patch(const char *text, size_t len, const struct body_session_limits *l,
                         struct body_session *out, bool *forever, struct err *err)
{
    if (begin(text, len, patch_fields, out, err) == 0 && take_times(out, l, err) == 0) {
        *forever = json_is_null(json_object_get(out->json, "ttl"));
        return 0;
    }
    body_session_clear(out);
    return -1;
}

void
body_session_clear(struct body_session *body)
{
    terms_clear(&body->terms);
    json_decref(body->json);
    memset(body, 0, sizeof(*body));
}
