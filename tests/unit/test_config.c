/* test_config.c - every source of settings, their order, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <ctype.h>
#include <locale.h>
#include <string.h>

#include "gateway/config.h"
#include "gateway/hostport.h"

#define ARGS(...) ((char *[]){(char *)"tci-gateway", __VA_ARGS__ __VA_OPT__(, ) NULL})
#define S(text) ((char *)(text))

static int
count(char *const argv[])
{
    int n = 0;

    while (argv[n] != NULL)
        n++;
    return n;
}

static int
load(struct config *cfg, char *const argv[], struct err *err)
{
    *err = (struct err)ERR_INIT;
    return config_load(cfg, count(argv), argv, err);
}

static void
assert_loads(struct config *cfg, char *const argv[])
{
    struct err err;

    if (load(cfg, argv, &err) < 0)
        fail_msg("%s", err.msg);
}

/* What was refused is named, and nothing is left behind. */
static void
assert_refused(char *const argv[], const char *field, const char *words)
{
    struct config cfg;
    struct err err;

    assert_int_equal(load(&cfg, argv, &err), -1);
    assert_string_equal(err.field, field);
    if (strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    assert_null(cfg.state_dir);
    config_clear(&cfg);
}

static char file_path[] = "/tmp/test_config.XXXXXX";

static void
write_file(const void *data, size_t len)
{
    FILE *f = fopen(file_path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static char *const *
with_file(const char *text)
{
    static char *argv[] = {NULL, NULL, NULL, NULL};

    write_file(text, strlen(text));
    argv[0] = S("tci-gateway");
    argv[1] = S("--config");
    argv[2] = file_path;
    return argv;
}

static int
clear_environment(void **state)
{
    (void)state;
    clearenv();
    return 0;
}

static int
make_file(void **state)
{
    int fd = mkstemp(file_path);

    (void)state;
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : clear_environment(state);
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(file_path);
}

static void
test_defaults(void **state)
{
    struct config cfg;

    (void)state;
    assert_loads(&cfg, ARGS());
    assert_string_equal(cfg.listen, "127.0.0.1:3874");
    assert_string_equal(cfg.state_dir, "/var/lib/tci");
    assert_string_equal(cfg.auth_token, "");
    assert_string_equal(cfg.cors_origin, "");
    assert_string_equal(cfg.runtime, "crun");
    assert_string_equal(cfg.kernel, "python3");
    assert_int_equal(cfg.min_idle_workers, 5);
    assert_int_equal(cfg.max_total_workers, 30);
    assert_int_equal(cfg.max_code_bytes, 1048576);
    assert_int_equal(cfg.max_output_bytes, 10485760);
    assert_int_equal(cfg.log_level, LOG_LEVEL_INFO);
    assert_true(cfg.exec_timeout == 30 && cfg.worker_cpu == 1 && cfg.orphan_timeout == 900);
    assert_false(cfg.help || cfg.version || cfg.remove_containers);
    config_clear(&cfg);
    config_clear(&cfg);
}

static void
test_precedence(void **state)
{
    struct config cfg;

    (void)state;
    with_file("exec_timeout = 1\nworker_cpu = 1\nqueue_limit = 1\n");
    setenv("TCI_WORKER_CPU", "2", 1);
    setenv("TCI_QUEUE_LIMIT", "2", 1);
    assert_loads(&cfg, ARGS(S("--queue-limit=3"), S("--config"), file_path));
    assert_true(cfg.exec_timeout == 1);
    assert_true(cfg.worker_cpu == 2);
    assert_int_equal(cfg.queue_limit, 3);
    config_clear(&cfg);
}

static void
test_flags(void **state)
{
    struct config cfg;

    (void)state;
    setenv("TCI_LISTEN", "nonsense", 1); /* help is there when the rest is wrong */
    assert_loads(&cfg, ARGS(S("--help")));
    assert_true(cfg.help);
    config_clear(&cfg);
    assert_loads(&cfg, ARGS(S("--help-markdown")));
    assert_true(cfg.help_markdown && !cfg.help);
    config_clear(&cfg);
    unsetenv("TCI_LISTEN");
    assert_loads(&cfg, ARGS(S("--remove-containers"), S("--state-dir"), S("/tmp/x")));
    assert_true(cfg.remove_containers);
    config_clear(&cfg);
}

static void
test_command_line_refusals(void **state)
{
    (void)state;
    assert_refused(ARGS(S("--nonsense")), "nonsense", "unknown option --nonsense");
    assert_refused(ARGS(S("--exec-timout=3")), "exec-timout", "did you mean --exec-timeout?");
    assert_refused(ARGS(S("--exec_timeout=3")), "exec_timeout", "did you mean --exec-timeout?");
    assert_refused(ARGS(S("stray")), "", "unexpected argument \"stray\"");
    assert_refused(ARGS(S("-h")), "", "unexpected argument");
    assert_refused(ARGS(S("--")), "", "unexpected argument");
    assert_refused(ARGS(S("--listen")), "listen", "needs a value");
    assert_refused(ARGS(S("--version=1")), "version", "takes no value");
    assert_refused(ARGS(S("--config"), S("/nonexistent/file")), "", "/nonexistent/file");
    assert_refused(ARGS(S("--worker-pids"), S("12x")), "worker_pids",
                   "worker_pids = \"12x\" (option --worker-pids) is not usable; allowed: a whole "
                   "number, 16 to 4194304");
}

static void
test_environment_refusals(void **state)
{
    static const char prefix[] = {'T', 'C', 'I', '_'};
    char *huge = xcalloc(1, 100001);
    struct config cfg;
    struct err err;

    (void)state;
    setenv("TCI_EXEC_TIMEOUTS", "3", 1);
    assert_refused(ARGS(), "TCI_EXEC_TIMEOUTS", "did you mean TCI_EXEC_TIMEOUT?");
    clearenv();
    setenv("TCI_", "3", 1);
    assert_refused(ARGS(), "TCI_", "unknown setting");
    clearenv();
    setenv("TCI_QUEUE_LIMIT", "", 1);
    assert_refused(ARGS(), "queue_limit",
                   "queue_limit = \"\" (TCI_QUEUE_LIMIT in the environment)");
    clearenv();
    memset(huge, 'A', 100000);
    memcpy(huge, prefix, sizeof(prefix));
    setenv(huge, huge, 1);
    assert_int_equal(load(&cfg, ARGS(), &err), -1);
    clearenv();
    setenv("TCI_LISTEN", huge, 1);
    assert_refused(ARGS(), "listen", "AAA...\" (TCI_LISTEN");
    clearenv();
    free(huge);
}

static void
test_foreign_variables_pass(void **state)
{
    struct config cfg;

    (void)state;
    setenv("TCI_BUILD_DIR", "/somewhere", 1);
    setenv("TC_LISTEN", "x", 1);
    setenv("HTCI_LISTEN", "x", 1);
    assert_loads(&cfg, ARGS());
    config_clear(&cfg);
}

static void
test_file(void **state)
{
    struct config cfg;

    (void)state;
    assert_loads(&cfg, with_file("# comment\n; comment\n\n"
                                 "  listen = [::1]:80  ; all of it\r\n"
                                 "log_format=json\n\tlog_level : debug\n"
                                 "cors_origin =\n"
                                 "scan = block\nscan_rules = /etc/own.rules\n"
                                 "tls_cert = /a b/c.pem\ntls_key = /k"));
    assert_string_equal(cfg.listen, "[::1]:80");
    assert_int_equal(cfg.log_format, LOG_FORMAT_JSON);
    assert_int_equal(cfg.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(cfg.tls_cert, "/a b/c.pem");
    assert_int_equal(cfg.scan, SCAN_BLOCK);
    assert_string_equal(cfg.scan_rules, "/etc/own.rules");
    config_clear(&cfg);
}

static void
test_file_refusals(void **state)
{
    static const char nul[] = "queue_limit = 3\0 4\n";
    char line[30000], where[64];

    (void)state;
    assert_refused(with_file("\nlisen = x\n"), "lisen",
                   ":2: unknown setting \"lisen\"; did you mean");
    assert_refused(with_file("TCI_LISTEN = x\n"), "TCI_LISTEN", "did you mean listen?");
    assert_refused(with_file("queue_limit=1\n\nqueue_limit=1\n"), "queue_limit",
                   ":3: queue_limit was set already in line 1");
    assert_refused(with_file("queue_limit=1\n[tci]\n"), "", ":2: a section");
    assert_refused(with_file("queue_limit=1\n\n\nnonsense\n"), "",
                   ":4: not of the form key = value");
    snprintf(where, sizeof(where), "queue_limit = \"0\" (%s:2)", file_path);
    assert_refused(with_file("\nqueue_limit=0\nbad\n"), "queue_limit", where);
    memset(line, 'x', sizeof(line));
    memcpy(line, "tls_key=/", 9);
    line[sizeof(line) - 1] = '\0';
    assert_refused(with_file(line), "", ":1: the line is too long");
    write_file(nul, sizeof(nul) - 1);
    assert_refused(ARGS(S("--config"), file_path), "", "no text");
    assert_refused(ARGS(S("--config=/")), "", "Is a directory");
}

static void
test_token_is_never_shown(void **state)
{
    static const char *const wrong[] = {"hunter2", "has a space in its middle",
                                        "a-token-with-\x01-control",
                                        "umlaut-\xc3\xa4-umlaut-umlaut"};
    struct config cfg;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        setenv("TCI_AUTH_TOKEN", wrong[i], 1);
        assert_int_equal(load(&cfg, ARGS(), &err), -1);
        assert_string_equal(err.field, "auth_token");
        assert_null(strstr(err.msg, wrong[i]));
        assert_non_null(strstr(err.msg, "TCI_AUTH_TOKEN"));
    }
    setenv("TCI_AUTH_TOKEN", "0123456789abcdef", 1);
    assert_loads(&cfg, ARGS());
    assert_string_equal(cfg.auth_token, "0123456789abcdef");
    config_clear(&cfg);
}

/* One setting with many values. */
static void
check_values(const char *option, const char *const *good, const char *const *bad)
{
    char field[64];
    struct config cfg;

    snprintf(field, sizeof(field), "%s", option + 2);
    for (char *p = field; *p != '\0'; p++)
        *p = *p == '-' ? '_' : *p;
    for (; *good != NULL; good++) {
        assert_loads(&cfg, ARGS(S(option), S(*good)));
        config_clear(&cfg);
    }
    for (; *bad != NULL; bad++)
        assert_refused(ARGS(S(option), S(*bad)), field, "is not usable; allowed: ");
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_values(void **state)
{
    (void)state;
    check_values("--exec-timeout", LIST("0.1", "30", "86400", "007.50"),
                 LIST("", "0", "0.09", "86401", "-1", "+1", "1e3", "inf", "nan", "0x10", " 1", "1 ",
                      "1.", ".5", "1,5", "1.2.3", "NaN", "infinity", "\xd9\xa3",
                      "1111111111111111111111111111111111111111111111"));
    check_values(
        "--queue-limit", LIST("1", "10000", "016"),
        LIST("", "0", "10001", "-1", "1.0", "99999999999999999999999", "0x1", "4294967297"));
    check_values("--max-output-bytes", LIST("1024", "1073741824"),
                 LIST("1023", "1073741825", "1M"));
    check_values(
        "--listen",
        LIST("127.0.0.1:0", "0.0.0.0:65535", "[::]:80", "[::1]:1", "localhost:80", "a.b-c:1"),
        LIST("", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "1.2.3:80",
             "256.1.1.1:80", "::1:80", "[::1]", "[]:80", "[1.2.3.4]:80", "[::1:80", "a b:80",
             "-a:80", "http://a:80", "a:-1", "a:8 0", "a/b:80"));
    check_values("--cors-origin",
                 LIST("", "*", "https://example.org", "http://localhost:8080", "http://[::1]:80"),
                 LIST("example.org", "https://", "https://a/", "https://a/b", "https://a b", "null",
                      "https://a\nX: y", "ftp://a"));
    check_values("--kernel", LIST("python3", "xpython-raw", "a_b.c"),
                 LIST("", ".", "..", "a/b", "../x", ".hidden", "a b",
                      "a2345678901234567890123456789012345678901234567890123456789012345"));
    check_values("--log-level", LIST("error", "warn", "info", "debug"),
                 LIST("", "INFO", "trace", "2"));
    check_values("--log-format", LIST("text", "json"), LIST("", "xml"));
    check_values("--runtime", LIST("crun", "runsc"), LIST("", "docker", "/usr/bin/crun"));
    check_values("--network", LIST("none", "allowlist"), LIST("", "unsaid", "all", "None"));
    check_values("--network-resolver", LIST("", "127.0.0.1:53", "[::1]:5353"),
                 LIST("127.0.0.1", "::1", "127.0.0.1:0", "dns.test:53", "127.1:53", ":53"));
    check_values("--network-allow", LIST("", "a.test, *.b.test:80", "[::1] 10.0.0.1:1"),
                 LIST("a b!", "http://a", "a:0", "*", "a.test\n"));
    check_values("--network-permit", LIST("", "10.0.0.0/8,::1"), LIST("10.0.0.1/8", "a", "/8"));
    check_values("--runsc-platform", LIST("", "ptrace", "systrap", "kvm"),
                 LIST("gvisor", "PTRACE"));
    check_values("--worker-cpu", LIST("0.01", "1024"), LIST("0", "0.009", "1025"));
    check_values("--worker-memory-mb", LIST("64", "1024"), LIST("63", "1g"));
}

static void
test_state_dir(void **state)
{
    char dir[200];
    struct config cfg;

    (void)state;
    check_values("--state-dir", LIST("/a", "/a/b//", "/a..b", "/..a/c"),
                 LIST("", "/", "//", "a", "./a", "/a/..", "/a/../b", "/..", "/a\nb", "/a\xe9"));
    check_values("--packages-dir", LIST("", "/a", "/\xc3\xa9"), LIST("a", "/a\n", "/\xe9"));
    assert_loads(&cfg, ARGS(S("--state-dir=/a/b//")));
    assert_string_equal(cfg.state_dir, "/a/b");
    config_clear(&cfg);
    memset(dir, 'd', sizeof(dir));
    dir[0] = '/';
    dir[89] = '\0'; /* with /link/gateway.sock and its NUL it fills the 108 bytes of sun_path */
    assert_loads(&cfg, ARGS(S("--state-dir"), dir));
    config_clear(&cfg);
    dir[89] = 'd';
    dir[90] = '\0';
    assert_refused(ARGS(S("--state-dir"), dir), "state_dir", "at most 89 bytes");
}

static void
test_together(void **state)
{
    struct config cfg;

    (void)state;
    assert_refused(ARGS(S("--min-idle-workers=4"), S("--max-total-workers=3")), "min_idle_workers",
                   "min_idle_workers = 4 is more than max_total_workers = 3");
    assert_refused(ARGS(S("--tls-cert=/c")), "tls_key", "both, or neither");
    assert_refused(ARGS(S("--tls-key=/k")), "tls_cert", "both, or neither");
    assert_loads(&cfg, ARGS(S("--tls-key=/k"), S("--tls-cert=/c")));
    config_clear(&cfg);
    assert_refused(ARGS(S("--network-allow=a.test b..test")), "network_allow", "\"b..test\"");
    assert_refused(ARGS(S("--network-permit=10.0.0.0/8 a")), "network_permit", "\"a\"");
}

/* What the gateway takes and its proxy does not would have the proxy fail at every start. */
static void
test_lists_of_installers(void **state)
{
    char hosts[16384], option[16384 + 32];
    struct config cfg;

    (void)state;
    assert_loads(&cfg, ARGS(S("--packages-index=http://mirror:8081/simple,cran=https://[::1]/x")));
    config_clear(&cfg);
    assert_refused(ARGS(S("--packages-index=https://mirror:/simple")), "packages_index",
                   "packages_index: the entry \"mirror:\"");
    assert_refused(ARGS(S("--packages-index=http://10.1/")), "packages_index", "\"10.1:80\"");
    assert_refused(ARGS(S("--packages-index=https://*.test/simple")), "packages_index", "*.test");
    assert_refused(ARGS(S("--packages-hosts=a..b")), "packages_hosts",
                   "packages_hosts: the entry \"a..b\"");
    memset(hosts, ' ', sizeof(hosts));
    hosts[sizeof(hosts) - 1] = '\0';
    snprintf(option, sizeof(option), "--packages-hosts=%s", hosts);
    assert_loads(&cfg, ARGS(option));
    config_clear(&cfg);
    assert_refused(ARGS(option, S("--packages-index=http://mirror/")), "packages_index", "longer");
}

static void
test_locale(void **state)
{
    struct config cfg;

    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "de_DE") == NULL)
        return; /* no locale with a decimal comma here */
    assert_loads(&cfg, ARGS(S("--worker-cpu=2.5")));
    assert_true(cfg.worker_cpu == 2.5);
    assert_refused(ARGS(S("--worker-cpu=2,5")), "worker_cpu", "0.01 to 1024 cores");
    config_clear(&cfg);
    setlocale(LC_ALL, "C");
}

static void
test_host_and_port(void **state)
{
    char host[16];
    uint16_t port;

    (void)state;
    assert_int_equal(hostport_split("[::1]:80", host, sizeof(host), &port), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 80);
    assert_int_equal(hostport_split("10.0.0.1:0", host, sizeof(host), &port), 0);
    assert_string_equal(host, "10.0.0.1");
    assert_int_equal(port, 0);
    assert_int_equal(hostport_split("a234567890123456:80", host, sizeof(host), &port), -1);
}

static void
test_reload(void **state)
{
    char *const *argv = with_file("exec_timeout=1\ncors_origin=http://a\nlisten=a:1\n");
    struct config cfg;
    struct err err = ERR_INIT;
    unsigned changed;

    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_loads(&cfg, argv);
    assert_int_equal(config_reload(&cfg, 3, argv, &changed, &err), 0);
    assert_int_equal(changed, 0);

    with_file(
        "exec_timeout=2\ncors_origin=http://b\nlisten=a:2\nlog_level=warn\nmax_code_bytes=7\n");
    assert_int_equal(config_reload(&cfg, 3, argv, &changed, &err), 0);
    assert_int_equal(changed, 4);
    assert_true(cfg.exec_timeout == 2);
    assert_string_equal(cfg.cors_origin, "http://b");
    assert_string_equal(cfg.listen, "a:1");
    assert_int_equal(cfg.log_level, LOG_LEVEL_WARN);
    assert_int_equal(cfg.max_code_bytes, 7);

    with_file("exec_timeout=3\nqueue_limit=none\n");
    assert_int_equal(config_reload(&cfg, 3, argv, &changed, &err), -1);
    assert_string_equal(err.field, "queue_limit");
    assert_int_equal(changed, 0);
    assert_true(cfg.exec_timeout == 2);
    config_clear(&cfg);
}

static char *
printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    print(f);
    fclose(f);
    return text;
}

/* Both are made of the same rows, which stand in the order of their names. */
static void
test_help(void **state)
{
    cleanup_free char *help = printed(config_print_help);
    cleanup_free char *table = printed(config_print_markdown);
    char last[64] = "", name[64], option[80];
    unsigned n = 0;

    (void)state;
    for (char *p = table; (p = strstr(p, "\n| `TCI_")) != NULL; n++) {
        p += strlen("\n| `TCI_");
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "`"), p);
        assert_true(strcmp(last, name) < 0);
        memcpy(last, name, sizeof(name));
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
        snprintf(option, sizeof(option), "\n  --%s VALUE", name);
        if (strstr(help, option) == NULL)
            fail_msg("no%s in --help", option);
    }
    assert_true(n >= 24);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_precedence),
        TEST(test_flags),
        TEST(test_command_line_refusals),
        TEST(test_environment_refusals),
        TEST(test_foreign_variables_pass),
        TEST(test_file),
        TEST(test_file_refusals),
        TEST(test_token_is_never_shown),
        TEST(test_values),
        TEST(test_state_dir),
        TEST(test_together),
        TEST(test_lists_of_installers),
        TEST(test_locale),
        TEST(test_host_and_port),
        TEST(test_reload),
        TEST(test_help),
    };

    return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
