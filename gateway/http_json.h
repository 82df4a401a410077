/*
 * http_json.h - answers of JSON, and what an error is answered with: its status, and under /v1 its code.  Part of http.h.
 *
 * The door decides what an error looks like, so that whoever answers need not care.  Everywhere but under /v1 it is
 * {"detail", "field"?}; there it is {"error": {"code", "message", "field"?, "session_id"?}} with one of the codes of the
 * table in http_json.c.
 */
#ifndef GATEWAY_HTTP_JSON_H
#define GATEWAY_HTTP_JSON_H

#include <jansson.h>

#include "err.h"
#include "http.h"

/* The request is gone after each of them.  Takes body. */
void http_reply_json(struct http_request *, int status, json_t *body);

/* An error with a status of the caller's choice. */
void http_reply_status(struct http_request *, int status, const char *detail);

/* ... and of code, where the status has several. */
void http_reply_code(struct http_request *, int status, const char *code, const char *detail,
                     json_t *more);

/* With the status that belongs to err->code, and Retry-After where waiting helps.  more: members that stand beside the message
 * (taken; NULL: none). */
void http_reply_error(struct http_request *, const struct err *, json_t *more);

/* The status that an error is answered with. */
int http_status_of(enum err_code);

/* Its code under /v1. */
const char *http_code_of(enum err_code);

/* Retry-After, of an answer to come. */
void http_retry_after(struct http_request *, unsigned seconds);

/* What http_reply_status would send to a request with that target (NULL: it is not known); a new string. */
char *http_error_text(const char *target, int status, const char *detail) must_check;

#endif
