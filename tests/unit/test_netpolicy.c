/* test_netpolicy.c - addresses that sandboxed code must not reach, and the list of names that it may. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "gateway/netpolicy.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static struct netaddr
address(const char *text)
{
    struct netaddr a;

    if (netaddr_parse(text, &a) < 0)
        fail_msg("%s is an address", text);
    return a;
}

static void
forbids(void **state)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        {"0.0.0.0", "an unspecified address"},
        {"0.1.2.3", "an unspecified address"},
        {"10.0.0.1", "a private address"},
        {"10.255.255.255", "a private address"},
        {"100.64.0.1", "an address of a carrier's network"},
        {"100.100.100.200", "an address of a carrier's network"},
        {"100.127.255.255", "an address of a carrier's network"},
        {"127.0.0.1", "a loopback address"},
        {"127.255.255.254", "a loopback address"},
        {"168.63.129.16", "a metadata address"},
        {"169.254.169.254", "a link-local address"},
        {"172.16.0.1", "a private address"},
        {"172.31.255.255", "a private address"},
        {"192.0.0.192", "a reserved address"},
        {"192.0.2.1", "a documentation address"},
        {"192.88.99.1", "a 6to4 relay's address"},
        {"192.168.1.1", "a private address"},
        {"198.18.0.1", "a benchmark's address"},
        {"198.19.255.255", "a benchmark's address"},
        {"198.51.100.7", "a documentation address"},
        {"203.0.113.9", "a documentation address"},
        {"224.0.0.1", "a multicast address"},
        {"239.255.255.255", "a multicast address"},
        {"240.0.0.1", "a reserved address"},
        {"255.255.255.255", "a reserved address"},
        {"::", "an unspecified address"},
        {"::1", "a loopback address"},
        {"::7f00:1", "an IPv4 address in IPv6"},
        {"::ffff:127.0.0.1", "an IPv4 address in IPv6"},
        {"::ffff:8.8.8.8", "an IPv4 address in IPv6"},
        {"::ffff:0:8.8.8.8", "a reserved address"},
        {"64:ff9b::10.0.0.1", "a private address"},
        {"64:ff9b::169.254.169.254", "a link-local address"},
        {"64:ff9b:1::8.8.8.8", "a reserved address"},
        {"100::1", "a reserved address"},
        {"2001::1", "a reserved address"},
        {"2001:db8::1", "a documentation address"},
        {"2002:0a00:0001::1", "a 6to4 address"},
        {"2600::200:5efe:10.0.0.1", "an IPv4 address in IPv6"},
        {"2600::5efe:10.0.0.1", "an IPv4 address in IPv6"},
        {"3fff::1", "a documentation address"},
        {"fc00::1", "a private address"},
        {"fd00:ec2::254", "a private address"},
        {"fe80::1", "a link-local address"},
        {"fec0::1", "a site-local address"},
        {"ff02::1", "a multicast address"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const struct netaddr a = address(cases[i].text);
        const char *what = netaddr_forbidden(&a);

        if (what == NULL || strcmp(what, cases[i].what) != 0)
            fail_msg("%s is %s, not %s", cases[i].text, what ? what : "public", cases[i].what);
    }
}

static void
lets_the_public_pass(void **state)
{
    static const char *const cases[] = {
        "1.1.1.1",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
        "100.128.0.0",     "126.255.255.255", "128.0.0.1",       "168.63.129.15",
        "168.63.129.17",   "169.253.255.255", "169.255.0.0",     "172.15.255.255",
        "172.32.0.0",      "192.0.1.1",       "192.167.255.255", "192.169.0.0",
        "198.17.255.255",  "198.20.0.0",      "203.0.112.255",   "223.255.255.255",
        "2001:200::1",     "2003::1",         "2606:4700::1111", "2a00:1450:4001::1",
        "64:ff9b::8.8.8.8"};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const struct netaddr a = address(cases[i]);

        if (netaddr_forbidden(&a))
            fail_msg("%s is %s", cases[i], netaddr_forbidden(&a));
    }
}

/* As text, and the text of what was read. */
static void
reads_hosts(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
        bool literal;
    } cases[] = {
        {"example.org", "example.org", false},
        {"EXAMPLE.Org.", "example.org", false},
        {"localhost", "localhost", false},
        {"a_b.x-y.1a", "a_b.x-y.1a", false},
        {"1.example", "1.example", false},
        {"93.184.216.34", "93.184.216.34", true},
        {"127.0.0.1", "127.0.0.1", true},
        {"[::1]", "::1", true},
        {"[0:0:0:0:0:0:0:1]", "::1", true},
        {"[::FFFF:127.0.0.1]", "::ffff:127.0.0.1", true},
        {"", NULL, false},
        {".", NULL, false},
        {"..", NULL, false},
        {"a..b", NULL, false},
        {".a", NULL, false},
        {"a.b..", NULL, false},
        {"-a.b", NULL, false},
        {"a-.b", NULL, false},
        {"a b", NULL, false},
        {"a/b", NULL, false},
        {"user@a", NULL, false},
        {"*.a", NULL, false},
        {"caf\xc3\xa9.example", NULL, false},
        {"2130706433", NULL, false},
        {"0x7f000001", NULL, false},
        {"017700000001", NULL, false},
        {"127.1", NULL, false},
        {"0x7f.1", NULL, false},
        {"0x7f.0.0.0x1", NULL, false},
        {"0177.0.0.1", NULL, false},
        {"127.0.0.01", NULL, false},
        {"127.0.0.1.", NULL, false},
        {"127.0.0.0.1", NULL, false},
        {"256.0.0.1", NULL, false},
        {"example.0x1F", NULL, false},
        {"::1", NULL, false},
        {"[::1", NULL, false},
        {"[fe80::1%eth0]", NULL, false},
        {"[127.0.0.1]", NULL, false},
        {"[]", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct nethost host;
        int rc = nethost_parse(cases[i].in, strlen(cases[i].in), &host);

        if ((rc == 0) != (cases[i].out != NULL))
            fail_msg("\"%s\" is %s", cases[i].in, rc == 0 ? "taken" : "refused");
        if (rc == 0) {
            assert_string_equal(host.text, cases[i].out);
            assert_int_equal(host.literal, cases[i].literal);
        }
    }
}

