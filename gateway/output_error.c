#include "output_error.h"

#include <stdio.h>
#include <string.h>

#include "output.h"
#include "utf8.h"

/* The parts of an error; together OUTPUT_MAX_ERROR bytes. */
enum {
    ENAME_MAX = 1024,
    EVALUE_MAX = OUTPUT_MAX_ERROR / 4,
};

/* What the making of one error costs. */
struct account {
    size_t left; /* bytes that may be kept still */
    size_t seen;
    bool truncated;
};

/* --- to size ------------------------------------------------------------------------------ */

/* Copies at most max bytes of a string, "" of anything else; the account, which has as many left, pays. */
static json_t *
cut_string(struct account *a, const json_t *string, size_t max)
{
    const char *s = json_is_string(string) ? json_string_value(string) : "";
    size_t len = json_string_length(string);
    size_t fits = utf8_cut(s, len, max);

    a->seen += len;
    a->left -= fits;
    if (fits < len)
        a->truncated = true;
    return xnotnull(json_stringn_nocheck(s, fits));
}

static json_t *
cut_traceback(struct account *a, const json_t *lines)
{
    json_t *out = xnotnull(json_array()), *line;
    size_t i;

    json_array_foreach ((json_t *)lines, i, line) {
        if (!json_is_string(line))
            continue;
        if (a->left == 0) {
            a->truncated = true;
            break;
        }
        a->left--; /* the line break: empty lines must cost something */
        json_array_append_new(out, cut_string(a, line, a->left));
    }
    return out;
}

json_t *
output_error_new(const json_t *content, size_t *seen, bool *truncated)
{
    struct account a = {.left = OUTPUT_MAX_ERROR};
    json_t *error = xnotnull(json_object());

    json_object_set_new(error, "ename",
                        cut_string(&a, json_object_get(content, "ename"), ENAME_MAX));
    json_object_set_new(error, "evalue",
                        cut_string(&a, json_object_get(content, "evalue"), EVALUE_MAX));
    json_object_set_new(error, "traceback",
                        cut_traceback(&a, json_object_get(content, "traceback")));
    *seen += a.seen;
    *truncated |= a.truncated;
    return error;
}

json_t *
output_error_refusal(void)
{
    return xnotnull(json_pack("{s:s, s:s, s:[]}", "ename", "KernelError", "evalue",
                              "the kernel did not run the code", "traceback"));
}

/* --- as text ------------------------------------------------------------------------------ */

/* A terminal's control sequence at s, which begins with ESC: its bytes (ECMA-48, 5.3, 5.4, 5.6). */
static size_t
escape_length(const char *s, size_t len)
{
    static const char strings[] = {']', 'P', 'X', '^', '_'};
    size_t i = 2;

    if (len < 2)
        return len;
    if (s[1] == '[') {
        while (i < len && s[i] >= 0x20 && s[i] <= 0x3f)
            i++;
        return i < len && s[i] >= 0x40 && s[i] <= 0x7e ? i + 1 : i;
    }
    /* A string; one without an end must not take the rest with it. */
    if (memchr(strings, s[1], sizeof(strings))) {
        while (i < len && s[i] != '\a' && s[i] != '\n' && s[i] != '\033')
            i++;
        if (i + 1 < len && s[i] == '\033' && s[i + 1] == '\\')
            return i + 2;
        return i < len && s[i] == '\a' ? i + 1 : i;
    }
    for (i = 1; i < len && s[i] >= 0x20 && s[i] <= 0x2f;)
        i++;
    return i < len && s[i] >= 0x30 && s[i] <= 0x7e ? i + 1 : i;
}

/* A string without its control sequences. */
static void
write_plain(FILE *out, const json_t *string)
{
    const char *s = json_string_value(string);
    size_t len = json_string_length(string), i = 0;

    while (i < len) {
        const char *escape = memchr(s + i, '\033', len - i);
        size_t end = escape ? (size_t)(escape - s) : len;

        fwrite(s + i, 1, end - i, out);
        i = end;
        if (i < len)
            i += escape_length(s + i, len - i);
    }
}

static void
write_headline(FILE *out, const json_t *error)
{
    const json_t *evalue = json_object_get(error, "evalue");

    write_plain(out, json_object_get(error, "ename"));
    if (json_string_length(evalue) > 0) {
        fputs(": ", out);
        write_plain(out, evalue);
    }
}

char *
output_error_text(const json_t *error, size_t *len)
{
    const json_t *lines = json_object_get(error, "traceback");
    char *text = NULL;
    FILE *out = xnotnull(open_memstream(&text, len));

    if (json_array_size(lines) == 0)
        write_headline(out, error);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        if (i > 0)
            fputc('\n', out);
        write_plain(out, json_array_get(lines, i));
    }
    return xnotnull(fclose(out) == 0 ? text : NULL);
}
