/*
 * limits.h - how much one execution may send to the gateway.  Pure counters; the time is passed in.
 *
 * Output (OUTPUT, and iopub but status) is counted against what EXECUTE allowed; over it, it goes
 * into the tail (tail.h), and is read at a limited rate: code that prints without end then mostly waits, and takes
 * little of the processors from others.  Status messages and replies always pass, because an execution ends with them, so a kernel
 * that sends them without end is not cut but given up.  No honest kernel comes near these
 * allowances: they are refilled by what is asked of it.
 */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance {
    double left;
    int64_t at_ms; /* when left was true */
};

struct limits {
    uint64_t bytes_left, message_bytes; /* message_bytes: of one message */
    uint32_t messages_left;
    bool full; /* from now on all output goes into the tail, for it comes after what went there */
    double
        paid_ms; /* what was read over the limit is paid for then: GCRA's theoretical arrival time */
    int64_t resume_ms; /* before then no more of it is to be read */
    uint64_t reply_bytes_left;
    struct allowance status, replies;
};

enum limits_verdict {
    LIMITS_PASS,
    LIMITS_TAIL,    /* over the limit */
    LIMITS_GIVE_UP, /* the kernel is not worth listening to any more */
};

enum {
    LIMITS_FIRST_BYTES = 1 << 20, /* before the first EXECUTE: what a kernel says while it starts */
    LIMITS_FIRST_MESSAGES = 1000,
    /* Status messages and, apart from them, replies: refilled by each EXECUTE, ... */
    LIMITS_ALLOWANCE = 1000,
    LIMITS_PER_REQUEST = 10,       /* partly by every other request, */
    LIMITS_PER_SECOND = 10,        /* and by time */
    LIMITS_REPLY_EXTRA = 4 << 20,  /* bytes of replies of one execution, beyond its output limit */
    LIMITS_OVER_PER_SECOND = 1000, /* messages over the limit, or chunks of pipes, */
    LIMITS_OVER_BYTES_PER_MS = 16 << 10, /* and bytes, whichever takes longer */
    LIMITS_OVER_BURST_MS = 10,           /* as much as in so long is read in one go */
};

void limits_init(struct limits *, int64_t now_ms);

/* EXECUTE: all counters start anew. */
void limits_execute(struct limits *, uint64_t bytes, uint32_t messages, int64_t now_ms);

/* Another request was sent to the kernel. */
void limits_request(struct limits *);

/* Bytes of the next OUTPUT that would pass. */
uint64_t limits_room(const struct limits *);

/* Once output goes into the tail: what it left unused, once. */
uint64_t limits_take_rest(struct limits *);

enum limits_verdict limits_output(struct limits *, size_t bytes, int64_t now_ms);
enum limits_verdict limits_status(struct limits *, int64_t now_ms);
enum limits_verdict limits_reply(struct limits *, size_t bytes, int64_t now_ms);

#endif
