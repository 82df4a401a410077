/*
 * fuzz_multipart.c - forms, and what else a request about files says: the first line is a Content-Type, and every other header
 * that filehead.c reads; the rest is a body, which must say the same whole and byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gateway/filehead.h"
#include "gateway/mem.h"
#include "gateway/multipart.h"

/* What came of a body, as bytes. */
struct result {
    char *bytes;
    size_t len;
};

static void
add(struct result *r, const char *bytes, size_t n)
{
    r->bytes = xrealloc(r->bytes, r->len + n + 1);
    if (n > 0)
        memcpy(r->bytes + r->len, bytes, n);
    r->len += n;
}

/* False: the body is bad. */
static bool
take(struct multipart *m, struct result *r, const char *data, size_t len)
{
    while (len > 0) {
        const char *bytes = NULL;
        size_t used, n = 0;
        struct err err = ERR_INIT;
        const enum multipart_event event = multipart_next(m, data, len, &used, &bytes, &n, &err);

        must(used <= len);
        must(event != MULTIPART_MORE || used == len);
        data += used;
        len -= used;
        if (event == MULTIPART_DATA) {
            must(n > 0);
            add(r, bytes, n);
        } else if (event == MULTIPART_PART) {
            add(r, m->name, strlen(m->name) + 1);
            add(r, m->filename, strlen(m->filename) + 1);
        } else if (event != MULTIPART_MORE) {
            add(r, "\0|", 2);
        }
        if (event == MULTIPART_BAD) {
            must(err.code == ERR_BAD_REQUEST && err.msg[0]);
            return false;
        }
    }
    return true;
}

static void
parse(const char *type, const char *body, size_t len, size_t piece, struct result *r)
{
    struct multipart m;
    bool good = multipart_init(&m, type) == 1;

    for (size_t at = 0; good && at < len; at += piece)
        good = take(&m, r, body + at, len - at < piece ? len - at : piece);
}

static void
read_headers(const char *text)
{
    bool ok;
    json_auto_t *range = filehead_range(text), *match = filehead_match(text, &ok),
                *if_range = filehead_if_range(text);
    const json_int_t first = json_integer_value(json_object_get(range, "first"));

    must(range == NULL || json_object_size(range) > 0);
    must(first >= 0);
    must(match != NULL);
    must(json_string_value(if_range) != NULL || json_is_string(if_range) || if_range == NULL);
    (void)filehead_names(text, "1a-2");
    must(filehead_type(text)[0] != '\0');
    must(!filehead_is_path(text) || (text[0] != '/' && strstr(text, "//") == NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t len;
    cleanup_free char *line = fuzz_next(&in, '\n', &len);
    cleanup_free char *type = line ? xasprintf("%.*s", (int)len, line) : NULL;
    struct result whole = {NULL, 0}, pieces = {NULL, 0};

    if (type == NULL)
        return 0;
    if (strlen(type) == len)
        read_headers(type);
    parse(type, (const char *)in.data, in.size, in.size ? in.size : 1, &whole);
    parse(type, (const char *)in.data, in.size, 1, &pieces);
    must(whole.len == pieces.len);
    must(whole.len == 0 || memcmp(whole.bytes, pieces.bytes, whole.len) == 0);
    free(whole.bytes);
    free(pieces.bytes);
    return 0;
}
