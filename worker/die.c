/* die.c - see die.h. */
#include "die.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

/* One write, so that lines of several writers to one log do not mix. */
static void __attribute__((format(printf, 1, 0))) write_line(const char *fmt, va_list args)
{
    char line[600] = "tci-worker: ";
    const size_t prefix = sizeof("tci-worker: ") - 1, room = sizeof(line) - prefix - 1;
    int n = vsnprintf(line + prefix, room, fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;

    line[prefix + len] = '\n';
    if (write(STDERR_FILENO, line, prefix + len + 1) < 0)
        return; /* nobody listens, and there is nobody else to tell */
}

void
die(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_line(fmt, args);
    va_end(args);
    /* Not exit(): the ZeroMQ context may still hold threads and messages that nobody will take. */
    _exit(code);
}

static void __attribute__((format(printf, 1, 2))) write_args(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    write_line(fmt, args);
    va_end(args);
}

void
note(const char *fmt, ...)
{
    static unsigned written, left_out;
    static int64_t last_ms;
    const int64_t now = clock_ms();
    va_list args;

    if (written >= NOTE_BURST && now - last_ms < NOTE_INTERVAL_MS) {
        left_out++;
        return;
    }
    if (left_out > 0)
        write_args("%u lines left out", left_out);
    left_out = 0;
    written++;
    last_ms = now;
    va_start(args, fmt);
    write_line(fmt, args);
    va_end(args);
}
