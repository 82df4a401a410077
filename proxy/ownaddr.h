/*
 * ownaddr.h - whether an address is this machine's own: a public one leads to its servers as the loopback does, past what
 * guards them against the network.
 */
#ifndef PROXY_OWNADDR_H
#define PROXY_OWNADDR_H

#include <stdbool.h>

#include "gateway/netaddr.h"

/* Sends nothing.  True as well when there are no descriptors or memory to ask. */
bool ownaddr_is(const struct netaddr *);

#endif
