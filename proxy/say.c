/* say.c - see say.h. */
#include "say.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 }; /* less than PIPE_BUF: a pipe takes it whole or not at all */

static unsigned long lost;

static bool
put(const char *line, size_t len)
{
    return write(STDERR_FILENO, line, len) == (ssize_t)len;
}

static void __attribute__((format(printf, 1, 0))) say_list(const char *fmt, va_list ap)
{
    char line[LINE_BYTES];
    int n;

    if (lost > 0) {
        n = snprintf(line, sizeof(line), "%lu lines were lost\n", lost);
        if (!put(line, (size_t)n)) {
            lost++;
            return;
        }
        lost = 0;
    }
    n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    if (n < 0)
        return;
    if ((size_t)n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n] = '\n';
    if (!put(line, (size_t)n + 1))
        lost++;
}

void
say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_list(fmt, ap);
    va_end(ap);
}

void
say_and_exit(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say_list(fmt, ap);
    va_end(ap);
    exit(1);
}
