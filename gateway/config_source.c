/* config_source.c - see config_source.h. */
#include "config_source.h"

#include <ctype.h>
#include <ini.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "config_table.h"
#include "config_value.h"

#define MAX_FILE_LINES 10000
#define MAX_FILE_LINE 20000 /* characters of a line of the file */

/* Variables that belong to the test scripts of the source tree: not settings, but no mistake either. */
static const char *const foreign_env[] = {"TCI_BUILD_DIR"};

/* --- names that are meant ----------------------------------------------------------------- */

/* Any spelling of a name, as far as it fits -> setting_name. */
static void
plain_name(const char *any, char *buf, size_t size)
{
    snprintf(buf, size, "%s", any);
    for (char *p = buf; *p != '\0'; p++)
        *p = *p == '-' ? '_' : (char)tolower((unsigned char)*p);
}

/* The number of characters to insert, remove or replace to make b from a (Levenshtein). */
static unsigned
edit_distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned best = diagonal + (a[i] != b[j]);

            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[n];
}

/* The setting that somebody may have meant.  `any` is in any spelling, without prefix. */
static const struct setting *
nearest_setting(const char *any)
{
    const struct setting *nearest = &config_settings[0];
    unsigned least = UINT32_MAX;
    char name[48];

    plain_name(any, name, sizeof(name));
    for (size_t i = 0; i < config_n_settings; i++) {
        unsigned d = edit_distance(name, config_settings[i].name);

        if (d < least) {
            least = d;
            nearest = &config_settings[i];
        }
    }
    return nearest;
}

/* --- the file ----------------------------------------------------------------------------- */

struct file_reader {
    struct config *cfg;
    const char *path;
    FILE *f;
    struct err *err;
    unsigned line;
    unsigned *seen; /* line of each setting; 0 = not yet */
    bool failed;
};

/* The first failure counts; the parser goes on to the end of what it has read. */
static void __attribute__((format(printf, 3, 4)))
fail_at_line(struct file_reader *r, const char *field, const char *fmt, ...)
{
    char what[160];
    va_list ap;

    if (r->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    err_field(r->err, ERR_CONFIG, field, "%.200s:%u: %s", r->path, r->line, what);
    r->failed = true;
}

/* As fgets; counts lines and refuses what the parser would misread. */
static char *
read_line(char *buf, int size, void *arg)
{
    struct file_reader *r = arg;
    size_t len;

    if (r->failed || fgets(buf, size, r->f) == NULL)
        return NULL;
    r->line++;
    len = strlen(buf);
    if (len == 0 || (buf[len - 1] != '\n' && !feof(r->f)))
        fail_at_line(r, "", "the line is too long or no text");
    else if (buf[strspn(buf, " \t")] == '[')
        fail_at_line(r, "", "a section; settings are plain key = value");
    else if (r->line > MAX_FILE_LINES)
        fail_at_line(r, "", "the file is too long");
    return r->failed ? NULL : buf;
}

static int
on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct file_reader *r = arg;
    const struct setting *s = config_find(name);

    (void)section;
    if (s == NULL) {
        fail_at_line(r, name, "unknown setting \"%.40s\"; did you mean %s?", name,
                     nearest_setting(name)->name);
    } else if (r->seen[s - config_settings] != 0) {
        fail_at_line(r, name, "%s was set already in line %u", name, r->seen[s - config_settings]);
    } else if (!r->failed) {
        cleanup_free char *source = xasprintf("%.150s:%u", r->path, r->line);

        r->seen[s - config_settings] = r->line;
        r->failed = config_value_set(r->cfg, s, value, source, r->err) < 0;
    }
    return !r->failed;
}

int
config_source_file(struct config *cfg, const char *path, struct err *err)
{
    struct file_reader r = {.cfg = cfg, .path = path, .err = err};
    int line;

    r.f = fopen(path, "re");
    if (r.f == NULL)
        return err_sys(err, "open configuration file %.200s", path);
    r.seen = xcalloc(config_n_settings, sizeof(*r.seen));
    ini_allow_multiline = false;
    ini_max_line = MAX_FILE_LINE;
    line = ini_parse_stream(read_line, &r, on_pair, &r);
    if (!r.failed && ferror(r.f)) {
        err_sys(err, "read configuration file %.200s", path);
        r.failed = true;
    } else if (!r.failed && line != 0) {
        r.line = line > 0 ? (unsigned)line : r.line;
        fail_at_line(&r, "", "not of the form key = value");
    }
    fclose(r.f);
    free(r.seen);
    return r.failed ? -1 : 0;
}

/* --- the environment ---------------------------------------------------------------------- */

