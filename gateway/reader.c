/*
 * reader.c - a recursive descent over the grammar of RFC 8259.
 *
 * Each read_ function stands on the first byte of what it reads and leaves r->p behind its last one.  With a
 * NULL out it only checks.  -1 means that r->fault says why.
 */
#include "reader.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

enum { UPPER_LEVELS = 3 }; /* a message's content, what is in it, what is in that: data, by type */

struct reader {
    const char *p, *end;
    unsigned depth;
    size_t values, deep_values;
    char *scratch; /* of a string with escapes, or of a number */
    size_t scratch_size;
    const char *fault;
};

static int read_value(struct reader *, json_t **out);

static int
fault(struct reader *r, const char *why)
{
    if (r->fault == NULL)
        r->fault = why;
    return -1;
}

static void
reserve(struct reader *r, size_t size)
{
    if (size <= r->scratch_size)
        return;
    free(r->scratch); /* nothing in it is of use any more */
    r->scratch = xnotnull(malloc(size));
    r->scratch_size = size;
}

static void
skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

/* The next byte that is not space, which stays to be read; '\0' at the end. */
static char
peek(struct reader *r)
{
    skip_space(r);
    return r->p < r->end ? *r->p : '\0';
}

static bool
skip_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return false;
    r->p += len;
    return true;
}

/* --- strings --- */

/* Bytes from p on that stand for themselves. */
static size_t
plain_prefix(const char *p, const char *end)
{
    const char *start = p;
    size_t used;

    while (p < end) {
        if ((uint8_t)*p >= 0x80) {
            if (utf8_next(p, (size_t)(end - p), &used) != UTF8_CHAR)
                break;
            p += used;
        } else if ((uint8_t)*p < 0x20 || *p == '"' || *p == '\\')
            break;
        else
            p++;
    }
    return (size_t)(p - start);
}

/* Bytes up to the quote that ends the string; up to the end of the text if none does. */
static size_t
raw_length(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && *p != '"')
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return (size_t)(p - start);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX at p; -1 if it is not there. */
static long
unicode_escape(const char *p, const char *end)
{
    long code = 0;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

static size_t
put_char(char *out, unsigned long code)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(len == 1 ? code : lead[len] | code);
    return len;
}

/* One \uXXXX, or two that are one character. */
static int
read_unicode_escape(struct reader *r, char **out)
{
    long code = unicode_escape(r->p, r->end), low;

    if (code < 0)
        return fault(r, "a bad \\u escape");
    r->p += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        low = unicode_escape(r->p, r->end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            r->p += 6;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (code >= 0xd800 && code <= 0xdfff)
        code = 0xfffd; /* half a pair */
    *out += put_char(*out, (unsigned long)code);
    return 0;
}

static int
read_escape(struct reader *r, char **out)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *name;

    if (r->end - r->p < 2)
        return fault(r, "a string without end");
    if (r->p[1] == 'u')
        return read_unicode_escape(r, out);
    name = memchr(names, r->p[1], sizeof(names) - 1);
    if (name == NULL)
        return fault(r, "a bad escape");
    *(*out)++ = meanings[name - names];
    r->p += 2;
    return 0;
}

/* A piece of a string, none of which is its closing quote, put behind *out. */
static int
read_piece(struct reader *r, char **out)
{
    size_t n = plain_prefix(r->p, r->end), used;

    memcpy(*out, r->p, n);
    *out += n;
    r->p += n;
    if (r->p == r->end)
        return fault(r, "a string without end");
    if (*r->p == '"')
        return 0;
    if (*r->p == '\\')
        return read_escape(r, out);
    if ((uint8_t)*r->p < 0x20)
        return fault(r, "a control character in a string");
    utf8_next(r->p, (size_t)(r->end - r->p), &used);
    r->p += used;
    *out += put_char(*out, 0xfffd);
    return 0;
}

/* The text of a string: in the frame itself, or decoded in scratch until the next string or number. */
static int
read_text(struct reader *r, const char **text, size_t *len)
{
    size_t n;
    char *out;

    r->p++; /* the quote */
    n = plain_prefix(r->p, r->end);
    if (r->p + n < r->end && r->p[n] == '"') {
        *text = r->p;
        *len = n;
        r->p += n + 1;
        return 0;
    }
    reserve(r, 3 * raw_length(r->p, r->end) + 4); /* one invalid byte becomes three */
    out = r->scratch;
    while (r->p == r->end || *r->p != '"')
        if (read_piece(r, &out) < 0)
            return -1;
    r->p++;
    *text = r->scratch;
    *len = (size_t)(out - r->scratch);
    return 0;
}

static int
read_string(struct reader *r, json_t **out)
{
    const char *text;
    size_t len;

    if (read_text(r, &text, &len) < 0)
        return -1;
    if (out)
        *out = xnotnull(json_stringn_nocheck(text, len));
    return 0;
}

/* A copy of what is in scratch, which the member's value will need; without NULs, which few keys are read with. */
static char *
keep_key(const char *text, size_t len, size_t *out_len)
{
    char *key = xnotnull(malloc(3 * len + 1)), *out = key;

    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0')
            out += put_char(out, 0xfffd);
        else
            *out++ = text[i];
    *out_len = (size_t)(out - key);
    return key;
}

/* *owned is what the caller frees, NULL when the key is in the frame. */
static int
read_key(struct reader *r, const char **key, size_t *len, char **owned)
{
    if (read_text(r, key, len) < 0)
        return -1;
    if (*key == r->scratch)
        *key = *owned = keep_key(*key, *len, len);
    return 0;
}

