/*
 * server.h - the gateway as a whole: what is set up in which order, signals, and the way it stops.
 */
#ifndef GATEWAY_SERVER_H
#define GATEWAY_SERVER_H

#include "config.h"
#include "err.h"
#include "mem.h"

/*
 * Serves until SIGTERM or SIGINT has drained it.  SIGHUP loads the configuration anew from argv, environment and
 * file, hence the arguments.  Containers live on for the next start.
 */
int server_run(struct config *, int argc, char *const argv[], struct err *) must_check;

/* Removes every container of the state directory, and what the store knows of them; *n gets how many. */
int server_remove_containers(const struct config *, unsigned *n, struct err *) must_check;

#endif
