/* http_json.h - answers of JSON, and which status an error is answered with.  Part of http.h. */
#ifndef GATEWAY_HTTP_JSON_H
#define GATEWAY_HTTP_JSON_H

#include <jansson.h>

#include "err.h"
#include "http.h"

/* The request is gone after each of them.  Takes body. */
void http_reply_json(struct http_request *, int status, json_t *body);

/* {"detail": ...} with a status of the caller's choice. */
void http_reply_status(struct http_request *, int status, const char *detail);

/* {"detail", "field"?} and more's members (taken; NULL: none), with the status that belongs to err->code, and Retry-After
 * where waiting helps. */
void http_reply_error(struct http_request *, const struct err *, json_t *more);

/* The status that an error is answered with. */
int http_status_of(enum err_code);

/* Retry-After, of an answer to come. */
void http_retry_after(struct http_request *, unsigned seconds);

#endif
