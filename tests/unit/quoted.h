/* quoted.h - JSON written with single quotes, so that it can be read in a test. */
#ifndef TESTS_UNIT_QUOTED_H
#define TESTS_UNIT_QUOTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "gateway/mem.h"

/* A new value; what is not JSON fails the test. */
static inline json_t *
json(const char *text)
{
    char *copy = xstrdup(text);
    json_t *value;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    value = json_loads(copy, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (value == NULL)
        fail_msg("the test's text is not JSON: %s", text);
    free(copy);
    return value;
}

#endif
