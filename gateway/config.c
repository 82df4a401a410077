/*
 * config.c - see config.h.
 *
 * Each setting is a row of `keys`; everything else, reading, checking, help and the README's table,
 * walks the rows.  A value is read by its row's type from text, whatever the source, so that a
 * value means the same in the file, in the environment and on the command line.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ini.h>
#include <locale.h>
#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

#include "statedir.h"

#define MAX_FILE_LINES 10000
#define MAX_FILE_LINE 20000 /* characters of a line of the file */
#define MAX_SHOWN 80        /* bytes of a wrong value that a message quotes */
#define MIN_TOKEN 16
#define LINK_SOCKET "/link/gateway.sock" /* what must still fit behind state_dir, see link.h */
#define ENV_PREFIX "TCI_"

enum type {
    TYPE_UNSIGNED,
    TYPE_SIZE,
    TYPE_DOUBLE,
    TYPE_LEVEL,   /* enum log_level */
    TYPE_FORMAT,  /* enum log_format */
    TYPE_SCAN,    /* enum scan_mode */
    TYPE_NETWORK, /* enum network_mode, but for NETWORK_UNSAID */
    TYPE_STRING,  /* checked by the row's check, if it has one */
};

struct key {
    const char *name; /* in the file; TCI_NAME and --name are made from it */
    enum type type;
    size_t offset;
    double min, max;                 /* numbers */
    bool (*check)(const char *text); /* strings */
    const char *allowed;             /* in words, for messages; numbers: their unit or "" */
    const char *standard;            /* the default */
    unsigned flags;
    const char *help;
};

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_names[] = {"text", "json", NULL};
static const char *const network_names[] = {"none", "allowlist", NULL};
static const char *const scan_names[] = {"off", "warn", "block", NULL};

static bool is_token(const char *);
static bool is_origin(const char *);
static bool is_name(const char *);
static bool is_list(const char *);
static bool is_resolver(const char *);
static bool is_listen(const char *);
static bool is_platform(const char *);
static bool is_runtime(const char *);
static bool is_state_dir(const char *);
static bool is_file(const char *);
static bool is_switch_or_file(const char *);

/* What a key's flags say. */
enum {
    FIXED = 0,  /* read at start only */
    RELOAD = 1, /* SIGHUP may change it */
    SECRET = 2, /* its value is never shown; fixed */
};

#define KEY(field) .name = #field, .offset = offsetof(struct config, field)
#define NUMBER_KEY(type_, field, min_, max_, unit, standard_, flags_, help_)                       \
    {                                                                                              \
        KEY(field), .type = TYPE_##type_, .min = min_, .max = max_, .allowed = unit,               \
                    .standard = standard_, .flags = flags_, .help = help_                          \
    }
#define NUMBER(type_, field, min_, max_, unit, standard_, help_)                                   \
    NUMBER_KEY(type_, field, min_, max_, unit, standard_, RELOAD, help_)
#define STRING(field, check_, allowed_, standard_, flags_, help_)                                  \
    {                                                                                              \
        KEY(field), .type = TYPE_STRING, .check = check_, .allowed = allowed_,                     \
                    .standard = standard_, .flags = flags_, .help = help_                          \
    }
#define CHOICE(type_, field, allowed_, standard_, help_)                                           \
    {                                                                                              \
        KEY(field), .type = TYPE_##type_, .allowed = allowed_, .standard = standard_,              \
                    .flags = RELOAD, .help = help_                                                 \
    }

