/* usage.c - see usage.h. */
#include "usage.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double longest = 86400; /* a day; no pause and no wait of a measurement is longer */

void
usage_die(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry '%s --help'.\n", program_invocation_short_name);
    exit(2);
}

uint64_t
usage_integer(const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value < min ||
        value > max)
        usage_die("--%s = \"%s\" is not a whole number from %llu to %llu", option, text,
                  (unsigned long long)min, (unsigned long long)max);
    return value;
}

/* A plain decimal number at text; *end is behind it, or text where there is none. */
static double
decimal(const char *text, const char **end)
{
    const size_t len = strspn(text, "0123456789.");
    char *stop;
    double value;

    *end = text;
    if (len == 0)
        return 0;
    value = strtod(text, &stop);
    if (stop == text + len)
        *end = stop;
    return value;
}

double
usage_seconds(const char *option, const char *text, double min, double max)
{
    const char *end;
    const double value = decimal(text, &end);

    if (end == text || *end != '\0' || value < min || value > max)
        usage_die("--%s = \"%s\" is not a number of seconds from %g to %g", option, text, min, max);
    return value;
}

void
usage_range(const char *option, const char *text, double *min, double *max)
{
    const char *end, *last;
    bool two;

    *min = *max = decimal(text, &end);
    last = end;
    two = end != text && *end == '-';
    if (two)
        *max = decimal(end + 1, &last);
    if (end == text || (two && last == end + 1) || *last != '\0' || *min > *max || *max > longest)
        usage_die("--%s = \"%s\" is not MIN-MAX, seconds from 0 to %g", option, text, longest);
}

enum workload
usage_workload(const char *text)
{
    const int w = workload_parse(text);

    if (w < 0)
        usage_die("--workload = \"%s\" is not one of " WORKLOAD_NAMES, text);
    return (enum workload)w;
}

void
usage_parse(const struct usage *usage, int argc, char **argv, void *owner)
{
    int id;

    while ((id = getopt_long(argc, argv, "", usage->options, NULL)) != -1) {
        if (id == '?')
            usage_die("the option above is not usable");
        if (id == usage->help_id) {
            fputs(usage->help, stdout);
            exit(0);
        }
        usage->apply(owner, id, optarg);
    }
    if (optind < argc)
        usage_die("\"%s\" is not an option", argv[optind]);
}
