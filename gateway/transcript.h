/*
 * transcript.h - what one execution has shown, in order, as an answer of /v1 gives it.  Pure.
 *
 * Text that follows text of the same stream is one output with it.  An update replaces, in its place, what has the same
 * display_id; clear_output forgets all that came before, with wait once the next output comes.  The last error is the
 * execution's; all of them are outputs.
 */
#ifndef GATEWAY_TRANSCRIPT_H
#define GATEWAY_TRANSCRIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mem.h"
#include "shown.h"

enum { TRANSCRIPT_MAX_OUTPUTS = 10000 };

struct transcript;

/*
 * max_bytes bounds what is kept, as shown_size counts it; errors have a bound of their own each (OUTPUT_MAX_ERROR), and there are
 * no more than TRANSCRIPT_MAX_OUTPUTS outputs, the last of them a result or an error.  Text that would exceed it is cut after its
 * last character that fits, and no more text is taken then; anything else is dropped whole.  Both mark truncation.
 */
struct transcript *transcript_new(size_t max_bytes);
void transcript_free(struct transcript *); /* accepts NULL */

/* what is borrowed; parts of it may be kept. */
void transcript_add(struct transcript *, enum shown, json_t *what);

/* Something was left out by others; gap: output, before what comes next, of which a line in the text says so. */
void transcript_mark_truncated(struct transcript *, bool gap);

/* The error that came with the reply, taken: what is reported if none was shown. */
void transcript_set_error(struct transcript *, json_t *error);

bool transcript_has_error(const struct transcript *);

/*
 * Into an object: "stdout", "stderr", "result": null|{"text", "value"?}, "outputs": [{"type", ...as shown.h}],
 * "error": null|{...}, "truncated".  The transcript is empty afterwards.
 */
void transcript_take(struct transcript *, json_t *into);

#endif
