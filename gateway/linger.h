/*
 * linger.h - closing a connection whose client may still be sending.
 *
 * A socket closed with unread bytes is reset, and the reset can destroy the answer on its way to the client.  So the answer's
 * end is sent (FIN), and what still comes is read and thrown away for a while.
 */
#ifndef GATEWAY_LINGER_H
#define GATEWAY_LINGER_H

struct event_base;

/* Takes a duplicate of fd, which the caller goes on to close.  Bounded in time, bytes and number. */
void linger(struct event_base *, int fd);

/* Closes all that linger, before the event base goes. */
void linger_end(void);

#endif
