/* output_told.c - see output_told.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/output_told.h"
#include "tests/unit/quoted.h"

int
setup(void **state)
{
    *state = output_new(1000);
    return 0;
}

int
teardown(void **state)
{
    output_free(*state);
    return 0;
}

void
message(struct output *o, const char *type, const char *content)
{
    json_auto_t *what = json(content);

    output_message(o, type, what);
}

void
stream(struct output *o, const char *text)
{
    json_auto_t *content = json_pack("{s:s, s:s}", "name", "stdout", "text", text);

    output_message(o, "stream", content);
}

void
display(struct output *o, const char *mime, const char *value, const char *id)
{
    json_auto_t *content = json_pack("{s:{s:s}, s:{}, s:{s:s*}}", "data", mime, value, "metadata",
                                     "transient", "display_id", id);

    output_message(o, "display_data", content);
}

void
raw(struct output *o, int fd, const char *bytes)
{
    output_raw(o, fd, bytes, strlen(bytes));
}

void
refuse(struct output *o, const char *content)
{
    json_auto_t *json = json_loads(content, 0, NULL);

    assert_non_null(json);
    output_set_error(o, json);
}

static json_t *
error_content(const char *ename, const char *evalue, const char *line)
{
    return json_pack("{s:s, s:s, s:[s]}", "ename", ename, "evalue", evalue, "traceback", line);
}

void
raise_error(struct output *o, const char *ename, const char *evalue, const char *line)
{
    json_auto_t *content = error_content(ename, evalue, line);

    output_message(o, "error", content);
}

void
answer_has(json_t *answer, const char *key, const char *expected)
{
    char *found = json_dumps(json_object_get(answer, key), JSON_ENCODE_ANY | JSON_COMPACT);

    assert_string_equal(found, expected);
    free(found);
}

void
text_is(struct output *o, const char *expected)
{
    json_auto_t *answer = output_take(o);
    const char *text = json_string_value(json_object_get(answer, "result_text"));

    if (expected == NULL)
        assert_null(text);
    else {
        assert_non_null(text);
        assert_string_equal(text, expected);
    }
}
