/* retry.c - see retry.h. */
#include "retry.h"

#include <poll.h>
#include <time.h>

#include "interrupt.h"

enum { FIRST_PAUSE_MS = 100, MAX_PAUSE_MS = 3200, LONG_PAUSE_MS = 800, PATIENCE_MS = 30000 };

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
retry_begin(struct retry *r)
{
    retry_moved(r);
}

void
retry_moved(struct retry *r)
{
    r->since = 0;
    r->pause_ms = 0;
}

/* The first is at once: most connections break for themselves. */
enum retry_verdict
retry_wait(struct retry *r)
{
    struct pollfd fd = {.fd = interrupt_fd(), .events = POLLIN};

    if (r->since == 0)
        r->since = now_ms();
    if (now_ms() - r->since > PATIENCE_MS)
        return RETRY_GIVEN_UP;
    if (r->pause_ms > 0)
        poll(&fd, 1, r->pause_ms);
    if (r->pause_ms == 0)
        r->pause_ms = FIRST_PAUSE_MS;
    else if (r->pause_ms < MAX_PAUSE_MS)
        r->pause_ms *= 2;
    return interrupt_taken() ? RETRY_INTERRUPTED : RETRY_NOW;
}

bool
retry_is_long(const struct retry *r)
{
    return r->pause_ms == LONG_PAUSE_MS;
}
