/*
 * netaddr.h - IP addresses as a proxy for sandboxed code has to see them: how they are written, and which of them lead
 * into this machine, its network, or nowhere.  Pure.
 */
#ifndef GATEWAY_NETADDR_H
#define GATEWAY_NETADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mem.h"

enum { NETADDR_TEXT = INET6_ADDRSTRLEN }; /* bytes of an address as text, with its NUL */

struct netaddr {
    sa_family_t family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];  /* as on the wire; AF_INET has 4 */
};

struct netrange {
    struct netaddr first;
    unsigned bits; /* that an address shares with it */
};

/* Four decimal numbers, or IPv6; no octal, hexadecimal or shortened forms, no zone, no brackets. */
int netaddr_parse(const char *text, struct netaddr *) must_check;

/* ADDRESS/BITS, where ADDRESS is the first of the range; or an address for itself. */
int netrange_parse(const char *text, struct netrange *) must_check;
bool netrange_has(const struct netrange *, const struct netaddr *);

/* What makes the address one that sandboxed code must not reach, as "a private address"; NULL: it is public. */
const char *netaddr_forbidden(const struct netaddr *);

/* As inet_ntop(3).  Returns buf. */
const char *netaddr_text(const struct netaddr *, char buf[NETADDR_TEXT]);

/* The address to connect to; returns its size. */
socklen_t netaddr_sockaddr(const struct netaddr *, uint16_t port, struct sockaddr_storage *);

#endif
