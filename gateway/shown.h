/*
 * shown.h - what a message of a kernel shows, in the form that the API gives it: one object for the list of outputs, for an
 * event, and for the record.  Pure.
 *
 *   stdout, stderr        {"text"}
 *   result                {"text": string|null, "value"?, "data": {type: content}, "metadata": {}}
 *   display, update       {"data": {type: content}, "metadata": {}, "display_id": string|null}
 *   clear                 {"wait"}
 *   error                 {"ename", "evalue", "traceback": [string]}
 *
 * data is the complete bundle of MIME types; images in it are base64 without line breaks.  A result's value is its
 * application/json, or what its text/plain means as JSON.
 */
#ifndef GATEWAY_SHOWN_H
#define GATEWAY_SHOWN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

enum shown {
    SHOWN_NOTHING,
    SHOWN_STDOUT,
    SHOWN_STDERR,
    SHOWN_RESULT,
    SHOWN_DISPLAY,
    SHOWN_UPDATE,
    SHOWN_CLEAR,
    SHOWN_ERROR,
};

enum { SHOWN_MAX_VALUE = 64 << 10 }; /* bytes of a text/plain that is looked at as JSON */

/*
 * content is borrowed and as wire_decode makes it; parts of it may become parts of the new object *what, which is NULL for
 * SHOWN_NOTHING: another type of message, or an unexpected shape.  An error is cut as output_error.h says, which makes
 * *truncated true.
 */
enum shown shown_from(const char *msg_type, const json_t *content, json_t **what, bool *truncated);

/* The error of a reply, or of a kernel that refused to run the code. */
json_t *shown_error_of_reply(const json_t *reply_content, bool *truncated) must_check;

/* {"text"} of text that came by descriptor 1 or 2. */
json_t *shown_text(const char *text, size_t len) must_check;

/* The name of it as an event: "stdout", "update_display" and so on; static. */
const char *shown_name(enum shown);

/* About the bytes of memory of a value: strings, keys and something for each value. */
size_t shown_size(const json_t *);

#endif
