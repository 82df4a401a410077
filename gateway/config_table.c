/* config_table.c - see config_table.h. */
#include "config_table.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config.h"
#include "hostport.h"
#include "packageindex.h"
#include "statedir.h"
#include "utf8.h"

#define MIN_TOKEN 16
#define LINK_SOCKET "/link/gateway.sock" /* what must still fit behind state_dir, see link.h */

/* --- what strings may be ------------------------------------------------------------------ */

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

    return s[0] == '\0' || (hostport_split(s, host, sizeof(host), &port) == 0 && port != 0 &&
                            netaddr_parse(host, &address) == 0);
}

static bool
is_listen(const char *s)
{
    char host[256];
    uint16_t port;

    return hostport_split(s, host, sizeof(host), &port) == 0;
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

/* One that can be said in JSON, where a container is told of it. */
static bool
is_path(const char *s)
{
    const size_t len = strlen(s);

    return s[0] == '/' && is_printable(s, true) && utf8_valid_prefix(s, len) == len;
}

static bool
is_file(const char *s)
{
    return s[0] == '\0' || (is_path(s) && strlen(s) < 4096);
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

    if (!is_path(s) || len > room || strspn(s, "/") == len)
        return false;
    return strstr(s, "/../") == NULL && (len < 3 || strcmp(s + len - 3, "/..") != 0);
}

/* --- the rows ----------------------------------------------------------------------------- */

#define SETTING(field) .name = #field, .offset = offsetof(struct config, field)
#define NUMBER_WITH(type_, field, min_, max_, unit, standard_, flags_, help_)                      \
    {                                                                                              \
        SETTING(field), .type = SETTING_##type_, .min = min_, .max = max_, .allowed = unit,        \
                        .standard = standard_, .flags = SETTING_##flags_, .help = help_            \
    }
#define NUMBER(type_, field, min_, max_, unit, standard_, help_)                                   \
    NUMBER_WITH(type_, field, min_, max_, unit, standard_, RELOAD, help_)
#define STRING(field, check_, allowed_, standard_, flags_, help_)                                  \
    {                                                                                              \
        SETTING(field), .type = SETTING_STRING, .check = check_, .allowed = allowed_,              \
                        .standard = standard_, .flags = SETTING_##flags_, .help = help_            \
    }
#define CHOICE(field, first, choices_, allowed_, standard_, flags_, help_)                         \
    {                                                                                              \
        SETTING(field), .type = SETTING_CHOICE, .min = first, .choices = choices_,                 \
                        .allowed = allowed_, .standard = standard_, .flags = SETTING_##flags_,     \
                        .help = help_                                                              \
    }

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const network_modes[] = {"none", "allowlist", NULL};
static const char *const switches[] = {"off", "on", NULL};
static const char *const scan_modes[] = {"off", "warn", "block", NULL};

const struct setting config_settings[] = {
    NUMBER(UNSIGNED, audit_days, 1, 36500, "days", "30", "how long AUDIT_DB keeps a record"),
    STRING(audit_db, is_switch_or_file, "on, off or an absolute path in UTF-8", "on", FIXED,
           "SQLite file of the audit log; on: STATE_DIR/audit.db"),
    STRING(audit_log, is_file, "empty or an absolute path in UTF-8", "", RELOAD,
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
    NUMBER(UNSIGNED, keep_days, 1, 36500, "days", "7",
           "how long the files of a session that was ended with keep_files are kept"),
    NUMBER(UNSIGNED, keep_mb, 0, 1048576, "MiB", "1024",
           "size of all files that are kept; 0: keep_files is refused"),
    NUMBER(UNSIGNED, keep_sessions, 1, 100000, "", "20",
           "sessions of one API key, or of the master token, whose files are kept"),
    STRING(kernel, is_name, "1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot", "python3",
           FIXED, "the Jupyter kernel to run, by the name of its kernelspec"),
    STRING(listen, is_listen, "address:port or [IPv6 address]:port, port 0 for any free one",
           "127.0.0.1:3874", FIXED, "where HTTP is served"),
    CHOICE(log_format, LOG_FORMAT_TEXT, formats, "text or json", "text", RELOAD,
           "form of the log on stderr"),
    CHOICE(log_level, LOG_LEVEL_ERROR, levels, "error, warn, info or debug", "info", RELOAD,
           "least important lines to log"),
    NUMBER(SIZE, max_code_bytes, 1, 67108864, "bytes", "1048576",
           "longest code of an execution; over it the answer is 413"),
    NUMBER(UNSIGNED, max_connections_per_address, 0, 100000, "", "512",
           "connections of one client address, 0 for any number; over it the answer is 429"),
    /* The link's longest frame follows from it, and is fixed when the link is opened. */
    NUMBER_WITH(SIZE, max_output_bytes, 1024, 1073741824, "bytes", "10485760", FIXED,
                "most output of an execution, text and images; the rest is dropped"),
    NUMBER(
        SIZE, max_stream_bytes, 1024, 9999999999, "bytes", "1073741824",
        "most output of an execution that is streamed, where that is more than MAX_OUTPUT_BYTES"),
    NUMBER(UNSIGNED, max_total_workers, 1, 10000, "", "30",
           "most workers at a time, warm ones included"),
    NUMBER(UNSIGNED, min_idle_workers, 0, 10000, "", "5",
           "warm workers kept ready; at most MAX_TOTAL_WORKERS"),
    CHOICE(network, NETWORK_NONE, network_modes, "none or allowlist", "none", FIXED,
           "what a session may ask for: nothing, or a proxy to the names of NETWORK_ALLOW"),
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
    NUMBER(SIZE, packages_cache_mb, 1, 1048576, "MiB", "2048",
           "installed packages that are kept for the next who wants them; the oldest go first"),
    STRING(
        packages_dir, is_file, "empty or an absolute path in UTF-8", "", FIXED,
        "directory of packages that sessions may have: wheels, in npm/ tarballs for JavaScript, in "
        "src/contrib/ a repository for R; everybody must be able to read it"),
    STRING(packages_hosts, is_list, "as NETWORK_ALLOW", "files.pythonhosted.org", RELOAD,
           "where else PACKAGES_INDEX has its files"),
    STRING(
        packages_index, packageindex_is_list,
        "empty, or http:// and https:// URLs without a password, separated by commas, all but one "
        "behind a name and =",
        "", FIXED,
        "package indexes that sessions may have packages from; only installers reach them: "
        "Python's, as https://pypi.org/simple, and cran=URL, npm=URL for R and JavaScript"),
    CHOICE(packages_on_import, PACKAGES_BY_REQUEST, switches, "off or on", "off", RELOAD,
           "on: what an execution imports and its session lacks is installed before it runs"),
    NUMBER(DOUBLE, packages_timeout, 1, 3600, "seconds", "300",
           "how long the installation of packages may take"),
    NUMBER(UNSIGNED, queue_limit, 1, 10000, "", "16",
           "executions of one user waiting or running; over it the answer is 429"),
    STRING(runsc_platform, is_platform, "empty, ptrace, systrap or kvm", "", FIXED,
           "how runsc catches system calls; empty: its own default"),
    STRING(runtime, is_runtime, "crun or runsc", "crun", FIXED,
           "what runs the containers; runsc (gVisor): under a kernel of their own"),
    CHOICE(scan, SCAN_OFF, scan_modes, "off, warn or block", "warn", RELOAD,
           "code that breaks a rule of SCAN_RULES: not looked for, told in the answer, or not run"),
    STRING(scan_rules, is_file, "empty or an absolute path in UTF-8", "", RELOAD,
           "file of what code is looked at for; empty: the rules that come with the server"),
    STRING(state_dir, is_state_dir,
           "an absolute path in UTF-8 of at most 89 bytes, not /, without ..", STATEDIR_OF_ROOT,
           FIXED,
           "directory of all that the gateway keeps; default of a user who is not root: "
           "$XDG_STATE_HOME/tci, else ~/.local/state/tci"),
    STRING(tls_cert, is_file, "empty or an absolute path in UTF-8", "", FIXED,
           "PEM file of the certificate chain; with TLS_KEY: serve HTTPS"),
    STRING(tls_key, is_file, "empty or an absolute path in UTF-8", "", FIXED,
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
const size_t config_n_settings = sizeof(config_settings) / sizeof(config_settings[0]);

const struct config_flag config_flags[] = {
    {"help", offsetof(struct config, help), "print this and exit"},
    {"help-markdown", offsetof(struct config, help_markdown),
     "print the settings as a table and exit"},
    {"remove-containers", offsetof(struct config, remove_containers),
     "remove every container of STATE_DIR and exit; no gateway may be running on it"},
    {"version", offsetof(struct config, version), "print the version and exit"},
};
const size_t config_n_flags = sizeof(config_flags) / sizeof(config_flags[0]);

/* --- their names -------------------------------------------------------------------------- */

const struct setting *
config_find(const char *name)
{
    for (size_t i = 0; i < config_n_settings; i++)
        if (strcmp(config_settings[i].name, name) == 0)
            return &config_settings[i];
    return NULL;
}

/* setting_name -> TCI_SETTING_NAME */
void
config_env_name(const char *name, char *buf, size_t size)
{
    snprintf(buf, size, CONFIG_ENV_PREFIX "%s", name);
    for (char *p = buf; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
}

/* setting_name -> setting-name */
void
config_option_name(const char *name, char *buf, size_t size)
{
    snprintf(buf, size, "%s", name);
    for (char *p = buf; *p != '\0'; p++)
        if (*p == '_')
            *p = '-';
}
