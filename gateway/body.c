#include "body.h"

#include <string.h>

#include "key.h"

enum { MAX_MARKS = 1000 };

enum field { USER_UUID, CODE, TIMEOUT, CPU, MEMORY_MB, NETWORK, KEY, N_FIELDS };

/* Which fields a body may have. */
enum {
    OF_EXECUTE =
        1 << USER_UUID | 1 << CODE | 1 << TIMEOUT | 1 << CPU | 1 << MEMORY_MB | 1 << NETWORK,
    OF_RELEASE = 1 << USER_UUID | 1 << KEY,
};

static const char *const field_name[N_FIELDS] = {"user_uuid", "code",    "timeout", "cpu",
                                                 "memory_mb", "network", "key"};

static const char user_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"
                                    "0123456789._:@-";

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

json_t *
body_object(const char *text, size_t len, struct err *err)
{
    json_error_t where;
    json_t *json;

    if (is_intricate(text, len)) {
        err_set(err, ERR_BAD_REQUEST, "The body has too many values");
        return NULL;
    }
    /* NUL is for the kernel to judge: it is legal in a JSON string. */
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (json == NULL && json_error_code(&where) == json_error_duplicate_key)
        err_set(err, ERR_BAD_REQUEST, "The body has a field twice (line %d, column %d)", where.line,
                where.column);
    else if (json == NULL)
        err_set(err, ERR_BAD_REQUEST, "The body is not valid JSON (line %d, column %d)", where.line,
                where.column);
    else if (!json_is_object(json))
        err_set(err, ERR_BAD_REQUEST, "The body is not a JSON object");
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static int
load(const char *text, size_t len, struct body *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    out->json = body_object(text, len, err);
    return out->json ? 0 : -1;
}

/* A field's name comes from the client: only a harmless one is repeated. */
static int
refuse_field(const char *prefix, const char *key, struct err *err)
{
    cleanup_free char *field = xasprintf("%s%s", prefix, key);

    if (key[strspn(key, user_alphabet)] != '\0' || strlen(field) > 40)
        return err_set(err, ERR_BAD_REQUEST, "The body has an unknown field");
    return err_field(err, ERR_BAD_REQUEST, field, "%s: unknown field", field);
}

int
body_check_fields(const json_t *object, const char *prefix, const char *const names[],
                  struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)object, key, value) {
        size_t i = 0;

        while (names[i] && strcmp(key, names[i]) != 0)
            i++;
        if (names[i] == NULL)
            return refuse_field(prefix, key, err);
    }
    return 0;
}

static int
check_fields(const struct body *body, unsigned allowed, struct err *err)
{
    const char *names[N_FIELDS + 1];
    size_t n = 0;

    for (unsigned i = 0; i < N_FIELDS; i++)
        if (allowed & 1U << i)
            names[n++] = field_name[i];
    names[n] = NULL;
    return body_check_fields(body->json, "", names, err);
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
    return body_check_fields(body->json, "", names, err);
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
