/* audit_event.h - one record of the audit log. */
#ifndef GATEWAY_AUDIT_EVENT_H
#define GATEWAY_AUDIT_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "requestid.h"
#include "timestamp.h"

#define AUDIT_HASH_BYTES 32

/* Never the code itself, never a secret. */
struct audit_event {
    char time[TIMESTAMP_SIZE];    /* RFC 3339, UTC, milliseconds; set by audit_add */
    char request[REQUESTID_SIZE]; /* X-Request-Id; "" = none */
    const char
        *action;  /* "execute", "create", "packages", "restart", "release" or "request"; static */
    char who[16]; /* a key's id or "master"; "" = nobody known */
    char address[64];             /* of the client, without port */
    char user[BODY_USER_MAX + 1]; /* user_uuid; "" = none */
    bool has_code;
    uint8_t code_hash[AUDIT_HASH_BYTES]; /* SHA-256 */
    size_t code_len;                     /* bytes */
    /* "ok", "error", "timeout", "died", "cancelled", "rejected", "denied" or "blocked"; static */
    const char *outcome;
    int status;         /* of the answer; 0 = there was none */
    double duration_ms; /* from the request to its end */
    char detail[200];   /* the answer's; "" = none */
};

void audit_event_set_time(struct audit_event *);

/* A new object: a line of the file. */
json_t *audit_event_json(const struct audit_event *);

/* 2 * AUDIT_HASH_BYTES + 1 characters; "" without code. */
void audit_event_hash_text(const struct audit_event *, char text[2 * AUDIT_HASH_BYTES + 1]);

#endif