static void
refuses_long_names(void **state)
{
    char text[300];
    struct nethost host;

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(nethost_parse(text, 63, &host), 0);
    assert_int_equal(nethost_parse(text, 64, &host), -1);
    for (size_t i = 63; i < sizeof(text); i += 64)
        text[i] = '.';
    assert_int_equal(nethost_parse(text, 253, &host), 0);
    assert_int_equal(nethost_parse(text, 254, &host), -1);
    assert_int_equal(nethost_parse("a\0b", 3, &host), -1);
}

/* NULL: allowed. */
static const char *
verdict(const struct netpolicy *p, const char *name, uint16_t port)
{
    struct nethost host;

    assert_int_equal(nethost_parse(name, strlen(name), &host), 0);
    return netpolicy_refuse_host(p, &host, port);
}

static void
knows_the_list(void **state)
{
    static const char not_host[] = "the host is not on the list";
    static const char not_port[] = "the port is not on the list";
    struct err err = ERR_INIT;
    struct netpolicy *p =
        netpolicy_new("Example.org, *.pypi.org:443 mirror.test:8080,mirror.test:8081 "
                      "192.0.2.7:22,[2600::7]",
                      "", &err);

    (void)state;
    assert_non_null(p);
    assert_null(verdict(p, "example.org", 80));
    assert_null(verdict(p, "example.org", 443));
    assert_null(verdict(p, "EXAMPLE.ORG.", 443));
    assert_string_equal(verdict(p, "example.org", 22), not_port);
    assert_string_equal(verdict(p, "www.example.org", 443), not_host);
    assert_string_equal(verdict(p, "notexample.org", 443), not_host);
    assert_string_equal(verdict(p, "example.org.evil.test", 443), not_host);
    assert_null(verdict(p, "files.pypi.org", 443));
    assert_null(verdict(p, "a.b.pypi.org", 443));
    assert_string_equal(verdict(p, "files.pypi.org", 80), not_port);
    assert_string_equal(verdict(p, "pypi.org", 443), not_host);
    assert_string_equal(verdict(p, "evilpypi.org", 443), not_host);
    assert_null(verdict(p, "mirror.test", 8080));
    assert_null(verdict(p, "mirror.test", 8081));
    assert_string_equal(verdict(p, "mirror.test", 80), not_port);
    assert_null(verdict(p, "192.0.2.7", 22));
    assert_string_equal(verdict(p, "192.0.2.8", 22), not_host);
    assert_null(verdict(p, "[2600:0::7]", 443));
    assert_string_equal(verdict(p, "[2600::8]", 443), not_host);
    netpolicy_free(p);
}

