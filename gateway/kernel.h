/*
 * kernel.h - the Jupyter client of one kernel, over the link (Jupyter messaging protocol 5.3).
 *
 * Builds and signs requests, verifies every message that comes back, and gives each to the execution it belongs to.
 * A message whose signature or shape is wrong, or whose parent is none of ours, is dropped and counted.
 */
#ifndef GATEWAY_KERNEL_H
#define GATEWAY_KERNEL_H

#include <stdbool.h>

#include "err.h"
#include "mem.h"
#include "wire.h"

struct event_base;
struct execution;
struct kernel;
struct link_peer;

/* The kernel has answered a probe: it is ready, and whatever ran before the probe is over. */
typedef void kernel_ready_fn(void *owner);

/* peer is borrowed; key is the HMAC key as in the connection file (copied). */
struct kernel *kernel_new(struct event_base *, struct link_peer *, const char *key,
                          bool interrupt_message, kernel_ready_fn *, void *owner);
void kernel_free(struct kernel *); /* accepts NULL; forgets a running execution */

/*
 * Asks for kernel_info until the reply and its idle status have both come, which shows that shell and iopub are
 * connected; then calls ready once.  Never gives up by itself.
 */
void kernel_probe(struct kernel *);

/*
 * Sends the execution and begins it.  One at a time.  Borrows it until kernel_forget, which its owner calls
 * once it is over or about to be freed.
 */
int kernel_execute(struct kernel *, struct execution *, struct err *) must_check;
void kernel_forget(struct kernel *);

/* KeyboardInterrupt in the running code, by signal or by message as the kernelspec says. */
int kernel_interrupt(struct kernel *, struct err *) must_check;

/* Answers the running code that asks for input. */
int kernel_input(struct kernel *, const char *text, size_t len, struct err *) must_check;

/* What the link brought: a RELAY's channel and frames, an OUTPUT, a TRUNCATED, CHANGES. */
void kernel_on_relay(struct kernel *, char channel, const struct wire_frame *, size_t n);
void kernel_on_output(struct kernel *, int fd, const void *data, size_t len);
void kernel_on_truncated(struct kernel *);
void kernel_on_changes(struct kernel *, json_t *changes);

#endif
