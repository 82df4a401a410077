/* request.h - a message of the gateway, taken apart (protocol.h: "from the gateway").  Pure. */
#ifndef WORKER_REQUEST_H
#define WORKER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "protocol.h"

struct request {
    enum tci_verb verb;
    enum tci_channel channel; /* EXECUTE, RELAY: where the message goes */
    /*
     * EXECUTE, RELAY: index of the delimiter; CONFIG, RENEW: of the JSON; NETWORK: of the session; FILES, DATA: of what follows
     * the id.
     */
    size_t first;
    uint64_t max_bytes;    /* EXECUTE */
    uint32_t max_messages; /* EXECUTE */
    uint64_t max_message;  /* EXECUTE: bytes of one */
    bool watch;            /* EXECUTE: CHANGES is asked for */
    bool wipe;             /* RENEW: directories are emptied */
    uint32_t id;           /* FILES, DATA, GRANT, ABORT */
    uint32_t granted;      /* GRANT */
};

/* 0, or -1 with *why saying in a static sentence what is wrong.  Any frames may come in. */
int request_parse(const struct frame *, size_t n, struct request *, const char **why)
    __attribute__((warn_unused_result));

#endif
