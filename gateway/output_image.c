#include "output_image.h"

#include <stdbool.h>

static bool
is_base64_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool
is_line_space(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

static bool
is_base64(const char *s, size_t len)
{
    size_t end = len;

    if (len == 0 || len % 4 != 0)
        return false;
    while (end > len - 2 && s[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++)
        if (!is_base64_char(s[i]))
            return false;
    return true;
}

static json_t *
without_space(const char *s, size_t len)
{
    char *copy = xnotnull(malloc(len + 1));
    size_t n = 0;
    json_t *string;

    for (size_t i = 0; i < len; i++)
        if (!is_line_space(s[i]))
            copy[n++] = s[i];
    string = xnotnull(json_stringn_nocheck(copy, n));
    free(copy);
    return string;
}

json_t *
output_image(const json_t *data)
{
    json_t *png = json_object_get(data, "image/png");
    const char *s = json_string_value(png);
    size_t len = json_string_length(png);
    json_t *string;

    if (s == NULL)
        return NULL;
    if (is_base64(s, len))
        return json_incref(png);
    string = without_space(s, len);
    if (is_base64(json_string_value(string), json_string_length(string)))
        return string;
    json_decref(string);
    return NULL;
}
