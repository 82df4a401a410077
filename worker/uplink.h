/*
 * uplink.h - the connection to the gateway: a DEALER that dials, says HELLO, and dials again when it is lost.
 *
 *   DOWN ──▶ DIALLING ──▶ UP
 *     ▲──────────┘─────────┘
 */
#ifndef WORKER_UPLINK_H
#define WORKER_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot.h"
#include "frame.h"
#include "message.h"
#include "protocol.h"

struct uplink;

/* boot is borrowed and must outlive it.  Dials at the first uplink_tick. */
struct uplink *uplink_new(void *context, const struct boot *boot);

/* Gives messages that are under way so much time.  Accepts NULL. */
void uplink_free(struct uplink *, int linger_ms);

/* From now on HELLO says that there is a kernel. */
void uplink_set_running(struct uplink *);

/* Descriptors to poll for input (edge-triggered); -1 while DOWN, and others after each tick and on_monitor. */
int uplink_fd(const struct uplink *);
int uplink_monitor_fd(const struct uplink *);

/* Call it when the monitor's descriptor is readable: takes note of connections made and lost. */
void uplink_on_monitor(struct uplink *);

/* Dials, or gives up a dial that takes too long, when its time has come. */
void uplink_tick(struct uplink *);
int64_t uplink_deadline_ms(const struct uplink *); /* when that is; CLOCK_NEVER if not at all */

/* Since when there has been no link; CLOCK_NEVER while there is one. */
int64_t uplink_down_since_ms(const struct uplink *);

bool uplink_is_up(const struct uplink *);

/* UP, and one more message can be sent without waiting. */
bool uplink_is_writable(const struct uplink *);

/* As message_recv. */
int uplink_recv(struct uplink *, struct message *) __attribute__((warn_unused_result));

/*
 * Send a message as a whole.  0: it is on its way, or there is no link and so nobody to keep it for.  -1: the link takes
 * nothing now; try again when it is writable.  relay moves the frames, send copies.  After either, uplink_recv may find
 * messages that the descriptor does not tell of.
 */
int uplink_send(struct uplink *, enum tci_verb, const struct frame *, size_t n)
    __attribute__((warn_unused_result));
int uplink_relay(struct uplink *, struct message *) __attribute__((warn_unused_result));

#endif
