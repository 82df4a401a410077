/*
 * utf8.h - UTF-8 as Unicode defines it (chapter 3.9, table 3-7): no overlong forms, no surrogates, nothing above
 * U+10FFFF.  Pure.
 */
#ifndef GATEWAY_UTF8_H
#define GATEWAY_UTF8_H

#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, what an invalid sequence is replaced with */

enum utf8_kind {
    UTF8_CHAR,    /* a character */
    UTF8_INVALID, /* bytes that no character begins with, for one U+FFFD together */
    UTF8_PARTIAL, /* all there is, and more bytes may make it a character */
};

/* What s (len > 0) begins with; *used is the number of its bytes, at least 1. */
enum utf8_kind utf8_next(const void *s, size_t len, size_t *used);

/* Bytes of the longest prefix that is valid. */
size_t utf8_valid_prefix(const void *s, size_t len);

/* Bytes of the longest prefix of valid text that has at most max and ends with a character. */
size_t utf8_cut(const char *s, size_t len, size_t max);

/* Text that has been cut anywhere, or was none: each byte that is of no character becomes '?'. */
void utf8_make_valid(char *text);

#endif
