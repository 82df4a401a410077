/* jupyter.c - see jupyter.h. */
#include "jupyter.h"

#include <string.h>

static bool
is_delimiter(const struct frame *f)
{
    return f->len == strlen(JUPYTER_DELIMITER) && memcmp(f->data, JUPYTER_DELIMITER, f->len) == 0;
}

int
jupyter_begin(const struct frame *frames, size_t n)
{
    for (size_t i = 0; i + JUPYTER_MIN_FRAMES <= n; i++)
        if (is_delimiter(&frames[i]))
            return (int)i;
    return -1;
}

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

static bool
starts_with(const char *p, const char *end, const char *word)
{
    const size_t len = strlen(word);

    return (size_t)(end - p) >= len && memcmp(p, word, len) == 0;
}

/*
 * Looks for the member without parsing the JSON, because this is done for every message.  A quote
 * inside a JSON string is escaped, so the text `"msg_type"` can only be a name or a whole value;
 * and what a kernel gains by a forged status is one message out of a status' allowance.
 */
static bool
has_status_type(const char *p, const char *end)
{
    static const char name[] = "\"msg_type\"";

    while ((p = memmem(p, (size_t)(end - p), name, sizeof(name) - 1)) != NULL) {
        p = skip_blanks(p + sizeof(name) - 1, end);
        if (p < end && *p == ':')
            return starts_with(skip_blanks(p + 1, end), end, "\"status\"");
    }
    return false;
}

bool
jupyter_is_status(const struct frame *frames, size_t n)
{
    const struct frame *header = &frames[2];
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += frames[i].len;
    return size <= JUPYTER_STATUS_MAX && header->len > 0 &&
           has_status_type(header->data, (const char *)header->data + header->len);
}

bool
jupyter_says_idle(const struct frame *frames, size_t n)
{
    static const char idle[] = "\"idle\"";
    const struct frame *content = &frames[JUPYTER_MIN_FRAMES - 1];

    return n >= JUPYTER_MIN_FRAMES && content->len > 0 &&
           memmem(content->data, content->len, idle, sizeof(idle) - 1) != NULL;
}
