/*
 * runtime_phases.h - what moves a container on, from its turn to start until nothing of it is left.  Part of runtime.h.
 */
#ifndef GATEWAY_RUNTIME_PHASES_H
#define GATEWAY_RUNTIME_PHASES_H

#include <event2/util.h>
#include <sys/types.h>

#include "runtime_state.h"

/* In the next turn of the loop it is looked for something to start or to remove. */
void runtime_poke(struct runtime *);

/* That turn, and SIGCHLD: arg is the runtime. */
void runtime_on_turn(evutil_socket_t fd, short what, void *arg);
void runtime_on_child(evutil_socket_t fd, short what, void *arg);

void container_set_phase(struct container *, enum container_phase);

/* Hears of the end of its init, which it is from now on. */
int container_watch(struct container *, pid_t init, struct err *) must_check;

/* Ends a RUNNING one's init, and what has ended is removed when it is its turn. */
void container_kill(struct container *);
void container_condemn(struct container *);

/* While RESTING, or RUNNING and doomed; arg is the container. */
void container_on_timer(evutil_socket_t fd, short what, void *arg);

/* Leaves what there is of it alone. */
void container_free(struct container *);

#endif
