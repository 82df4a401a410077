/*
 * netaddr.c - see netaddr.h.
 *
 * IPv4: what the registry of special-purpose addresses has (RFC 6890 and its successors), and the one metadata address
 * that is none of them.  IPv6: only what is routed in the internet, 2000::/3, less its special parts; an address that has an
 * IPv4 one in it is refused, or judged by that.
 */
#include "netaddr.h"

#include <arpa/inet.h>

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static const struct special {
    struct netrange range;
    const char *what;
} specials[] = {
#define V4(a, b, c, d, bits_, what_)                                                               \
    {                                                                                              \
        {{AF_INET, {a, b, c, d}}, bits_}, what_                                                    \
    }
#define V6(a, b, c, d, bits_, what_)                                                               \
    {                                                                                              \
        {{AF_INET6,                                                                                \
          {(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff, (d) >> 8, (d)&0xff}},       \
         bits_},                                                                                   \
            what_                                                                                  \
    }
    V4(0, 0, 0, 0, 8, "an unspecified address"),
    V4(10, 0, 0, 0, 8, "a private address"),
    V4(100, 64, 0, 0, 10, "an address of a carrier's network"),
    V4(127, 0, 0, 0, 8, "a loopback address"),
    V4(168, 63, 129, 16, 32, "a metadata address"), /* Azure's, a public one */
    V4(169, 254, 0, 0, 16, "a link-local address"),
    V4(172, 16, 0, 0, 12, "a private address"),
    V4(192, 0, 0, 0, 24, "a reserved address"),
    V4(192, 0, 2, 0, 24, "a documentation address"),
    V4(192, 88, 99, 0, 24, "a 6to4 relay's address"),
    V4(192, 168, 0, 0, 16, "a private address"),
    V4(198, 18, 0, 0, 15, "a benchmark's address"),
    V4(198, 51, 100, 0, 24, "a documentation address"),
    V4(203, 0, 113, 0, 24, "a documentation address"),
    V4(224, 0, 0, 0, 4, "a multicast address"),
    V4(240, 0, 0, 0, 4, "a reserved address"),
    V6(0x2001, 0, 0, 0, 23, "a reserved address"), /* Teredo is one of them */
    V6(0x2001, 0xdb8, 0, 0, 32, "a documentation address"),
    V6(0x2002, 0, 0, 0, 16, "a 6to4 address"),
    V6(0x3fff, 0, 0, 0, 20, "a documentation address"),
    V6(0xfc00, 0, 0, 0, 7, "a private address"),
    V6(0xfe80, 0, 0, 0, 10, "a link-local address"),
    V6(0xfec0, 0, 0, 0, 10, "a site-local address"),
    V6(0xff00, 0, 0, 0, 8, "a multicast address"),
};

static const struct netrange global = {{AF_INET6, {0x20}}, 3};
static const struct netrange mapped = {{AF_INET6, {[10] = 0xff, 0xff}}, 96};
static const struct netrange nat64 = {{AF_INET6, {0x00, 0x64, 0xff, 0x9b}}, 96};
static const struct netrange first_ones = {{AF_INET6, {0}}, 96}; /* ::, ::1, IPv4-compatible */

static unsigned
bits_of(const struct netaddr *a)
{
    return a->family == AF_INET ? 32 : 128;
}

int
netaddr_parse(const char *text, struct netaddr *out)
{
    memset(out, 0, sizeof(*out));
    out->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    return inet_pton(out->family, text, out->bytes) == 1 ? 0 : -1;
}

/* The first bits are the same. */
static bool
share(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    const unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool
netrange_has(const struct netrange *r, const struct netaddr *a)
{
    return r->first.family == a->family && share(r->first.bytes, a->bytes, r->bits);
}

static bool
has_bits_behind(const struct netrange *r)
{
    for (unsigned i = r->bits; i < bits_of(&r->first); i++)
        if (r->first.bytes[i / 8] & 0x80 >> i % 8)
            return true;
    return false;
}

int
netrange_parse(const char *text, struct netrange *out)
{
    char address[NETADDR_TEXT];
    const char *slash = strchr(text, '/');
    const size_t len = slash ? (size_t)(slash - text) : strlen(text);

    if (len >= sizeof(address))
        return -1;
    memcpy(address, text, len);
    address[len] = '\0';
    if (netaddr_parse(address, &out->first) < 0)
        return -1;
    out->bits = bits_of(&out->first);
    if (slash == NULL)
        return 0;
    slash++;
    if (slash[0] == '\0' || strlen(slash) > 3 || strspn(slash, "0123456789") != strlen(slash))
        return -1;
    out->bits = (unsigned)strtoul(slash, NULL, 10);
    return out->bits <= bits_of(&out->first) && !has_bits_behind(out) ? 0 : -1;
}

/* ISATAP has an IPv4 address behind 0:5efe or 200:5efe in the last eight bytes (RFC 5214). */
static bool
is_isatap(const struct netaddr *a)
{
    static const uint8_t mark[] = {0x5e, 0xfe};

    return (a->bytes[8] & ~2) == 0 && a->bytes[9] == 0 && memcmp(a->bytes + 10, mark, 2) == 0;
}

static const char *
special_kind(const struct netaddr *a)
{
    for (size_t i = 0; i < N_ELEMENTS(specials); i++)
        if (netrange_has(&specials[i].range, a))
            return specials[i].what;
    return NULL;
}

static const char *
forbidden_v6(const struct netaddr *a)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT, any = IN6ADDR_ANY_INIT;
    struct netaddr inner = {.family = AF_INET};

    if (memcmp(a->bytes, &loopback, sizeof(loopback)) == 0)
        return "a loopback address";
    if (memcmp(a->bytes, &any, sizeof(any)) == 0)
        return "an unspecified address";
    if (netrange_has(&mapped, a) || netrange_has(&first_ones, a) || is_isatap(a))
        return "an IPv4 address in IPv6";
    if (netrange_has(&nat64, a)) {
        memcpy(inner.bytes, a->bytes + 12, 4);
        return special_kind(&inner);
    }
    if (special_kind(a))
        return special_kind(a);
    return netrange_has(&global, a) ? NULL : "a reserved address";
}

const char *
netaddr_forbidden(const struct netaddr *a)
{
    return a->family == AF_INET ? special_kind(a) : forbidden_v6(a);
}

const char *
netaddr_text(const struct netaddr *a, char buf[NETADDR_TEXT])
{
    if (inet_ntop(a->family, a->bytes, buf, NETADDR_TEXT) == NULL)
        buf[0] = '\0';
    return buf;
}

socklen_t
netaddr_sockaddr(const struct netaddr *a, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    out->ss_family = a->family;
    if (a->family == AF_INET) {
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, a->bytes, sizeof(v4->sin_addr));
        return sizeof(*v4);
    }
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, a->bytes, sizeof(v6->sin6_addr));
    return sizeof(*v6);
}
