/* sift.c - see sift.h.  The sequences are those of ECMA-48. */
#include "sift.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "gateway/mem.h"
#include "outlet.h"

/* Finals of control sequences with numbers only: moves, erasing, inserting, deleting, scrolling; m: colours. */
static const char finals[] = "@ABCDEFGHJKLMPSTXZdfmsu";

static char *
put(char *out, const char *bytes, size_t len)
{
    memcpy(out, bytes, len);
    return out + len;
}

/* Keeps a byte of what may pass. */
static void
hold(struct sift *s, char c)
{
    if (s->len < SIFT_HELD)
        s->held[s->len] = c;
    s->len++;
}

static void
begin(struct sift *s, int state, char c)
{
    s->state = state;
    s->len = 0;
    hold(s, c);
}

/* "ESC [ numbers final", or the cursor shown and hidden. */
static bool
is_harmless(const struct sift *s)
{
    const size_t n = s->len - 3; /* of the parameters */
    const char final = s->held[s->len - 1];

    for (size_t i = 2; i + 1 < s->len; i++)
        if (strchr("0123456789;:", s->held[i]) == NULL)
            return n == 3 && memcmp(s->held + 2, "?25", 3) == 0 && (final == 'h' || final == 'l');
    return strchr(finals, final) != NULL;
}

static char *
take_text(struct sift *s, char c, char *out)
{
    if (c == '\033')
        begin(s, SIFT_ESCAPE, c);
    else if (c == '\xc2')
        begin(s, SIFT_C2, c);
    else if (((unsigned char)c >= ' ' && c != '\177') || (c && strchr("\a\b\t\n\v\f\r", c)))
        *out++ = c;
    return out;
}

/* The byte after ESC. */
static char *
take_escape(struct sift *s, char c, char *out)
{
    if (c == '[') {
        hold(s, c);
        s->state = SIFT_CSI;
    } else if (c && strchr("]PX^_", c)) {
        s->state = SIFT_STRING;
    } else if (c >= ' ' && c <= '/') {
        s->state = SIFT_OTHER;
    } else {
        s->state = SIFT_TEXT;
        if (c == '7' || c == '8') /* the cursor's place, kept and taken again */
            out = put(put(out, s->held, s->len), &c, 1);
        else if (c < '0' || c > '~')
            out = take_text(s, c, out);
    }
    return out;
}

/* Anything else than its bytes breaks it off. */
static char *
take_csi(struct sift *s, char c, char *out)
{
    if (c >= ' ' && c <= '?') {
        hold(s, c);
        return out;
    }
    s->state = SIFT_TEXT;
    if (c < '@' || c > '~')
        return take_text(s, c, out);
    hold(s, c);
    return s->len <= SIFT_HELD && is_harmless(s) ? put(out, s->held, s->len) : out;
}

static char *
take_other(struct sift *s, char c, char *out)
{
    if (c >= ' ' && c <= '/')
        return out;
    s->state = SIFT_TEXT;
    return c >= '0' && c <= '~' ? out : take_text(s, c, out);
}

/* Up to BEL or ST; CAN and SUB break it off, and so does another sequence. */
static void
take_string(struct sift *s, char c)
{
    if (c == '\033')
        begin(s, SIFT_STRING_ESCAPE, c);
    else if (c == '\a' || c == '\030' || c == '\032')
        s->state = SIFT_TEXT;
}

static char *
take_string_escape(struct sift *s, char c, char *out)
{
    if (c != '\\')
        return take_escape(s, c, out);
    s->state = SIFT_TEXT;
    return out;
}

/* 0x80 to 0x9f, as UTF-8 has them, are control characters. */
static char *
take_c2(struct sift *s, char c, char *out)
{
    s->state = SIFT_TEXT;
    if ((unsigned char)c >= 0x80 && (unsigned char)c < 0xa0)
        return out;
    *out++ = s->held[0];
    return take_text(s, c, out);
}

static char *
take(struct sift *s, char c, char *out)
{
    switch (s->state) {
    case SIFT_TEXT:
        return take_text(s, c, out);
    case SIFT_ESCAPE:
        return take_escape(s, c, out);
    case SIFT_CSI:
        return take_csi(s, c, out);
    case SIFT_OTHER:
        return take_other(s, c, out);
    case SIFT_STRING:
        take_string(s, c);
        return out;
    case SIFT_STRING_ESCAPE:
        return take_string_escape(s, c, out);
    case SIFT_C2:
        return take_c2(s, c, out);
    }
    return out;
}

size_t
sift_text(struct sift *s, const char *text, size_t len, char *out)
{
    char *end = out;

    for (size_t i = 0; i < len; i++)
        end = take(s, text[i], end);
    return (size_t)(end - out);
}

void
sift_write(struct sift *s, const char *text, size_t len, FILE *file)
{
    cleanup_free char *sifted = NULL;

    if (isatty(fileno(file))) {
        sifted = xcalloc(len + SIFT_HELD, 1);
        len = sift_text(s, text, len, sifted);
        text = sifted;
    }
    outlet_put(file, text, len);
}