/* --- numbers --- */

static size_t
digits(const char *p, const char *end)
{
    const char *start = p;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return (size_t)(p - start);
}

/* Bytes of the number at p, 0 if there is none; *integer tells which kind. */
static size_t
number_length(const char *p, const char *end, bool *integer)
{
    const char *start = p;
    size_t n;

    *integer = true;
    p += p < end && *p == '-';
    n = digits(p, end);
    if (n == 0 || (n > 1 && *p == '0'))
        return 0;
    p += n;
    if (p < end && *p == '.') {
        *integer = false;
        n = digits(++p, end);
        if (n == 0)
            return 0;
        p += n;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *integer = false;
        p++;
        p += p < end && (*p == '+' || *p == '-');
        n = digits(p, end);
        if (n == 0)
            return 0;
        p += n;
    }
    return (size_t)(p - start);
}

static json_t *
number_value(const char *text, bool integer)
{
    double real;

    errno = 0;
    if (integer) {
        long long n = strtoll(text, NULL, 10);

        if (errno == 0)
            return xnotnull(json_integer(n));
    }
    real = strtod(text, NULL);
    return isfinite(real) ? xnotnull(json_real(real)) : json_null();
}

static int
read_number(struct reader *r, json_t **out)
{
    bool integer;
    size_t len = number_length(r->p, r->end, &integer);

    if (len == 0)
        return fault(r, "an unknown word");
    if (out) {
        reserve(r, len + 1);
        memcpy(r->scratch, r->p, len);
        r->scratch[len] = '\0';
        *out = number_value(r->scratch, integer);
    }
    r->p += len;
    return 0;
}

static int
read_word(struct reader *r, json_t **out)
{
    json_t *value;

    if (skip_word(r, "true"))
        value = json_true();
    else if (skip_word(r, "false"))
        value = json_false();
    else if (skip_word(r, "null") || skip_word(r, "NaN") || skip_word(r, "Infinity") ||
             skip_word(r, "-Infinity"))
        value = json_null();
    else
        return read_number(r, out);
    if (out)
        *out = value;
    return 0;
}

/* --- containers --- */

/* Reads an element into *element, or over it: then that is NULL. */
static int
read_element(struct reader *r, bool keep, json_t **element)
{
    bool upper = r->depth < UPPER_LEVELS; /* the containers around it, and itself */

    *element = NULL;
    if (upper && ++r->values > READER_MAX_VALUES)
        return fault(r, "too many values");
    if (!upper && keep && ++r->deep_values > READER_MAX_DEEP_VALUES)
        keep = false;
    return read_value(r, keep ? element : NULL);
}

/* After an element: 1 if another one follows, 0 at the end of the container. */
static int
read_separator(struct reader *r, char close)
{
    char c = peek(r);

    if (c != ',' && c != close)
        return fault(r, r->p == r->end ? "it ends too early" : "a missing comma");
    r->p++;
    return c == ',';
}

static int
read_member(struct reader *r, json_t *object)
{
    cleanup_free char *owned = NULL;
    const char *key;
    size_t len;
    json_t *value;

    if (peek(r) != '"')
        return fault(r, "a missing key");
    if (read_key(r, &key, &len, &owned) < 0)
        return -1;
    if (peek(r) != ':')
        return fault(r, "a missing colon");
    r->p++;
    if (read_element(r, object != NULL, &value) < 0) {
        json_decref(value);
        return -1;
    }
    if (value)
        json_object_setn_new_nocheck(object, key, len, value);
    return 0;
}

static int
read_item(struct reader *r, json_t *array)
{
    json_t *value;

    if (read_element(r, array != NULL, &value) < 0) {
        json_decref(value);
        return -1;
    }
    if (value)
        json_array_append_new(array, value);
    return 0;
}

static int
read_members(struct reader *r, json_t *container, char close,
             int (*read_one)(struct reader *, json_t *))
{
    int more = 1;

    r->p++; /* the bracket */
    if (peek(r) == close) {
        r->p++;
        return 0;
    }
    while (more > 0) {
        if (read_one(r, container) < 0)
            return -1;
        more = read_separator(r, close);
    }
    return more;
}

static int
read_container(struct reader *r, json_t **out)
{
    bool object = *r->p == '{';
    json_t *container = NULL;
    int rc;

    if (r->depth == READER_MAX_DEPTH)
        return fault(r, "too many levels");
    if (out)
        *out = container = xnotnull(object ? json_object() : json_array());
    r->depth++;
    rc = object ? read_members(r, container, '}', read_member)
                : read_members(r, container, ']', read_item);
    r->depth--;
    return rc;
}

/* On failure *out may hold a part, which the caller drops. */
static int
read_value(struct reader *r, json_t **out)
{
    switch (peek(r)) {
    case '{':
    case '[':
        return read_container(r, out);
    case '"':
        return read_string(r, out);
    default:
        return r->p == r->end ? fault(r, "it ends too early") : read_word(r, out);
    }
}

json_t *
reader_object(const void *text, size_t len, const char *what, struct err *err)
{
    struct reader r = {.p = text, .end = (const char *)text + len};
    json_t *value = NULL;

    if (peek(&r) != '{')
        fault(&r, "it is not an object");
    else if (read_value(&r, &value) == 0 && (skip_space(&r), r.p != r.end))
        fault(&r, "more than one value");
    free(r.scratch);
    if (r.fault == NULL)
        return value;
    json_decref(value);
    err_set(err, ERR_PEER, "%s is not JSON: %s at byte %zu", what, r.fault,
            (size_t)(r.p - (const char *)text));
    return NULL;
}
