/* retry.h - how often, and for how long, a connection that broke is made again. */
#ifndef CLI_RETRY_H
#define CLI_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
    int64_t
        since; /* ms of the monotonic clock: when the first of a row of connections broke; 0: none has */
    int pause_ms; /* before the next attempt */
};

enum retry_verdict { RETRY_NOW, RETRY_GIVEN_UP, RETRY_INTERRUPTED };

void retry_begin(struct retry *);
void retry_moved(struct retry *); /* something has come: the patience begins anew */

/* Waits before the next attempt, a little longer each time; RETRY_GIVEN_UP half a minute after the first of them if nothing has come. */
enum retry_verdict retry_wait(struct retry *);

/* Whether that was the wait after which the user might want to know: true once for a row of attempts. */
bool retry_is_long(const struct retry *);

#endif
