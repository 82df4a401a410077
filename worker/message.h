/* message.h - a multipart message between two sockets; its frames are moved, never copied. */
#ifndef WORKER_MESSAGE_H
#define WORKER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "frame.h"
#include "protocol.h"

/*
 * The socket's descriptor: readable after something has happened to it (edge-triggered, see
 * zmq_getsockopt(3)).
 */
int message_fd(void *socket);

struct message {
    zmq_msg_t frames[TCI_MAX_FRAMES];
    size_t n;
};

/*
 * 1: one was there.  0: none now.  -1: one of more frames than fit was there, and is dropped. After
 * 0 and -1 there is nothing to clear.  Never waits.
 */
int message_recv(void *socket, struct message *) __attribute__((warn_unused_result));
void message_clear(struct message *);

/*
 * What the frames hold, valid until the message is sent or cleared.  out has room for
 * TCI_MAX_FRAMES.
 */
void message_view(struct message *, struct frame *out);

/* Moves frames from `first` on to the end of another message, or puts one byte there.  There must be room. */
void message_append(struct message *to, struct message *from, size_t first);
void message_append_byte(struct message *to, uint8_t byte);

/*
 * Sends the frames from `first` on.  0, or -1 when the socket does not take it now.  Never waits.
 * The message remains to be cleared either way.
 */
int message_send(void *socket, struct message *, size_t first) __attribute__((warn_unused_result));

#endif
