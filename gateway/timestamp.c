#include "timestamp.h"

#include <stdio.h>
#include <time.h>

#include "mem.h"

int64_t
timestamp_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Most of those that are asked for are of one second, the present one. */
void
timestamp_text(int64_t ms, char text[TIMESTAMP_SIZE])
{
    static _Thread_local time_t last = -1;
    static _Thread_local char last_text[TIMESTAMP_SIZE];
    const time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (seconds != last)
        strftime(last_text, sizeof(last_text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    last = seconds;
    snprintf(text, TIMESTAMP_SIZE, "%.19s.%03dZ", last_text, (int)(ms % 1000));
}

json_t *
timestamp_json(int64_t ms)
{
    char text[TIMESTAMP_SIZE];

    if (ms == 0)
        return json_null();
    timestamp_text(ms, text);
    return xnotnull(json_string(text));
}
