#include "body.h"

#include <string.h>

#include "key.h"

enum { MAX_MARKS = 1000 };

enum field { USER_UUID, CODE, TIMEOUT, CPU, MEMORY_MB, NETWORK, KERNEL, LANGUAGE, KEY, N_FIELDS };

/* Which fields a body may have. */
enum {
    OF_EXECUTE =
        1 << USER_UUID | 1 << CODE | 1 << TIMEOUT | 1 << CPU | 1 << MEMORY_MB | 1 << NETWORK,
    OF_SESSION = 1 << USER_UUID | 1 << NETWORK | 1 << KERNEL | 1 << LANGUAGE,
    OF_RELEASE = 1 << USER_UUID | 1 << KEY,
};

static const char *const field_name[N_FIELDS] = {
    "user_uuid", "code", "timeout", "cpu", "memory_mb", "network", "kernel", "language", "key"};

static const char user_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"
                                    "0123456789._:@-";

static const char name_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"
                                    "0123456789._+#-";

static int
bad(struct err *err, enum field field, const char *what)
{
    return err_field(err, ERR_BAD_REQUEST, field_name[field], "%s: %s", field_name[field], what);
}

/*
 * Whether it has more brackets and commas outside of strings than any request: the parser makes a hundred bytes and
 * more of an empty array.
 */
static bool
is_intricate(const char *text, size_t len)
{
    bool quoted = false;
    size_t n = 0;

    for (size_t i = 0; i < len && n <= MAX_MARKS; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += text[i] == '\\';
        else
            n += text[i] == '[' || text[i] == '{' || text[i] == ',';
    }
    return n > MAX_MARKS;
}

static int
load(const char *text, size_t len, struct body *out, struct err *err)
{
    json_error_t where;

    memset(out, 0, sizeof(*out));
    if (is_intricate(text, len))
        return err_set(err, ERR_BAD_REQUEST, "The body has too many values");
    /* NUL is for the kernel to judge: it is legal in a JSON string. */
    out->json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (out->json == NULL && json_error_code(&where) == json_error_duplicate_key)
        return err_set(err, ERR_BAD_REQUEST, "The body has a field twice (line %d, column %d)",
                       where.line, where.column);
    if (out->json == NULL)
        return err_set(err, ERR_BAD_REQUEST, "The body is not valid JSON (line %d, column %d)",
                       where.line, where.column);
    if (!json_is_object(out->json))
        return err_set(err, ERR_BAD_REQUEST, "The body is not a JSON object");
    return 0;
}

/* A field's name comes from the client: only a harmless one is repeated. */
static int
unknown_field(const char *key, struct err *err)
{
    if (key[strspn(key, user_alphabet)] != '\0' || strlen(key) > 40)
        return err_set(err, ERR_BAD_REQUEST, "The body has an unknown field");
    return err_field(err, ERR_BAD_REQUEST, key, "%s: unknown field", key);
}

static int
check_fields(const struct body *body, unsigned allowed, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach (body->json, key, value) {
        unsigned i = 0;

        while (i < N_FIELDS && strcmp(key, field_name[i]) != 0)
            i++;
        if (i < N_FIELDS && (allowed & 1U << i))
            continue;
        return unknown_field(key, err);
    }
    return 0;
}

bool
body_is_user(const char *text)
{
    size_t len = strlen(text);

    return len >= 1 && len <= BODY_USER_MAX && strspn(text, user_alphabet) == len;
}

