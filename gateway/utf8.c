/* utf8.c - see utf8.h. */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins with `lead`; 0 when none does. */
static size_t
sequence_length(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The second byte is where overlong forms, surrogates and too large numbers are told apart. */
static int
may_follow(uint8_t lead, size_t index, uint8_t byte)
{
    uint8_t low = 0x80, high = 0xbf;

    if (index == 1 && lead == 0xe0)
        low = 0xa0;
    else if (index == 1 && lead == 0xed)
        high = 0x9f;
    else if (index == 1 && lead == 0xf0)
        low = 0x90;
    else if (index == 1 && lead == 0xf4)
        high = 0x8f;
    return byte >= low && byte <= high;
}

enum utf8_kind
utf8_next(const void *s, size_t len, size_t *used)
{
    const uint8_t *p = s;
    size_t need = sequence_length(p[0]);

    *used = 1;
    if (need == 0)
        return UTF8_INVALID;
    for (; *used < need; ++*used) {
        if (*used == len)
            return UTF8_PARTIAL;
        if (!may_follow(p[0], *used, p[*used]))
            return UTF8_INVALID;
    }
    return UTF8_CHAR;
}

/* Most text is ASCII, and that is recognised eight bytes at a time. */
static size_t
ascii_prefix(const uint8_t *p, size_t len)
{
    size_t i = 0;
    uint64_t word;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < len && p[i] < 0x80)
        i++;
    return i;
}

size_t
utf8_valid_prefix(const void *s, size_t len)
{
    const uint8_t *p = s;
    size_t done = 0, used;

    while (done < len) {
        done += ascii_prefix(p + done, len - done);
        if (done == len || utf8_next(p + done, len - done, &used) != UTF8_CHAR)
            break;
        done += used;
    }
    return done;
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    while (max > 0 && ((uint8_t)s[max] & 0xc0) == 0x80)
        max--;
    return max;
}

void
utf8_make_valid(char *text)
{
    size_t len = strlen(text), used;

    for (size_t i = utf8_valid_prefix(text, len); i < len; i += used)
        if (utf8_next(text + i, len - i, &used) != UTF8_CHAR)
            memset(text + i, '?', used);
}
