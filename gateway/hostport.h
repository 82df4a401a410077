/* hostport.h - host:port, as somebody writes where to listen or whom to ask.  Pure. */
#ifndef GATEWAY_HOSTPORT_H
#define GATEWAY_HOSTPORT_H

#include <stddef.h>
#include <stdint.h>

#include "mem.h"

/*
 * name:port, IPv4 address:port or [IPv6 address]:port, port 0 to 65535.  The host without brackets, and the port.  -1 when it
 * is none of these or the host does not fit; the host of a setting always fits 256 bytes.
 */
int hostport_split(const char *text, char *host, size_t size, uint16_t *port) must_check;

#endif
