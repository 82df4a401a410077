#include "parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/utf8.h"

enum { MAX_NAME = 64, MAX_RATE = 1000000, MAX_ID = 128 };

static const uint64_t longest = 100ULL * 365 * 86400;

bool
parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    size_t len = strlen(text);
    uint64_t n;

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len)
        return false;
    n = strtoull(text, NULL, 10);
    if (n < min || n > max)
        return false;
    *out = n;
    return true;
}

/* The digits of "12h" as a number; what follows them must be one of units, and *unit gets which. */
static bool
parse_number_with(const char *text, const char *const *units, uint64_t max, uint64_t *out,
                  size_t *unit)
{
    size_t digits = strspn(text, "0123456789");
    char number[20];

    if (digits >= sizeof(number))
        return false;
    snprintf(number, sizeof(number), "%.*s", (int)digits, text);
    for (*unit = 0; units[*unit]; ++*unit)
        if (strcmp(text + digits, units[*unit]) == 0)
            return parse_count(number, 1, max, out);
    return false;
}

bool
parse_duration(const char *text, uint64_t *out)
{
    static const char *const units[] = {"s", "m", "h", "d", "w", NULL};
    static const uint64_t seconds[] = {1, 60, 3600, 86400, 604800};
    uint64_t n;
    size_t unit;

    if (!parse_number_with(text, units, longest, &n, &unit) || n > longest / seconds[unit])
        return false;
    *out = n * seconds[unit];
    return true;
}

bool
parse_rate(const char *text, unsigned *out)
{
    static const char *const units[] = {"/min", NULL};
    uint64_t n;
    size_t unit;

    if (!parse_number_with(text, units, MAX_RATE, &n, &unit))
        return false;
    *out = (unsigned)n;
    return true;
}

bool
parse_name(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > MAX_NAME || utf8_valid_prefix(text, len) != len)
        return false;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0)) /* C0, DEL, C1 */
            return false;
    return true;
}

bool
parse_seconds(const char *text, double *out)
{
    char *end;
    double n;

    if (text[0] == '\0' || strspn(text, "0123456789.") != strlen(text))
        return false;
    n = strtod(text, &end);
    if (*end != '\0' || !(n > 0) || n > (double)longest)
        return false;
    *out = n;
    return true;
}

bool
parse_id(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    const size_t len = strlen(text);

    return len >= 1 && len <= MAX_ID && strspn(text, allowed) == len;
}
