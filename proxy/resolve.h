/* resolve.h - the addresses of a name, asked for once: IPv4 and IPv6 at the same time, without search domains. */
#ifndef PROXY_RESOLVE_H
#define PROXY_RESOLVE_H

#include <stddef.h>

#include "gateway/mem.h"
#include "gateway/netaddr.h"

struct evdns_base;
struct event_base;
struct resolve;

enum { RESOLVE_MAX = 16 }; /* addresses; those beyond are not looked at, nor connected to */

/* n is 0 when there is none; the addresses are borrowed for the call.  resolve is gone with it. */
typedef void resolve_done_fn(void *owner, const struct netaddr *, size_t n);

/* Never calls done before it returns; afterwards once, unless resolve_cancel comes first. */
struct resolve *resolve_start(struct evdns_base *, struct event_base *, const char *name,
                              resolve_done_fn *done, void *owner);
void resolve_cancel(struct resolve *); /* accepts NULL */

#endif
