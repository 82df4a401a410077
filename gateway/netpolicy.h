/*
 * netpolicy.h - where sandboxed code may connect to: the names of a list, and no address that is not public.  Pure; the
 * gateway checks its settings with it, the proxy decides with it.
 */
#ifndef GATEWAY_NETPOLICY_H
#define GATEWAY_NETPOLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"
#include "netaddr.h"

enum {
    NETPOLICY_MAX_TEXT = 16384, /* bytes of a list */
    NETHOST_MAX = 253,          /* characters of a name */
};

/* Whether there is a way out: of an operator's setting, of a request, of a session. */
enum network_mode {
    NETWORK_UNSAID, /* of a request: what its session has */
    NETWORK_NONE,
    NETWORK_ALLOWLIST,
};

/* A host as a request or a list names it. */
struct nethost {
    bool literal;               /* an address; text is its usual form */
    struct netaddr address;     /* of a literal */
    char text[NETHOST_MAX + 1]; /* a name: lower case, no dot at its end */
};

/*
 * Reads a name, an IPv4 address of four decimal numbers, or an IPv6 address in brackets.  -1 for all else, what some
 * programs would take for an address in another spelling included (2130706433, 0x7f.1, 127.1, 0177.0.0.1).
 */
int nethost_parse(const char *text, size_t len, struct nethost *) must_check;

struct netpolicy;

/*
 * allow: domain[:port], *.domain[:port] (not the domain itself), address[:port], [IPv6 address][:port]; without a port it
 * is 80 and 443.  permit: ranges of addresses that need not be public.  Both are separated by commas or spaces.  On failure
 * NULL, err->field being network_allow or network_permit and the message naming the entry.
 */
struct netpolicy *netpolicy_new(const char *allow, const char *permit, struct err *) must_check;
void netpolicy_free(struct netpolicy *); /* accepts NULL */

/* Why not, as a static sentence; NULL: it is on the list.  Says nothing of addresses. */
const char *netpolicy_refuse_host(const struct netpolicy *, const struct nethost *, uint16_t port);

/* Whether the operator said that it may be connected to, public or not. */
bool netpolicy_permits(const struct netpolicy *, const struct netaddr *);

/* Why not, as "a private address"; NULL: public, or permitted. */
const char *netpolicy_refuse_address(const struct netpolicy *, const struct netaddr *);

#endif
