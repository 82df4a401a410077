/* width.c - see width.h. */
#include "width.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void
width_init(void)
{
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* One character's columns, and its bytes in *len. */
static size_t
one(const char *text, size_t *len)
{
    mbstate_t state;
    wchar_t c;
    size_t n;
    int columns;

    memset(&state, 0, sizeof(state));
    n = mbrtowc(&c, text, strlen(text), &state);
    *len = n == (size_t)-1 || n == (size_t)-2 || n == 0 ? 1 : n;
    if (*len == 1 && n != 1)
        return 1;
    columns = wcwidth(c);
    return columns < 0 ? 1 : (size_t)columns;
}

size_t
width_of(const char *text)
{
    size_t columns = 0, len;

    for (; *text; text += len)
        columns += one(text, &len);
    return columns;
}

size_t
width_cut(const char *text, size_t columns)
{
    const char *p = text;
    size_t len;

    while (*p) {
        const size_t n = one(p, &len);

        if (n > columns)
            break;
        columns -= n;
        p += len;
    }
    return (size_t)(p - text);
}
