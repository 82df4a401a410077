/*
 * request.h - what a program in a sandbox asks the proxy for, HTTP/1.1 (RFC 9112): CONNECT host:port, or a request with
 * an http:// address in place of a path.  Whatever could be read in two ways is refused.  Pure.
 */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/mem.h"
#include "gateway/netpolicy.h"

enum {
    REQUEST_MAX = 8192, /* bytes of a head */
    REQUEST_MAX_HEADERS = 100,
    REQUEST_FORWARD_MAX = REQUEST_MAX + NETHOST_MAX + REQUEST_MAX_HEADERS + 64,
};

struct request {
    bool connect;
    struct nethost host;
    uint16_t port;
    size_t size;   /* bytes of the head, its empty line included */
    uint64_t body; /* not CONNECT: bytes that follow it */
    /* not CONNECT: the head to send to the host; the connection is for this request only */
    char forward[REQUEST_FORWARD_MAX];
    size_t forward_len;
};

struct refusal {
    int status;      /* of HTTP */
    const char *why; /* a static sentence without capital and stop */
};

/* 1: *out is set.  0: the head goes on behind these bytes.  -1: *refusal says why not.  Any bytes may come in. */
int request_parse(const char *data, size_t len, struct request *out, struct refusal *) must_check;

#endif
