/* confine.h - gives up all that the proxy does not need, before it reads a byte of anybody's. */
#ifndef PROXY_CONFINE_H
#define PROXY_CONFINE_H

#include <sys/types.h>

/*
 * Another user and group, no capabilities, no new privileges, limits, and a list of allowed system calls: sockets of IPv4
 * and IPv6 may be made, files not opened and programs not run.  Without root only what an ordinary user can give up.  Ends
 * the process if it cannot.
 */
void confine(uid_t id, unsigned max_descriptors);

#endif
