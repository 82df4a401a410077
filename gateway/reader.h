/*
 * reader.h - reads JSON as kernels send it, in one pass, into jansson values.  Pure.
 *
 * A kernel's JSON carries what user code has made: text of any bytes, numbers of any size, data of any
 * amount.  What such code can do to it without the kernel being at fault is mended, not refused:
 *
 *   invalid UTF-8, lone surrogate escapes   U+FFFD
 *   a NUL character                         kept (use json_string_length); in a key U+FFFD
 *   NaN, infinities, too large reals        null
 *   integers beyond 64 bits                 reals
 *   a key that comes twice                  the last value stays
 *   values below the third level            left out after the first READER_MAX_DEEP_VALUES
 *
 * Anything else that is not JSON is an error.  The memory of the result is bounded by a small multiple of
 * its text's size, whatever the text is: json_loadb makes a hundred bytes and more of an empty array.
 */
#ifndef GATEWAY_READER_H
#define GATEWAY_READER_H

#include <jansson.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"

enum {
    READER_MAX_DEPTH = 512,          /* levels of nesting; more is an error */
    READER_MAX_VALUES = 100000,      /* values on the upper three levels; more is an error */
    READER_MAX_DEEP_VALUES = 100000, /* values below that are kept */
};

/*
 * A new object, or NULL with ERR_PEER when text is not one; `what` names it in the message, which contains
 * nothing of the text.
 */
json_t *reader_object(const void *text, size_t len, const char *what, struct err *) must_check;

#endif
