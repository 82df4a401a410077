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

void
timestamp_text(int64_t ms, char text[TIMESTAMP_SIZE])
{
    const time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t len;

    len = strftime(text, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    snprintf(text + len, TIMESTAMP_SIZE - len, ".%03dZ", (int)(ms % 1000));
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
