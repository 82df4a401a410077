/*
 * uplink.h - the connection to the gateway: dials, says who it is and HELLO, and dials again when it is lost.
 *
 *   DOWN ──▶ DIALLING ──WELCOME──▶ UP
 *     ▲──────────┘─────────────────┘
 */
#ifndef WORKER_UPLINK_H
#define WORKER_UPLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>

#include "boot.h"
#include "frame.h"
#include "message.h"
#include "protocol.h"

struct uplink;

/* boot is borrowed and must outlive it.  Dials at the first uplink_tick. */
struct uplink *uplink_new(const struct boot *boot);

/* Gives messages that are under way so much time.  Accepts NULL. */
void uplink_free(struct uplink *, int linger_ms);

/* From now on HELLO says that there is a kernel. */
void uplink_set_running(struct uplink *);

/* What to poll for; its fd is -1 while DOWN. */
struct pollfd uplink_item(const struct uplink *);

/* Call it with what poll(2) told.  What waits to be sent goes as far as the socket takes it. */
void uplink_on_event(struct uplink *, short revents);

/* Dials when its time has come. */
void uplink_tick(struct uplink *);
int64_t uplink_deadline_ms(const struct uplink *); /* when that is; CLOCK_NEVER if not at all */

/* Since when there has been no link; CLOCK_NEVER while there is one. */
int64_t uplink_down_since_ms(const struct uplink *);

bool uplink_is_up(const struct uplink *);

/* UP, and nothing waits to be sent. */
bool uplink_is_idle(const struct uplink *);

/*
 * Whether so much waits to be sent that what makes more of it should wait: by its bytes, or by its messages as well.  Not
 * without a link, for then nothing waits.
 */
bool uplink_is_late(const struct uplink *);
bool uplink_is_full(const struct uplink *);

/* Bytes that wait to be sent. */
size_t uplink_unsent(const struct uplink *);

/*
 * The next message.  1: one was there.  0: none now; the descriptor tells when to look again.  -1: what came is no
 * message.  After 0 and -1 there is nothing to clear.  Never waits.
 */
int uplink_recv(struct uplink *, struct message *) __attribute__((warn_unused_result));

/*
 * Send a message as a whole, or keep it until the socket takes it; without a link it is dropped, for there is nobody to keep
 * it for.  Nothing is refused: who reads what he sends asks first whether the link is late or full.  Nothing is taken from
 * relay's message, which goes as RELAY.
 */
void uplink_send(struct uplink *, enum tci_verb, const struct frame *, size_t n);
void uplink_relay(struct uplink *, const struct message *);

#endif
