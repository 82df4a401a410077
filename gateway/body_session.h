/* body_session.h - the bodies of POST and PATCH of sessions.  Part of body.h. */
#ifndef GATEWAY_BODY_SESSION_H
#define GATEWAY_BODY_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"
#include "netpolicy.h"
#include "terms.h"

/* What may be asked for at most; 0: that cannot be limited here. */
struct body_session_limits {
    struct portion most;
    double timeout, idle_timeout, ttl; /* seconds */
};

enum {
    BODY_ENV_VARIABLES = 64,   /* of a session */
    BODY_ENV_BYTES = 32 << 10, /* names and values together */
    BODY_LEAST_MEMORY_MB = 64, /* with less no kernel starts */
    BODY_LEAST_PIDS = 16,
};

/* A checked body; its strings belong to json. */
struct body_session {
    json_t *json;
    const char *user;              /* NULL: one is to be drawn */
    const char *files_from;        /* NULL: not said */
    const char *kernel, *language; /* NULL: not said; never both */
    enum network_mode network;
    bool has_strategy;
    double ttl;         /* seconds; 0: not said */
    struct terms terms; /* without expires_ms */
};

/* As body_parse_execute. */
int body_session_parse(const char *text, size_t len, const struct body_session_limits *,
                       struct body_session *out, struct err *) must_check;
/* ttl and idle_timeout; *forever: ttl is null. */
int body_session_parse_patch(const char *text, size_t len, const struct body_session_limits *,
                             struct body_session *out, bool *forever, struct err *) must_check;
/* What a session is to have more of: {"packages", "stream"?}.  *packages: a new array (requirement.h). */
int body_packages_parse(const char *text, size_t len, json_t **packages, bool *stream,
                        struct err *) must_check;
void body_session_clear(struct body_session *); /* idempotent */

#endif
