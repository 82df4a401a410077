/* die.c - see die.h. */
#include "die.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

enum { LINE_MAX_BYTES = 500 };

/* One write, so that lines of several writers to one log do not mix. */
static void
write_line(const char *text)
{
    char line[LINE_MAX_BYTES + 32];
    const int len = snprintf(line, sizeof(line), "tci-worker: %s\n", text);

    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        return; /* nobody listens, and there is nobody else to tell */
}

void
die(int code, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(text);
    _exit(code);
}

void
note(const char *fmt, ...)
{
    static unsigned written, left_out;
    static int64_t last_ms;
    const int64_t now = clock_ms();
    char text[LINE_MAX_BYTES];
    va_list args;

    if (written >= NOTE_BURST && now - last_ms < NOTE_INTERVAL_MS) {
        left_out++;
        return;
    }
    if (left_out > 0) {
        snprintf(text, sizeof(text), "%u lines left out", left_out);
        write_line(text);
    }
    left_out = 0;
    written++;
    last_ms = now;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(text);
}
