/* body.h - the JSON bodies of requests: parsed, checked field by field, and nothing else.  Pure. */
#ifndef GATEWAY_BODY_H
#define GATEWAY_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "allowance.h"
#include "err.h"
#include "mem.h"
#include "netpolicy.h"

#define BODY_USER_MAX 128 /* characters of a user_uuid */
#define BODY_NAME_MAX 64  /* ... of a kernel's or language's name */

struct body_limits {
    size_t max_code;    /* bytes of UTF-8 */
    double max_timeout; /* seconds */
    struct allowance
        most; /* that an execution can be limited to; none: it cannot be limited here */
};

/* A checked request; its strings belong to json. */
struct body {
    json_t *json;
    const char *user; /* 1-128 of A-Z a-z 0-9 . _ : @ - */
    const char *code; /* may contain NUL */
    size_t code_len;
    double timeout;          /* seconds; the limit if the body has none */
    struct allowance limits; /* what the body says of them */
    enum network_mode network;
    const char *key; /* id of the API key whose session it is; NULL = the caller's own */
};

/*
 * On failure -1 with ERR_BAD_REQUEST or ERR_TOO_LARGE, err->field naming the field if it is one's fault, and
 * *out cleared.
 */
int body_parse_execute(const char *text, size_t len, const struct body_limits *, struct body *out,
                       struct err *) must_check;
int body_parse_release(const char *text, size_t len, struct body *out, struct err *) must_check;
/* A new object; NULL: the text is none, or has something twice, or very much in it (ERR_BAD_REQUEST). */
json_t *body_object(const char *text, size_t len, struct err *) must_check;

/* ERR_BAD_REQUEST with the field, behind the prefix, where the object has one that is none of these; NULL ends them. */
int body_check_fields(const json_t *object, const char *prefix, const char *const names[],
                      struct err *) must_check;

/* Whether it is a user_uuid. */
bool body_is_user(const char *);

void body_clear(struct body *); /* idempotent */

/* --- for body_run.c ----------------------------------------------------------------------- */

/* Parses an object, checks that it has no fields but these (NULL ends them), and takes code, timeout, cpu and memory_mb. */
int body_load(const char *text, size_t len, struct body *out, struct err *) must_check;
int body_only(const struct body *, const char *const names[], struct err *) must_check;
int body_take_code(struct body *, size_t max, struct err *) must_check;
int body_take_limits(struct body *, const struct body_limits *, struct err *) must_check;

#endif
