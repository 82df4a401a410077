/* launch.c - see launch.h. */
#include "launch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "channels.h"
#include "die.h"

static int
fail(const char **why, const char *sentence)
{
    *why = sentence;
    return -1;
}

static void *
need(void *p)
{
    if (p == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    return p;
}

/* text with every {connection_file} replaced; a new string. */
static char *
expand(const char *text)
{
    static const char name[] = "{connection_file}", path[] = LAUNCH_CONNECTION_FILE;
    const size_t name_len = sizeof(name) - 1, path_len = sizeof(path) - 1;
    /* Room for as many paths as there could be names, and for what is between them. */
    char *out = need(malloc(strlen(text) / name_len * path_len + strlen(text) + 1)), *end = out;
    const char *hit;

    while ((hit = strstr(text, name)) != NULL) {
        end = mempcpy(end, text, (size_t)(hit - text));
        end = mempcpy(end, path, path_len);
        text = hit + name_len;
    }
    memcpy(end, text, strlen(text) + 1);
    return out;
}

static int
take_argv(const json_t *argv, struct launch *l, const char **why)
{
    const size_t n = json_array_size(argv);

    if (n == 0 || n > LAUNCH_MAX_ARGS)
        return fail(why, "argv is not an array of 1 to 256 strings");
    l->argv = need(calloc(n + 1, sizeof(*l->argv)));
    for (size_t i = 0; i < n; i++) {
        const char *arg = json_string_value(json_array_get(argv, i));

        if (arg == NULL || (i == 0 && arg[0] == '\0'))
            return fail(why, "argv has an element that is no string, or no program");
        l->argv[i] = expand(arg);
    }
    return 0;
}

static char *
assignment(const char *name, const char *value)
{
    char *text;

    return need(asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text);
}

static int
take_env(json_t *env, struct launch *l, const char **why)
{
    const size_t n = json_object_size(env);
    const char *name;
    json_t *value;
    size_t i = 0;

    if (!json_is_object(env) || n > LAUNCH_MAX_ENV)
        return fail(why, "env is not an object of 1024 members at most");
    l->env = need(calloc(n + 1, sizeof(*l->env)));
    json_object_foreach (env, name, value) {
        if (name[0] == '\0' || strchr(name, '=') || !json_is_string(value))
            return fail(why, "env has a bad name, or a value that is no string");
        l->env[i++] = assignment(name, json_string_value(value));
    }
    return 0;
}

static int
take_ids(json_int_t uid, json_int_t gid, struct launch *l, const char **why)
{
    const json_int_t max = INT32_MAX;

    if (uid <= 0 || uid > max || gid <= 0 || gid > max)
        return fail(why, "uid or gid is root's or out of range");
    l->uid = (uid_t)uid;
    l->gid = (gid_t)gid;
    return 0;
}

/* The connection file as jupyter-client describes it. */
static char *
connection_text(const char *key, const char *kernel_name)
{
    json_auto_t *file = json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s}", "transport", "ipc", "ip", CHANNELS_IP,
        "shell_port", CHANNELS_PORT_SHELL, "iopub_port", CHANNELS_PORT_IOPUB, "stdin_port",
        CHANNELS_PORT_STDIN, "control_port", CHANNELS_PORT_CONTROL, "hb_port", CHANNELS_PORT_HB,
        "signature_scheme", "hmac-sha256", "key", key, "kernel_name", kernel_name);

    return need(json_dumps(need(file), JSON_INDENT(1)));
}

static int
take_fields(json_t *root, struct launch *l, const char **why)
{
    json_t *argv, *env;
    json_int_t uid, gid;
    const char *cwd, *key, *kernel_name;
    int flow_control = false;

    if (json_unpack_ex(root, NULL, JSON_STRICT, "{s:o, s:o, s:s, s:I, s:I, s:s, s:s, s?b}", "argv",
                       &argv, "env", &env, "cwd", &cwd, "uid", &uid, "gid", &gid, "key", &key,
                       "kernel_name", &kernel_name, "flow_control", &flow_control) < 0)
        return fail(why, "members are missing, unknown or of a wrong type");
    if (cwd[0] != '/')
        return fail(why, "cwd is not an absolute path");
    if (key[0] == '\0')
        return fail(why, "key is empty");
    l->flow_control = flow_control;
    l->cwd = need(strdup(cwd));
    l->connection = connection_text(key, kernel_name);
    if (take_argv(argv, l, why) < 0 || take_env(env, l, why) < 0)
        return -1;
    return take_ids(uid, gid, l, why);
}

int
launch_parse(const void *text, size_t len, struct launch *out, const char **why)
{
    memset(out, 0, sizeof(*out));
    if (len > LAUNCH_MAX)
        return fail(why, "it is too long");

    json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root))
        return fail(why, "it is not a JSON object");
    if (take_fields(root, out, why) == 0)
        return 0;
    launch_clear(out);
    return -1;
}

static void
free_strings(char **strings)
{
    for (char **p = strings; p && *p; p++)
        free(*p);
    free(strings);
}

void
launch_clear(struct launch *l)
{
    if (l->connection)
        explicit_bzero(l->connection, strlen(l->connection));
    free(l->connection);
    free(l->cwd);
    free_strings(l->argv);
    free_strings(l->env);
    memset(l, 0, sizeof(*l));
}
