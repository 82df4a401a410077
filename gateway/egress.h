/*
 * egress.h - the way out for sessions that may have one: tci-proxy, started, told what is allowed, and started again when
 * it ends.  What it says goes into our log.
 *
 * The socket that it listens on is ours: it outlives the process, so that who connects meanwhile waits and is served.
 */
#ifndef GATEWAY_EGRESS_H
#define GATEWAY_EGRESS_H

#include "err.h"
#include "mem.h"

struct config;
struct egress;
struct event_base;

/*
 * program is the proxy's, dir the directory of the socket, which is mounted into containers.  config is borrowed and must
 * outlive it.  The proxy is started in the loop's first turn.
 */
struct egress *egress_new(struct event_base *, const char *program, const char *dir,
                          const struct config *, struct err *) must_check;
void egress_free(struct egress *); /* accepts NULL; the proxy ends */

/* SIGHUP: the lists may have changed.  What is connected stays so. */
void egress_reconfigure(struct egress *); /* accepts NULL */

#endif
