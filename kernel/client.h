/* client.h - the five sockets of a Jupyter kernel, and the messages on them. */
#ifndef KERNEL_CLIENT_H
#define KERNEL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <zmq.h>

#include "err.h"
#include "mem.h"
#include "wire.h"

enum client_channel { CLIENT_SHELL, CLIENT_CONTROL, CLIENT_STDIN, CLIENT_IOPUB, CLIENT_HB };
enum { CLIENT_CHANNELS = 5, CLIENT_MAX_FRAMES = 64 };

struct client {
    void *context;
    void *sockets[CLIENT_CHANNELS];
    struct wire_key key;
    struct wire_memo memo;
    char session[33]; /* of all that is sent */
    unsigned long n_sent;

    /* Called again and again while iopub's queue is full; false, or NULL: the message that waits for a place is dropped. */
    bool (*keeps_waiting)(void *owner);
    void *owner;
};

/* A message that has come: owns all of it. */
struct request {
    enum client_channel channel;
    zmq_msg_t frames[CLIENT_MAX_FRAMES];
    size_t n_frames, n_identities; /* the first ones say whose it is */
    struct wire_msg msg;
};

/* Binds what a connection file says. */
int client_open(struct client *, const char *connection_file, struct err *) must_check;
void client_close(struct client *); /* idempotent */

/* False where there is none; what is no message of somebody who knows the key is dropped. */
bool client_receive(struct client *, enum client_channel, struct request *);
void request_clear(struct request *);

/* The message's type; borrowed, "" where it has none. */
const char *request_type(const struct request *);

/* All of these borrow content. */
void client_reply(struct client *, const struct request *, const char *type, const json_t *content);

/* Waits while the client does not read what is published. */
void client_publish(struct client *, const struct request *, const char *type,
                    const json_t *content); /* request: what it belongs to; NULL: nothing */

/* Sends an input_request.  False: the client has not yet connected to stdin, as one that has only just begun may not have. */
bool client_ask(struct client *, const struct request *, const json_t *content);

/* Answers a heartbeat. */
void client_beat(struct client *);

#endif