static int
take_user(struct body *body, struct err *err)
{
    const json_t *user = json_object_get(body->json, "user_uuid");
    size_t len = json_string_length(user);

    if (user == NULL)
        return bad(err, USER_UUID, "missing");
    if (!json_is_string(user))
        return bad(err, USER_UUID, "must be a string");
    body->user = json_string_value(user);
    if (strlen(body->user) != len || !body_is_user(body->user))
        return bad(err, USER_UUID, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : @ -");
    return 0;
}

static int
take_code(struct body *body, size_t max, struct err *err)
{
    const json_t *code = json_object_get(body->json, "code");

    if (code == NULL)
        return bad(err, CODE, "missing");
    if (!json_is_string(code))
        return bad(err, CODE, "must be a string");
    body->code = json_string_value(code);
    body->code_len = json_string_length(code);
    if (body->code_len > max)
        return err_field(err, ERR_TOO_LARGE, "code", "code: %zu bytes, at most %zu are allowed",
                         body->code_len, max);
    return 0;
}

static int
take_timeout(struct body *body, double max, struct err *err)
{
    const json_t *timeout = json_object_get(body->json, "timeout");

    body->timeout = max;
    if (timeout == NULL || json_is_null(timeout))
        return 0;
    if (!json_is_number(timeout))
        return bad(err, TIMEOUT, "must be a number of seconds");
    body->timeout = json_number_value(timeout);
    if (body->timeout <= 0 || body->timeout > max)
        return err_field(err, ERR_BAD_REQUEST, "timeout",
                         "timeout: must be more than 0 and at most %.10g seconds", max);
    return 0;
}

static const char cannot_limit[] =
    "this server, which runs without root, cannot limit single executions";

static int
take_cpu(struct body *body, double max, struct err *err)
{
    const json_t *cpu = json_object_get(body->json, "cpu");

    if (cpu == NULL || json_is_null(cpu))
        return 0;
    if (max <= 0)
        return bad(err, CPU, cannot_limit);
    body->limits.cpu = json_number_value(cpu); /* 0 of what is no number */
    if (body->limits.cpu <= 0 || body->limits.cpu > max)
        return err_field(err, ERR_BAD_REQUEST, "cpu",
                         "cpu: must be a number of cores, more than 0 and at most %.10g", max);
    return 0;
}

static int
take_memory(struct body *body, unsigned max, struct err *err)
{
    const json_t *memory = json_object_get(body->json, "memory_mb");
    json_int_t mb = json_integer_value(memory); /* 0 of what is no whole number */

    if (memory == NULL || json_is_null(memory))
        return 0;
    if (max == 0)
        return bad(err, MEMORY_MB, cannot_limit);
    if (mb < 1 || mb > max)
        return err_field(err, ERR_BAD_REQUEST, "memory_mb",
                         "memory_mb: must be a whole number of MiB, 1 to %u", max);
    body->limits.memory_mb = (unsigned)mb;
    return 0;
}

static int
take_network(struct body *body, struct err *err)
{
    const json_t *network = json_object_get(body->json, "network");
    const char *text = json_string_value(network);

    body->network = NETWORK_UNSAID;
    if (network == NULL || json_is_null(network))
        return 0;
    if (text == NULL || strlen(text) != json_string_length(network))
        text = "";
    if (strcmp(text, "none") == 0)
        body->network = NETWORK_NONE;
    else if (strcmp(text, "allowlist") == 0)
        body->network = NETWORK_ALLOWLIST;
    else
        return bad(err, NETWORK, "must be \"none\" or \"allowlist\"");
    return 0;
}

static int
take_key(struct body *body, struct err *err)
{
    const json_t *key = json_object_get(body->json, "key");

    if (key == NULL || json_is_null(key))
        return 0;
    body->key = json_string_value(key);
    if (json_string_length(key) != KEY_ID_CHARS || !key_is_id(body->key))
        return bad(err, KEY, "must be the id of an API key, 12 characters of 0-9 a-f");
    return 0;
}

int
body_parse_execute(const char *text, size_t len, const struct body_limits *limits, struct body *out,
                   struct err *err)
{
    if (load(text, len, out, err) == 0 && check_fields(out, OF_EXECUTE, err) == 0 &&
        take_user(out, err) == 0 && take_code(out, limits->max_code, err) == 0 &&
        take_timeout(out, limits->max_timeout, err) == 0 &&
        take_cpu(out, limits->most.cpu, err) == 0 &&
        take_memory(out, limits->most.memory_mb, err) == 0 && take_network(out, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}

/* A name of at most BODY_NAME_MAX characters, or null. */
static int
take_name(const struct body *body, enum field field, const char **out, struct err *err)
{
    const json_t *value = json_object_get(body->json, field_name[field]);
    size_t len = json_string_length(value);

    *out = json_string_value(value); /* NULL of what is no string */
    if (value == NULL || json_is_null(value))
        return 0;
    if (*out == NULL || len < 1 || len > BODY_NAME_MAX || strspn(*out, name_alphabet) != len)
        return bad(err, field, "must be 1 to 64 characters of A-Z a-z 0-9 . _ + # -");
    return 0;
}

/* The same thing by two names. */
static int
take_kernel(struct body *body, struct err *err)
{
    if (take_name(body, KERNEL, &body->kernel, err) < 0 ||
        take_name(body, LANGUAGE, &body->language, err) < 0)
        return -1;
    return body->kernel && body->language ? bad(err, LANGUAGE, "kernel says it already") : 0;
}

int
body_parse_session(const char *text, size_t len, struct body *out, struct err *err)
{
    if (load(text, len, out, err) == 0 && check_fields(out, OF_SESSION, err) == 0 &&
        (json_object_get(out->json, "user_uuid") == NULL || take_user(out, err) == 0) &&
        take_network(out, err) == 0 && take_kernel(out, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}

int
body_parse_release(const char *text, size_t len, struct body *out, struct err *err)
{
    if (load(text, len, out, err) == 0 && check_fields(out, OF_RELEASE, err) == 0 &&
        take_user(out, err) == 0 && take_key(out, err) == 0)
        return 0;
    body_clear(out);
    return -1;
}

int
body_load(const char *text, size_t len, struct body *out, struct err *err)
{
    return load(text, len, out, err);
}

int
body_only(const struct body *body, const char *const names[], struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach (body->json, key, value) {
        const char *const *name = names;

        while (*name && strcmp(*name, key) != 0)
            name++;
        if (*name == NULL)
            return unknown_field(key, err);
    }
    return 0;
}

int
body_take_code(struct body *body, size_t max, struct err *err)
{
    return take_code(body, max, err);
}

int
body_take_limits(struct body *body, const struct body_limits *limits, struct err *err)
{
    if (take_timeout(body, limits->max_timeout, err) == 0 &&
        take_cpu(body, limits->most.cpu, err) == 0 &&
        take_memory(body, limits->most.memory_mb, err) == 0)
        return 0;
    return -1;
}

void
body_clear(struct body *body)
{
    json_decref(body->json);
    memset(body, 0, sizeof(*body));
}