static void
allows_nothing_when_empty(void **state)
{
    struct err err = ERR_INIT;
    struct netpolicy *p = netpolicy_new("", "", &err);
    const struct netaddr loopback = address("127.0.0.1");

    (void)state;
    assert_non_null(p);
    assert_non_null(verdict(p, "example.org", 443));
    assert_non_null(netpolicy_refuse_address(p, &loopback));
    netpolicy_free(p);
}

static void
permits_ranges(void **state)
{
    static const struct {
        const char *text;
        bool permitted;
    } cases[] = {
        {"10.1.0.0", true},  {"10.1.255.255", true},     {"10.2.0.0", false},
        {"127.0.0.1", true}, {"127.0.0.2", false},       {"fd00::1", true},
        {"fd01::1", false},  {"::ffff:10.1.0.0", false},
    };
    struct err err = ERR_INIT;
    struct netpolicy *p = netpolicy_new("", "10.1.0.0/16, 127.0.0.1 fd00::/16", &err);

    (void)state;
    assert_non_null(p);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const struct netaddr a = address(cases[i].text);

        if ((netpolicy_refuse_address(p, &a) == NULL) != cases[i].permitted ||
            netpolicy_permits(p, &a) != cases[i].permitted)
            fail_msg("%s is%s permitted", cases[i].text, cases[i].permitted ? " not" : "");
    }
    netpolicy_free(p);
}

static void
names_bad_entries(void **state)
{
    static const struct {
        const char *allow, *permit, *field, *entry;
    } cases[] = {
        {"ok.test, exa mple!.test", "", "network_allow", "\"mple!.test\""},
        {"*", "", "network_allow", "\"*\""},
        {"*.", "", "network_allow", "\"*.\""},
        {"a.*.test", "", "network_allow", "\"a.*.test\""},
        {"*.1.2.3.4", "", "network_allow", "\"*.1.2.3.4\""},
        {"a.test:0", "", "network_allow", "\"a.test:0\""},
        {"a.test:65536", "", "network_allow", "\"a.test:65536\""},
        {"a.test:", "", "network_allow", "\"a.test:\""},
        {"a.test:http", "", "network_allow", "\"a.test:http\""},
        {"https://a.test", "", "network_allow", "\"https://a.test\""},
        {"127.1", "", "network_allow", "\"127.1\""},
        {"::1", "", "network_allow", "\"::1\""},
        {"10.0.0.0/8", "", "network_allow", "\"10.0.0.0/8\""},
        {"", "10.0.0.0/33", "network_permit", "\"10.0.0.0/33\""},
        {"", "10.0.0.1/8", "network_permit", "\"10.0.0.1/8\""},
        {"", "10.0.0.0/", "network_permit", "\"10.0.0.0/\""},
        {"", "10.0.0.0/-1", "network_permit", "\"10.0.0.0/-1\""},
        {"", "fd00::/129", "network_permit", "\"fd00::/129\""},
        {"", "example.org", "network_permit", "\"example.org\""},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct err err = ERR_INIT;

        assert_null(netpolicy_new(cases[i].allow, cases[i].permit, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_string_equal(err.field, cases[i].field);
        assert_non_null(strstr(err.msg, cases[i].entry));
    }
}

static void
makes_socket_addresses(void **state)
{
    struct sockaddr_storage to;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&to;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&to;
    const struct netaddr a = address("192.0.2.1"), b = address("2600::7");

    (void)state;
    assert_int_equal(netaddr_sockaddr(&a, 443, &to), sizeof(*v4));
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 443);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);
    assert_int_equal(netaddr_sockaddr(&b, 80, &to), sizeof(*v6));
    assert_int_equal(ntohs(v6->sin6_port), 80);
    assert_memory_equal(&v6->sin6_addr, b.bytes, 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbids),
        cmocka_unit_test(lets_the_public_pass),
        cmocka_unit_test(reads_hosts),
        cmocka_unit_test(refuses_long_names),
        cmocka_unit_test(knows_the_list),
        cmocka_unit_test(allows_nothing_when_empty),
        cmocka_unit_test(permits_ranges),
        cmocka_unit_test(names_bad_entries),
        cmocka_unit_test(makes_socket_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