static bool
is_foreign_env(const char *name)
{
    for (size_t i = 0; i < sizeof(foreign_env) / sizeof(foreign_env[0]); i++)
        if (strcmp(foreign_env[i], name) == 0)
            return true;
    return false;
}

static int
load_variable(struct config *cfg, const char *name, const char *value, struct err *err)
{
    char expected[64], source[64];

    for (size_t i = 0; i < config_n_settings; i++) {
        config_env_name(config_settings[i].name, expected, sizeof(expected));
        if (strcmp(expected, name) == 0) {
            snprintf(source, sizeof(source), "%s in the environment", name);
            return config_value_set(cfg, &config_settings[i], value, source, err);
        }
    }
    if (is_foreign_env(name))
        return 0;
    config_env_name(nearest_setting(name + strlen(CONFIG_ENV_PREFIX))->name, expected,
                    sizeof(expected));
    return err_field(err, ERR_CONFIG, name,
                     "unknown setting %.60s in the environment; did you mean %s?", name, expected);
}

int
config_source_environment(struct config *cfg, struct err *err)
{
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        const char *eq = strchr(*e, '=');
        cleanup_free char *name = NULL;

        if (eq == NULL || strncmp(*e, CONFIG_ENV_PREFIX, strlen(CONFIG_ENV_PREFIX)) != 0)
            continue;
        name = xnotnull(strndup(*e, (size_t)(eq - *e)));
        if (load_variable(cfg, name, eq + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* --- the command line --------------------------------------------------------------------- */

struct option {
    char name[48];                  /* without dashes */
    const char *value;              /* behind "=", else NULL */
    const struct config_flag *flag; /* one of these three says what it is */
    const struct setting *setting;
    bool config_file;
};

static bool
find_option(struct option *o)
{
    char name[64];

    o->config_file = strcmp(o->name, "config") == 0;
    for (size_t i = 0; i < config_n_flags && o->flag == NULL; i++)
        if (strcmp(config_flags[i].name, o->name) == 0)
            o->flag = &config_flags[i];
    for (size_t i = 0; i < config_n_settings && o->setting == NULL; i++) {
        config_option_name(config_settings[i].name, name, sizeof(name));
        if (strcmp(name, o->name) == 0)
            o->setting = &config_settings[i];
    }
    return o->config_file || o->flag != NULL || o->setting != NULL;
}

static int
unknown_option(const char *arg, const struct option *o, struct err *err)
{
    char name[64];

    if (o->name[0] == '\0')
        return err_set(err, ERR_CONFIG, "unexpected argument \"%.60s\"; see --help", arg);
    config_option_name(nearest_setting(o->name)->name, name, sizeof(name));
    return err_field(err, ERR_CONFIG, o->name, "unknown option --%s; did you mean --%s? See --help",
                     o->name, name);
}

/* Reads argv[*i], and the next one where it is the option's value. */
static int
next_option(int argc, char *const argv[], int *i, struct option *o, struct err *err)
{
    const char *arg = argv[*i];

    *o = (struct option){.value = NULL};
    if (strncmp(arg, "--", 2) == 0) {
        o->value = strchr(arg, '=');
        snprintf(o->name, sizeof(o->name), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
        o->value = o->value == NULL ? NULL : o->value + 1;
    }
    if (!find_option(o))
        return unknown_option(arg, o, err);
    if (o->flag != NULL && o->value != NULL)
        return err_field(err, ERR_CONFIG, o->name, "option --%s takes no value", o->name);
    if (o->flag == NULL && o->value == NULL) {
        if (*i + 1 >= argc)
            return err_field(err, ERR_CONFIG, o->name, "option --%s needs a value", o->name);
        o->value = argv[++*i];
    }
    return 0;
}

static void
set_config_file(struct config *cfg, const char *path)
{
    free(cfg->config_file);
    cfg->config_file = xstrdup(path);
}

int
config_source_flags(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    struct option o;

    for (int i = 1; i < argc; i++) {
        if (next_option(argc, argv, &i, &o, err) < 0)
            return -1;
        if (o.flag != NULL)
            *(bool *)((char *)cfg + o.flag->offset) = true;
        else if (o.config_file)
            set_config_file(cfg, o.value);
    }
    return 0;
}

int
config_source_options(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    struct option o;
    char source[64];

    for (int i = 1; i < argc; i++) {
        if (next_option(argc, argv, &i, &o, err) < 0)
            return -1;
        if (o.setting == NULL)
            continue;
        snprintf(source, sizeof(source), "option --%s", o.name);
        if (config_value_set(cfg, o.setting, o.value, source, err) < 0)
            return -1;
    }
    return 0;
}
