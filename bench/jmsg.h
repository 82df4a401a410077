/*
 * jmsg.h - messages of the Jupyter messaging protocol 5.3 over ZeroMQ sockets, as little of it as a client
 * needs.  Written for bench/floor alone, so that the floor does not move with the gateway's own code.
 */
#ifndef BENCH_JMSG_H
#define BENCH_JMSG_H

#include <jansson.h>

#include "err.h"
#include "mem.h"

struct jmsg { /* owns its objects */
    json_t *header, *parent, *content;
};

/* Signs and sends.  content is borrowed. */
int jmsg_send(void *socket, const char *key, const char *msg_id, const char *msg_type,
              const json_t *content, struct err *) must_check;

/* 1: *out is a message whose signature is right; 0: there is none now; -1: an error. */
int jmsg_receive(void *socket, const char *key, struct jmsg *out, struct err *) must_check;
void jmsg_clear(struct jmsg *); /* idempotent */

const char *jmsg_type(const struct jmsg *);   /* "" where there is none */
const char *jmsg_parent(const struct jmsg *); /* the msg_id it belongs to, "" where there is none */

#endif
