/*
 * fuzz_output.c - what an execution shows, as POST /execute and as /v1 collect it.  The first line is the limit in bytes; each further one is "TYPE CONTENT"
 * as on iopub, "reply CONTENT" of an error, "1 BYTES" or "2 BYTES" of a descriptor, or "truncated".
 */
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "fuzz.h"
#include "gateway/output.h"
#include "gateway/reader.h"
#include "gateway/transcript.h"
#include "gateway/utf8.h"

enum { DEFAULT_LIMIT = 1000 };

/* Both collectors. */
struct both {
    struct output *o;
    struct transcript *t;
};

static void
feed_transcript(struct transcript *t, const char *type, json_t *content)
{
    bool truncated = false;
    json_t *what = NULL;
    enum shown kind;

    if (strcmp(type, "reply") == 0) {
        transcript_set_error(t, shown_error_of_reply(content, &truncated));
        return;
    }
    kind = shown_from(type, content, &what, &truncated);
    must((kind == SHOWN_NOTHING) == (what == NULL));
    transcript_add(t, kind, what);
    json_decref(what);
}

static void
feed_json(const struct both *b, const char *type, const char *text, size_t len)
{
    struct output *o = b->o;
    struct err err = ERR_INIT;
    json_t *content = reader_object(text, len, "it", &err);

    if (content && strcmp(type, "reply") == 0)
        output_set_error(o, content);
    else if (content)
        output_message(o, type, content);
    if (content)
        feed_transcript(b->t, type, content);
    json_decref(content);
}

static void
feed_line(const struct both *b, const char *line, size_t len)
{
    struct output *o = b->o;
    const char *space = memchr(line, ' ', len);
    char type[32];
    size_t n = space ? (size_t)(space - line) : len;

    if (n >= sizeof(type))
        return;
    memcpy(type, line, n);
    type[n] = '\0';
    if (strcmp(type, "truncated") == 0) {
        output_mark_truncated(o);
        transcript_mark_truncated(b->t, true);
    }
    if (space == NULL)
        return;
    if (strcmp(type, "1") == 0 || strcmp(type, "2") == 0)
        output_raw(o, type[0] - '0', space + 1, len - n - 1);
    else
        feed_json(b, type, space + 1, len - n - 1);
}

static size_t
check_string(const json_t *string)
{
    must(json_is_string(string));
    must(utf8_valid_prefix(json_string_value(string), json_string_length(string)) ==
         json_string_length(string));
    return json_string_length(string);
}

/* Bytes of it, which are counted as kept. */
static size_t
check_items(const json_t *answer)
{
    const json_t *images = json_object_get(answer, "images");
    const json_t *displays = json_object_get(answer, "displays");
    const json_t *last = json_object_get(answer, "result_base64"), *data = NULL;
    size_t sum = 0;

    must(json_array_size(images) + json_array_size(displays) <= OUTPUT_MAX_ITEMS);
    for (size_t i = 0; i < json_array_size(images); i++) {
        data = json_object_get(json_array_get(images, i), "data");
        sum += check_string(data);
        must(json_string_length(data) % 4 == 0);
    }
    must(data ? json_equal(last, data) : json_is_null(last));
    for (size_t i = 0; i < json_array_size(displays); i++)
        sum += check_string(json_array_get(displays, i));
    return sum;
}

static size_t
check_error(const json_t *error)
{
    const json_t *lines = json_object_get(error, "traceback");
    size_t sum;

    if (json_is_null(error))
        return 0;
    sum = check_string(json_object_get(error, "ename")) +
          check_string(json_object_get(error, "evalue"));
    for (size_t i = 0; i < json_array_size(lines); i++)
        sum += check_string(json_array_get(lines, i)) + 1;
    must(sum <= OUTPUT_MAX_ERROR + 100);
    return sum;
}

static void
check_answer(const json_t *answer, size_t limit)
{
    const json_t *text = json_object_get(answer, "result_text");
    size_t kept = check_items(answer), error = check_error(json_object_get(answer, "error"));
    char *dump = json_dumps(answer, JSON_COMPACT);

    must(dump != NULL);
    free(dump);
    must(kept <= limit);
    must(json_is_null(text) || check_string(text) > 0);
    must(json_string_length(text) <= limit - kept + error + strlen("\n: "));
    must(json_is_boolean(json_object_get(answer, "truncated")));
}

static void
check_transcript(const json_t *answer, size_t limit)
{
    const size_t out = check_string(json_object_get(answer, "stdout"));
    char *dump = json_dumps(answer, JSON_COMPACT);

    must(dump != NULL);
    free(dump);
    must(out + check_string(json_object_get(answer, "stderr")) <= limit);
    must(json_array_size(json_object_get(answer, "outputs")) <= TRANSCRIPT_MAX_OUTPUTS);
    check_error(json_object_get(answer, "error"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t limit = DEFAULT_LIMIT, len;
    char *line = fuzz_next(&in, '\n', &len);
    struct both b;
    json_t *answer;

    if (line && len > 0 && len < 6 && line[0] >= '0' && line[0] <= '9') {
        char digits[8] = {0};

        memcpy(digits, line, len);
        limit = strtoul(digits, NULL, 10);
    }
    free(line);
    b.o = output_new(limit);
    b.t = transcript_new(limit);
    while ((line = fuzz_next(&in, '\n', &len))) {
        feed_line(&b, line, len);
        free(line);
    }
    answer = output_take(b.o);
    check_answer(answer, limit);
    json_decref(answer);
    output_free(b.o);
    answer = json_object();
    transcript_take(b.t, answer);
    check_transcript(answer, limit);
    json_decref(answer);
    transcript_free(b.t);
    return 0;
}
