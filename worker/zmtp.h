/*
 * zmtp.h - the bytes of the ZeroMQ Message Transport Protocol as far as a client of a kernel needs it: version 3.0
 * (rfc.zeromq.org, 23/ZMTP), mechanism NULL.  Pure.
 *
 *     greeting (64 bytes) | READY, a command | frames
 *
 * A frame is flags (1 byte) | its length (1 byte, or 8, big-endian) | its bytes.
 */
#ifndef WORKER_ZMTP_H
#define WORKER_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum {
    ZMTP_GREETING_SIZE = 64,
    ZMTP_HEAD_MAX = 9,
    ZMTP_READY_MAX = 64, /* with names as below */
    ZMTP_NAME_MAX = 8,   /* bytes of a socket type or an identity */
};

/* One byte of a message to a publisher: all that it publishes is wanted (23/ZMTP, "The publish-subscribe pattern"). */
#define ZMTP_SUBSCRIBE_ALL "\001"

struct zmtp_head {
    bool more;     /* another frame of the same message follows */
    bool command;  /* it is none of a message's */
    size_t size;   /* bytes of the head */
    uint64_t body; /* bytes behind it */
};

void zmtp_greeting(uint8_t out[ZMTP_GREETING_SIZE]);

/* The peer's: 1: it speaks this protocol.  0: it goes on behind these bytes.  -1: it does not. */
int zmtp_check_greeting(const uint8_t *data, size_t len) __attribute__((warn_unused_result));

/* READY with its head, as long as it returns.  identity NULL: none. */
size_t zmtp_ready(uint8_t out[ZMTP_READY_MAX], const char *socket_type, const char *identity);
bool zmtp_is_ready(const uint8_t *body, size_t len);

/* 1: *head is set.  0: it goes on behind these bytes.  -1: this is none.  Any bytes may come in. */
int zmtp_read_head(const uint8_t *data, size_t len, struct zmtp_head *head)
    __attribute__((warn_unused_result));

/* Writes the head of a message's frame of len bytes; returns its size. */
size_t zmtp_put_head(uint8_t out[ZMTP_HEAD_MAX], bool more, size_t len);

#endif
