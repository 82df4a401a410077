/* fuzz.c - see fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/mem.h"

void
fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

char *
fuzz_next(struct fuzz_input *in, char separator, size_t *len)
{
    const uint8_t *end;
    char *piece;

    if (in->size == 0)
        return NULL;
    end = memchr(in->data, separator, in->size);
    *len = end ? (size_t)(end - in->data) : in->size;
    piece = xnotnull(malloc(*len + (*len == 0)));
    memcpy(piece, in->data, *len);
    in->data += *len + (end != NULL);
    in->size -= *len + (end != NULL);
    return piece;
}

char *
fuzz_text(const char *piece, size_t len)
{
    char *text = xnotnull(malloc(len + 1));

    memcpy(text, piece, len);
    text[len] = '\0';
    return text;
}
