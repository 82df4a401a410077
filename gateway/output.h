/*
 * output.h - collects what one execution shows and makes the answer of POST /execute from it.
 * Pure: no sockets, no event loop.
 *
 * Text is every stream text and the text/plain of execute_result, concatenated in order of arrival;
 * after an exception the plain traceback (no ANSI codes) follows, on a line of its own.  Of several
 * exceptions shown, the last is the error, and the ones before are text where the next one came.
 *
 * Images are the image/png of display_data and execute_result, in order; update_display_data replaces what
 * has the same display_id in its place; displays without a PNG are kept as their text/plain.  Line breaks
 * inside base64 are removed, and what is not base64 then is no PNG.
 *
 * clear_output forgets all that came before (with wait=true: once the next output comes), an error included.
 */
#ifndef GATEWAY_OUTPUT_H
#define GATEWAY_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mem.h"

#define OUTPUT_GAP "\n[… output left out …]\n" /* the line where the worker left something out */

enum {
    OUTPUT_MAX_ITEMS = 1000,      /* images and displays kept */
    OUTPUT_GAP_MAX = 32,          /* bytes of the line where the worker left something out */
    OUTPUT_MAX_ERROR = 256 << 10, /* bytes kept of an error: ename, evalue, traceback together */
};

struct output;

/*
 * max_bytes bounds text, images (as base64) and displays together, as far as they are kept: what is cleared or
 * replaced gives its bytes back.  Text that would exceed it is cut after its last character that fits, and no
 * more text is taken then; an image or display is dropped whole.  Both mark truncation.  An error has its own
 * bound, so that output without end does not hide why it ended.
 */
struct output *output_new(size_t max_bytes);
void output_free(struct output *); /* accepts NULL */

/*
 * One iopub message: stream, execute_result, display_data, update_display_data, clear_output, error.
 * Other types and contents of an unexpected shape are ignored.  content is borrowed; its strings are valid
 * UTF-8, as wire_decode makes them.
 */
void output_message(struct output *, const char *msg_type, const json_t *content);

/*
 * Raw bytes from file descriptor 1 or 2 of the kernel's processes.  UTF-8 split over two calls is put
 * together (each descriptor by itself); invalid bytes become U+FFFD.
 */
void output_raw(struct output *, int fd, const void *data, size_t len);

/* The worker has dropped output: what comes from now on is the last of it.  A line between says so in the text. */
void output_mark_truncated(struct output *);
bool output_is_truncated(const struct output *);
size_t output_bytes(const struct output *); /* bytes taken in so far, dropped ones included */

/*
 * The error that came with the reply: what is reported if none is there from iopub, which may bring the same one
 * before or after it.  A reply that names no exception says that the kernel did not run the code.
 */
void output_set_error(struct output *, const json_t *reply_content);

/*
 * A new object: {"result_text": string|null, "result_base64": string|null (the last image),
 * "images": [{"type":"image/png","data":base64}], "displays": [string], "truncated": bool,
 * "error": null|{"ename","evalue","traceback":[string]}}.  The output is empty afterwards.
 */
json_t *output_take(struct output *) must_check;

#endif