/* In the order of their names. */
static const struct key keys[] = {
    NUMBER(UNSIGNED, audit_days, 1, 36500, "days", "30", "how long AUDIT_DB keeps a record"),
    STRING(audit_db, is_switch_or_file, "on, off or an absolute path", "on", FIXED,
           "SQLite file of the audit log; on: STATE_DIR/audit.db"),
    STRING(audit_log, is_file, "empty or an absolute path", "", RELOAD,
           "file of the audit log as JSON lines; SIGHUP opens it anew; empty: none"),
    STRING(auth_token, is_token, "empty, or at least 16 characters, no spaces, ASCII", "", SECRET,
           "the master token of clients; empty: made once, kept in STATE_DIR/auth_token"),
    NUMBER(DOUBLE, client_timeout, 1, 86400, "seconds", "60",
           "how long a request may take to arrive, and an answer to be taken (plus 1 s for each 64 "
           "KiB)"),
    STRING(cors_origin, is_origin, "empty, * or an origin like https://example.org", "", RELOAD,
           "the web origin whose pages may call the server; empty: none but its own"),
    NUMBER(DOUBLE, exec_timeout, 0.1, 86400, "seconds", "30",
           "longest running time of an execution; over it the answer is 504"),
    STRING(kernel, is_name, "1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot", "python3",
           FIXED, "the Jupyter kernel to run, by the name of its kernelspec"),
    STRING(listen, is_listen, "address:port or [IPv6 address]:port, port 0 for any free one",
           "127.0.0.1:3874", FIXED, "where HTTP is served"),
    CHOICE(FORMAT, log_format, "text or json", "text", "form of the log on stderr"),
    CHOICE(LEVEL, log_level, "error, warn, info or debug", "info", "least important lines to log"),
    NUMBER(SIZE, max_code_bytes, 1, 67108864, "bytes", "1048576",
           "longest code of an execution; over it the answer is 413"),
    NUMBER(UNSIGNED, max_connections_per_address, 0, 100000, "", "512",
           "connections of one client address, 0 for any number; over it the answer is 429"),
    /* The link's longest frame follows from it, and is fixed when the link is opened. */
    NUMBER_KEY(SIZE, max_output_bytes, 1024, 1073741824, "bytes", "10485760", FIXED,
               "most output of an execution, text and images; the rest is dropped"),
    NUMBER(UNSIGNED, max_total_workers, 1, 10000, "", "30",
           "most workers at a time, warm ones included"),
    NUMBER(UNSIGNED, min_idle_workers, 0, 10000, "", "5",
           "warm workers kept ready; at most MAX_TOTAL_WORKERS"),
    {KEY(network), .type = TYPE_NETWORK, .allowed = "none or allowlist", .standard = "none",
     .flags = FIXED,
     .help = "what a session may ask for: nothing, or a proxy to the names of NETWORK_ALLOW"},
    STRING(network_allow, is_list,
           "domain, *.domain, address, [IPv6 address], each with or without :port, separated by "
           "commas; at most 16384 bytes",
           "", RELOAD, "where sessions with a network may connect to; without a port: 80 and 443"),
    STRING(network_permit, is_list,
           "address or address/bits, separated by commas; at most 16384 bytes", "", RELOAD,
           "addresses that names of NETWORK_ALLOW may have though they are not public"),
    STRING(network_resolver, is_resolver, "empty, address:port or [IPv6 address]:port", "", FIXED,
           "DNS server of that proxy; empty: the system's"),
    NUMBER(DOUBLE, orphan_timeout, 1, 31536000, "seconds", "900",
           "how long a worker waits for a gateway that went away before it ends"),
    NUMBER(UNSIGNED, queue_limit, 1, 10000, "", "16",
           "executions of one user waiting or running; over it the answer is 429"),
    STRING(runsc_platform, is_platform, "empty, ptrace, systrap or kvm", "", FIXED,
           "how runsc catches system calls; empty: its own default"),
    STRING(runtime, is_runtime, "crun or runsc", "crun", FIXED,
           "what runs the containers; runsc (gVisor): under a kernel of their own"),
    CHOICE(SCAN, scan, "off, warn or block", "warn",
           "code that breaks a rule of SCAN_RULES: not looked for, told in the answer, or not run"),
    STRING(scan_rules, is_file, "empty or an absolute path", "", RELOAD,
           "file of what code is looked at for; empty: the rules that come with the server"),
    STRING(state_dir, is_state_dir, "an absolute path of at most 89 bytes, not /, without ..",
           STATEDIR_OF_ROOT, FIXED,
           "directory of all that the gateway keeps; default of a user who is not root: "
           "$XDG_STATE_HOME/tci, else ~/.local/state/tci"),
    STRING(tls_cert, is_file, "empty or an absolute path", "", FIXED,
           "PEM file of the certificate chain; with TLS_KEY: serve HTTPS"),
    STRING(tls_key, is_file, "empty or an absolute path", "", FIXED,
           "PEM file of the certificate's key"),
    NUMBER(DOUBLE, worker_cpu, 0.01, 1024, "cores", "1.0", "CPU time of a worker"),
    NUMBER(UNSIGNED, worker_disk_mb, 1, 1048576, "MiB", "500",
           "size of a worker's /workspace; /tmp and the home are a quarter each"),
    NUMBER(DOUBLE, worker_idle_timeout, 1, 31536000, "seconds", "3600",
           "a session unused for this long is ended"),
    NUMBER(UNSIGNED, worker_memory_mb, 64, 16777216, "MiB", "1024",
           "memory of a worker, its files included"),
    NUMBER(UNSIGNED, worker_pids, 16, 4194304, "", "128", "processes and threads of a worker"),
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Options that are no settings. */
static const struct flag {
    const char *name;
    size_t offset;
    const char *help;
} flags[] = {
    {"help", offsetof(struct config, help), "print this and exit"},
    {"help-markdown", offsetof(struct config, help_markdown),
     "print the settings as a table and exit"},
    {"remove-containers", offsetof(struct config, remove_containers),
     "remove every container of STATE_DIR and exit; no gateway may be running on it"},
    {"version", offsetof(struct config, version), "print the version and exit"},
};
#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

/* TCI_ variables that belong to the test scripts of the source tree: not settings, but no mistake
 * either. */
static const char *const foreign_env[] = {"TCI_BUILD_DIR"};

static void *
field_of(struct config *cfg, const struct key *k)
{
    return (char *)cfg + k->offset;
}

static const void *
field_in(const struct config *cfg, const struct key *k)
{
    return (const char *)cfg + k->offset;
}

/* ---- names in their three spellings ---- */

/* setting_name -> TCI_SETTING_NAME */
static void
env_name(const char *name, char *buf, size_t size)
{
    snprintf(buf, size, ENV_PREFIX "%s", name);
    for (char *p = buf; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
}

/* setting_name -> setting-name */
static void
option_name(const char *name, char *buf, size_t size)
{
    snprintf(buf, size, "%s", name);
    for (char *p = buf; *p != '\0'; p++)
        if (*p == '_')
            *p = '-';
}

/* Any spelling of a name, as far as it fits -> setting_name. */
static void
plain_name(const char *any, char *buf, size_t size)
{
    snprintf(buf, size, "%s", any);
    for (char *p = buf; *p != '\0'; p++)
        *p = *p == '-' ? '_' : (char)tolower((unsigned char)*p);
}

static const struct key *
find_key(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
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

/* The key that somebody may have meant.  `any` is in any spelling, without prefix. */
static const struct key *
nearest_key(const char *any)
{
    const struct key *nearest = &keys[0];
    unsigned least = UINT32_MAX;
    char name[48];

    plain_name(any, name, sizeof(name));
    for (size_t i = 0; i < N_KEYS; i++) {
        unsigned d = edit_distance(name, keys[i].name);

        if (d < least) {
            least = d;
            nearest = &keys[i];
        }
    }
    return nearest;
}

/* ---- checks of strings ---- */

static bool
has_only(const char *s, const char *more)
{
    for (; *s != '\0'; s++)
        if (!isalnum((unsigned char)*s) && strchr(more, *s) == NULL)
            return false;
    return true;
}

static bool
is_printable(const char *s, bool spaces)
{
    for (; *s != '\0'; s++)
        if (iscntrl((unsigned char)*s) || (!spaces && *s == ' '))
            return false;
    return true;
}

static bool
is_token(const char *s)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    return len == 0 || (len >= MIN_TOKEN && len <= 4096);
}

/* scheme://host[:port], as a browser sends it in Origin: no path, no slash at the end (RFC 6454).
 */
static bool
is_origin(const char *s)
{
    const char *host;

    if (s[0] == '\0' || strcmp(s, "*") == 0)
        return true;
    if (strncmp(s, "http://", 7) != 0 && strncmp(s, "https://", 8) != 0)
        return false;
    host = strstr(s, "://") + 3;
    return *host != '\0' && strlen(s) <= 300 && has_only(host, ".-_:[]");
}

static bool
is_name(const char *s)
{
    size_t len = strlen(s);

    return len >= 1 && len <= 64 && s[0] != '.' && has_only(s, "._-");
}

/* Its entries are netpolicy_new's to check. */
static bool
is_list(const char *s)
{
    return strlen(s) <= NETPOLICY_MAX_TEXT && is_printable(s, true);
}

static bool
is_resolver(const char *s)
{
    struct netaddr address;
    char host[256];
    uint16_t port;

    return s[0] == '\0' || (config_listen_split(s, host, sizeof(host), &port) == 0 && port != 0 &&
                            netaddr_parse(host, &address) == 0);
}

static bool
is_listen(const char *s)
{
    char host[256];
    uint16_t port;

    return config_listen_split(s, host, sizeof(host), &port) == 0;
}

static bool
is_platform(const char *s)
{
    return s[0] == '\0' || strcmp(s, "ptrace") == 0 || strcmp(s, "systrap") == 0 ||
           strcmp(s, "kvm") == 0;
}

static bool
is_runtime(const char *s)
{
    return strcmp(s, "crun") == 0 || strcmp(s, "runsc") == 0;
}

static bool
is_file(const char *s)
{
    return s[0] == '\0' || (s[0] == '/' && strlen(s) < 4096 && is_printable(s, true));
}

static bool
is_switch_or_file(const char *s)
{
    return strcmp(s, "on") == 0 || strcmp(s, "off") == 0 || (s[0] == '/' && is_file(s));
}

static bool
is_state_dir(const char *s)
{
    const size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof(LINK_SOCKET);
    size_t len = strlen(s);

    if (s[0] != '/' || len > room || !is_printable(s, true) || strspn(s, "/") == len)
        return false;
    return strstr(s, "/../") == NULL && (len < 3 || strcmp(s + len - 3, "/..") != 0);
}

/* ---- values ---- */

static bool
parse_unsigned(const char *text, uint64_t *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return false;
    *out = strtoull(text, NULL, 10);
    return true;
}

/* Digits, maybe a point and digits; the same in every locale. */
static bool
parse_double(const char *text, double *out)
{
    size_t whole = strspn(text, "0123456789"), len = whole;
    locale_t c;

    if (text[whole] == '.')
        len += 1 + strspn(text + whole + 1, "0123456789");
    if (whole == 0 || text[len] != '\0' || text[len - 1] == '.' || len > 40)
        return false;
    c = newlocale(LC_ALL_MASK, "C", NULL);
    if (c == NULL)
        return false;
    *out = strtod_l(text, NULL, c);
    freelocale(c);
    return true;
}

static int
find_choice(const char *const *names, const char *text)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static void
store_string(char **field, const char *text)
{
    free(*field);
    *field = xstrdup(text);
}

static bool
set_integer(const struct key *k, void *field, const char *text)
{
    uint64_t n;

    if (!parse_unsigned(text, &n) || (double)n < k->min || (double)n > k->max)
        return false;
    if (k->type == TYPE_SIZE)
        *(size_t *)field = (size_t)n;
    else
        *(unsigned *)field = (unsigned)n;
    return true;
}

static bool
set_double(const struct key *k, void *field, const char *text)
{
    double d;

    if (!parse_double(text, &d) || d < k->min || d > k->max)
        return false;
    *(double *)field = d;
    return true;
}

/* Reads text as the key's type; false, and nothing changed, when it is none of what is allowed. */
static bool
set_value(struct config *cfg, const struct key *k, const char *text)
{
    void *field = field_of(cfg, k);
    int choice;

    switch (k->type) {
    case TYPE_UNSIGNED:
    case TYPE_SIZE:
        return set_integer(k, field, text);
    case TYPE_DOUBLE:
        return set_double(k, field, text);
    case TYPE_LEVEL:
        if ((choice = find_choice(level_names, text)) >= 0)
            *(enum log_level *)field = (enum log_level)choice;
        return choice >= 0;
    case TYPE_FORMAT:
        if ((choice = find_choice(format_names, text)) >= 0)
            *(enum log_format *)field = (enum log_format)choice;
        return choice >= 0;
    case TYPE_SCAN:
        if ((choice = find_choice(scan_names, text)) >= 0)
            *(enum scan_mode *)field = (enum scan_mode)choice;
        return choice >= 0;
    case TYPE_NETWORK:
        if ((choice = find_choice(network_names, text)) >= 0)
            *(enum network_mode *)field = (enum network_mode)(NETWORK_NONE + choice);
        return choice >= 0;
    case TYPE_STRING:
        if (k->check != NULL && !k->check(text))
            return false;
        store_string(field, text);
        return true;
    }
    return false;
}

/* "0.1 to 86400 seconds", or the row's own words. */
static const char *
allowed_text(const struct key *k, char *buf, size_t size)
{
    if (k->max == 0)
        return k->allowed;
    snprintf(buf, size, "%s%.10g to %.10g%s%s", k->type == TYPE_DOUBLE ? "" : "a whole number, ",
             k->min, k->max, k->allowed[0] == '\0' ? "" : " ", k->allowed);
    for (char *p = buf; *p != '\0' && k->type == TYPE_DOUBLE; p++)
        if (*p == ',') /* the decimal point of a locale */
            *p = '.';
    return buf;
}

static int
bad_value(const struct key *k, const char *text, const char *source, struct err *err)
{
    char buf[80];

    if (k->flags & SECRET)
        return err_field(err, ERR_CONFIG, k->name, "%s (%s) is not usable; allowed: %s", k->name,
                         source, allowed_text(k, buf, sizeof(buf)));
    return err_field(err, ERR_CONFIG, k->name, "%s = \"%.*s%s\" (%s) is not usable; allowed: %s",
                     k->name, MAX_SHOWN, text, strlen(text) > MAX_SHOWN ? "..." : "", source,
                     allowed_text(k, buf, sizeof(buf)));
}

static int
set(struct config *cfg, const struct key *k, const char *text, const char *source, struct err *err)
{
    return set_value(cfg, k, text) ? 0 : bad_value(k, text, source, err);
}

/* ---- the file ---- */

struct file_reader {
    struct config *cfg;
    const char *path;
    FILE *f;
    struct err *err;
    unsigned line;
    bool failed;
    unsigned seen[N_KEYS]; /* line of each key; 0 = not yet */
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
    const struct key *k = find_key(name);

    (void)section;
    if (k == NULL) {
        fail_at_line(r, name, "unknown setting \"%.40s\"; did you mean %s?", name,
                     nearest_key(name)->name);
    } else if (r->seen[k - keys] != 0) {
        fail_at_line(r, name, "%s was set already in line %u", name, r->seen[k - keys]);
    } else if (!r->failed) {
        cleanup_free char *source = xasprintf("%.150s:%u", r->path, r->line);

        r->seen[k - keys] = r->line;
        r->failed = set(r->cfg, k, value, source, r->err) < 0;
    }
    return !r->failed;
}

static int
load_file(struct config *cfg, const char *path, struct err *err)
{
    struct file_reader r = {.cfg = cfg, .path = path, .err = err};
    int line;

    r.f = fopen(path, "re");
    if (r.f == NULL)
        return err_sys(err, "open configuration file %.200s", path);
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
    return r.failed ? -1 : 0;
}

/* ---- the environment ---- */

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

    for (size_t i = 0; i < N_KEYS; i++) {
        env_name(keys[i].name, expected, sizeof(expected));
        if (strcmp(expected, name) == 0) {
            snprintf(source, sizeof(source), "%s in the environment", name);
            return set(cfg, &keys[i], value, source, err);
        }
    }
    if (is_foreign_env(name))
        return 0;
    env_name(nearest_key(name + strlen(ENV_PREFIX))->name, expected, sizeof(expected));
    return err_field(err, ERR_CONFIG, name,
                     "unknown setting %.60s in the environment; did you mean %s?", name, expected);
}

static int
load_environment(struct config *cfg, struct err *err)
{
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        const char *eq = strchr(*e, '=');
        cleanup_free char *name = NULL;

        if (eq == NULL || strncmp(*e, ENV_PREFIX, strlen(ENV_PREFIX)) != 0)
            continue;
        name = xnotnull(strndup(*e, (size_t)(eq - *e)));
        if (load_variable(cfg, name, eq + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the command line ---- */

struct option {
    char name[48];           /* without dashes */
    const char *value;       /* behind "=", else NULL */
    const struct flag *flag; /* one of these three says what it is */
    const struct key *key;
    bool config_file;
};

static bool
find_option(struct option *o)
{
    char name[64];

    o->config_file = strcmp(o->name, "config") == 0;
    for (size_t i = 0; i < N_FLAGS && o->flag == NULL; i++)
        if (strcmp(flags[i].name, o->name) == 0)
            o->flag = &flags[i];
    for (size_t i = 0; i < N_KEYS && o->key == NULL; i++) {
        option_name(keys[i].name, name, sizeof(name));
        if (strcmp(name, o->name) == 0)
            o->key = &keys[i];
    }
    return o->config_file || o->flag != NULL || o->key != NULL;
}

static int
unknown_option(const char *arg, const struct option *o, struct err *err)
{
    char name[64];

    if (o->name[0] == '\0')
        return err_set(err, ERR_CONFIG, "unexpected argument \"%.60s\"; see --help", arg);
    option_name(nearest_key(o->name)->name, name, sizeof(name));
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

/* First pass: what must be known before the file is read. */
static int
scan_arguments(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    struct option o;

    for (int i = 1; i < argc; i++) {
        if (next_option(argc, argv, &i, &o, err) < 0)
            return -1;
        if (o.flag != NULL)
            *(bool *)((char *)cfg + o.flag->offset) = true;
        else if (o.config_file)
            store_string(&cfg->config_file, o.value);
    }
    return 0;
}

/* Second pass: the settings, which go over file and environment. */
static int
load_arguments(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    struct option o;
    char source[64];

    for (int i = 1; i < argc; i++) {
        if (next_option(argc, argv, &i, &o, err) < 0)
            return -1;
        if (o.key == NULL)
            continue;
        snprintf(source, sizeof(source), "option --%s", o.name);
        if (set(cfg, o.key, o.value, source, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- all together ---- */

static void
set_defaults(struct config *cfg)
{
    memset(cfg, 0, sizeof(*cfg));
    cfg->config_file = xstrdup("");
    for (size_t i = 0; i < N_KEYS; i++)
        if (!set_value(cfg, &keys[i], keys[i].standard))
            abort(); /* a default that its own row does not allow */
    free(cfg->state_dir);
    cfg->state_dir = statedir_default();
}

static void
normalise(struct config *cfg)
{
    for (size_t len = strlen(cfg->state_dir); len > 1 && cfg->state_dir[len - 1] == '/';)
        cfg->state_dir[--len] = '\0';
}

static int
check_lists(const struct config *cfg, struct err *err)
{
    struct netpolicy *policy = netpolicy_new(cfg->network_allow, cfg->network_permit, err);

    netpolicy_free(policy);
    return policy ? 0 : -1;
}

/* What no row can say by itself.  The state directory's default depends on the user's environment. */
static int
check_together(const struct config *cfg, struct err *err)
{
    const struct key *state_dir = find_key("state_dir");

    if (!state_dir->check(cfg->state_dir))
        return bad_value(state_dir, cfg->state_dir, "default", err);
    if (cfg->min_idle_workers > cfg->max_total_workers)
        return err_field(err, ERR_CONFIG, "min_idle_workers",
                         "min_idle_workers = %u is more than max_total_workers = %u",
                         cfg->min_idle_workers, cfg->max_total_workers);
    if ((cfg->tls_cert[0] == '\0') != (cfg->tls_key[0] == '\0')) {
        const char *missing = cfg->tls_cert[0] == '\0' ? "tls_cert" : "tls_key";

        return err_field(err, ERR_CONFIG, missing,
                         "%s is empty; allowed: tls_cert and tls_key both, or neither", missing);
    }
    return check_lists(cfg, err);
}

static int
load_all(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    if (scan_arguments(cfg, argc, argv, err) < 0)
        return -1;
    if (cfg->help || cfg->help_markdown || cfg->version)
        return 0;
    if (cfg->config_file[0] != '\0' && load_file(cfg, cfg->config_file, err) < 0)
        return -1;
    if (load_environment(cfg, err) < 0 || load_arguments(cfg, argc, argv, err) < 0)
        return -1;
    normalise(cfg);
    return check_together(cfg, err);
}

int
config_load(struct config *cfg, int argc, char *const argv[], struct err *err)
{
    set_defaults(cfg);
    if (load_all(cfg, argc, argv, err) < 0) {
        config_clear(cfg);
        return -1;
    }
    return 0;
}

static bool
is_same(const struct config *a, const struct config *b, const struct key *k)
{
    const void *x = field_in(a, k), *y = field_in(b, k);

    switch (k->type) {
    case TYPE_UNSIGNED:
        return *(const unsigned *)x == *(const unsigned *)y;
    case TYPE_SIZE:
        return *(const size_t *)x == *(const size_t *)y;
    case TYPE_DOUBLE:
        return *(const double *)x == *(const double *)y;
    case TYPE_LEVEL:
        return *(const enum log_level *)x == *(const enum log_level *)y;
    case TYPE_FORMAT:
        return *(const enum log_format *)x == *(const enum log_format *)y;
    case TYPE_SCAN:
        return *(const enum scan_mode *)x == *(const enum scan_mode *)y;
    case TYPE_NETWORK:
        return *(const enum network_mode *)x == *(const enum network_mode *)y;
    case TYPE_STRING:
        return strcmp(*(char *const *)x, *(char *const *)y) == 0;
    }
    return true;
}

/* Exchanges the value of one setting between two configurations. */
static void
swap_value(struct config *a, struct config *b, const struct key *k)
{
    static const size_t sizes[] = {
        [TYPE_UNSIGNED] = sizeof(unsigned),
        [TYPE_SIZE] = sizeof(size_t),
        [TYPE_DOUBLE] = sizeof(double),
        [TYPE_LEVEL] = sizeof(enum log_level),
        [TYPE_FORMAT] = sizeof(enum log_format),
        [TYPE_SCAN] = sizeof(enum scan_mode),
        [TYPE_NETWORK] = sizeof(enum network_mode),
        [TYPE_STRING] = sizeof(char *),
    };
    char tmp[sizeof(double) > sizeof(size_t) ? sizeof(double) : sizeof(size_t)];

    memcpy(tmp, field_of(a, k), sizes[k->type]);
    memcpy(field_of(a, k), field_of(b, k), sizes[k->type]);
    memcpy(field_of(b, k), tmp, sizes[k->type]);
}

int
config_reload(struct config *cfg, int argc, char *const argv[], unsigned *changed, struct err *err)
{
    struct config fresh;

    *changed = 0;
    if (config_load(&fresh, argc, argv, err) < 0)
        return -1;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (is_same(cfg, &fresh, &keys[i]))
            continue;
        if (keys[i].flags & RELOAD) {
            swap_value(cfg, &fresh, &keys[i]);
            ++*changed;
        } else {
            log_warn("config: %s has changed, which takes a restart; the old value stays",
                     keys[i].name);
        }
    }
    config_clear(&fresh);
    return 0;
}

void
config_clear(struct config *cfg)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        char *s;

        if (keys[i].type != TYPE_STRING)
            continue;
        s = *(char **)field_of(cfg, &keys[i]);
        if (s != NULL && (keys[i].flags & SECRET))
            explicit_bzero(s, strlen(s));
        free(s);
    }
    free(cfg->config_file);
    memset(cfg, 0, sizeof(*cfg));
}

/* ---- listen ---- */

static bool
is_host(const char *host, bool bracketed)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (bracketed)
        return inet_pton(AF_INET6, host, &v6) == 1;
    if (strspn(host, "0123456789.") == strlen(host))
        return inet_pton(AF_INET, host, &v4) == 1;
    return host[0] != '-' && host[0] != '.' && has_only(host, ".-");
}

int
config_listen_split(const char *listen, char *host, size_t size, uint16_t *port)
{
    const char *colon = strrchr(listen, ':');
    const bool bracketed = listen[0] == '[';
    uint64_t n;
    size_t len;

    if (colon == NULL || !parse_unsigned(colon + 1, &n) || n > UINT16_MAX)
        return -1;
    len = (size_t)(colon - listen);
    if (bracketed) {
        if (len < 2 || listen[len - 1] != ']')
            return -1;
        listen++;
        len -= 2;
    }
    if (len == 0 || len >= size)
        return -1;
    memcpy(host, listen, len);
    host[len] = '\0';
    *port = (uint16_t)n;
    return is_host(host, bracketed) ? 0 : -1;
}

/* ---- help ---- */

static const char *
shown_default(const struct key *k)
{
    return k->standard[0] == '\0' ? "empty" : k->standard;
}

void
config_print_help(FILE *out)
{
    char name[64], allowed[80];

    fprintf(out, "Usage: tci-gateway [--config FILE] [--SETTING VALUE ...]\n\n"
                 "Serves code execution over HTTP, in containers; logs on stderr.\n\n"
                 "A setting is an option as below, a line `some_setting = value` of the\n"
                 "configuration file, or a variable TCI_SOME_SETTING of the environment.\n"
                 "Options go over the environment, and that over the file.\n\n"
                 "Options:\n  --config FILE\n        read settings from this file\n");
    for (size_t i = 0; i < N_FLAGS; i++)
        fprintf(out, "  --%s\n        %s\n", flags[i].name, flags[i].help);
    fprintf(out, "\nSettings (* SIGHUP may change it):\n");
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct key *k = &keys[i];

        option_name(k->name, name, sizeof(name));
        fprintf(out, "  --%s VALUE%s\n        %s\n        default: %s; allowed: %s\n", name,
                (k->flags & RELOAD) ? " *" : "", k->help, shown_default(k),
                allowed_text(k, allowed, sizeof(allowed)));
    }
}

void
config_print_markdown(FILE *out)
{
    char name[64], allowed[80];

    fprintf(out, "| Setting | Default | Allowed | SIGHUP | Meaning |\n"
                 "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct key *k = &keys[i];

        env_name(k->name, name, sizeof(name));
        fprintf(out, "| `%s` | %s%s%s | %s | %s | %s |\n", name, k->standard[0] == '\0' ? "" : "`",
                shown_default(k), k->standard[0] == '\0' ? "" : "`",
                allowed_text(k, allowed, sizeof(allowed)), (k->flags & RELOAD) ? "yes" : "no",
                k->help);
    }
}
