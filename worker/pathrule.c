/* pathrule.c - see pathrule.h. */
#include "pathrule.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

static bool
is_component(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX)
        return false;
    return name[0] != '.' || (len != 1 && (len != 2 || name[1] != '.'));
}

bool
pathrule_allows(const char *path)
{
    if (path[0] == '\0')
        return true;
    if (strlen(path) > PATHRULE_MAX)
        return false;
    for (;;) {
        const size_t len = strcspn(path, "/");

        if (!is_component(path, len))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

void
pathrule_encode(const char *path, char cursor[PATHRULE_CURSOR_MAX + 1])
{
    char *out = cursor;

    *out++ = '/';
    for (const char *p = path; *p; p++) {
        const uint8_t byte = (uint8_t)*p;

        if (byte < 0x80 && byte != '~') {
            *out++ = *p;
            continue;
        }
        *out++ = '~';
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 0xf];
    }
    *out = '\0';
}

/* A byte of the encoded form, of which *text is moved on; 0: it is none. */
static uint8_t
take_byte(const char **text)
{
    const char *p = *text, *high, *low;

    if (*p != '~') {
        ++*text;
        return (uint8_t)*p < 0x80 ? (uint8_t)*p : 0;
    }
    high = p[1] ? strchr(digits, p[1]) : NULL;
    low = high && p[2] ? strchr(digits, p[2]) : NULL;
    if (low == NULL)
        return 0;
    *text += 3;
    return (uint8_t)((high - digits) << 4 | (low - digits));
}

bool
pathrule_decode(const char *cursor, char path[PATHRULE_MAX + 1])
{
    const bool encoded = cursor[0] == '/';
    size_t len = 0;

    for (const char *p = cursor + encoded; *p; len++) {
        path[len] = encoded ? (char)take_byte(&p) : *p++;
        if (path[len] == '\0' || len == PATHRULE_MAX)
            return false;
    }
    path[len] = '\0';
    return (len > 0 || !encoded) && pathrule_allows(path);
}
