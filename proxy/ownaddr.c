/*
 * ownaddr.c - see ownaddr.h.
 *
 * A socket can be bound to an address of this machine and to no other one.  Where ip_nonlocal_bind is set it can be to all,
 * which is seen by one that is nobody's; then nothing is known of any.
 */
#include "ownaddr.h"

#include <errno.h>
#include <unistd.h>

/* Of documentation. */
static const struct netaddr nobodys_v4 = {AF_INET, {192, 0, 2, 1}};
static const struct netaddr nobodys_v6 = {AF_INET6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

/* -1: it cannot be known. */
static int
can_be_bound_to(const struct netaddr *a)
{
    struct sockaddr_storage address;
    const socklen_t size = netaddr_sockaddr(a, 0, &address);
    const int fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool bound;

    if (fd < 0)
        return errno == EAFNOSUPPORT ? 0 : -1;
    bound = bind(fd, (const struct sockaddr *)&address, size) == 0;
    close(fd);
    return bound;
}

bool
ownaddr_is(const struct netaddr *a)
{
    const int bound = can_be_bound_to(a);

    if (bound <= 0)
        return bound < 0;
    return can_be_bound_to(a->family == AF_INET ? &nobodys_v4 : &nobodys_v6) != 1;
}
