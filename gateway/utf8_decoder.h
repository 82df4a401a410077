/*
 * utf8_decoder.h - UTF-8 that comes in pieces, made valid: a character split over two pieces is put together, what is none
 * becomes U+FFFD.  Pure.  Part of utf8.h.
 */
#ifndef GATEWAY_UTF8_DECODER_H
#define GATEWAY_UTF8_DECODER_H

#include <stddef.h>
#include <stdint.h>

/* All zero at first. */
struct utf8_decoder {
    uint8_t held[4]; /* the beginning of a character */
    size_t n_held;
};

/* Gets whole characters, in order; text is borrowed for the call. */
typedef void utf8_sink_fn(void *owner, const char *text, size_t len);

void utf8_decode(struct utf8_decoder *, const void *data, size_t len, utf8_sink_fn *, void *owner);

/* Nothing more comes: what is held is no character. */
void utf8_decode_end(struct utf8_decoder *, utf8_sink_fn *, void *owner);

#endif
