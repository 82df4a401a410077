/* report.h - what a measurement found, as text and as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "stats.h"

enum outcome {
    OUTCOME_OK,
    OUTCOME_WRONG,       /* 200, and not the right answer */
    OUTCOME_BUSY,        /* 429 */
    OUTCOME_UNAVAILABLE, /* 503 */
    OUTCOME_OVERTIME,    /* 504 */
    OUTCOME_4XX,         /* any other */
    OUTCOME_5XX,         /* any other */
    OUTCOME_CONNECTION,  /* refused, reset, cut short, not HTTP */
    OUTCOME_TIMEOUT,     /* no answer within --timeout */
    OUTCOME_COUNT,
};

/* Which of a user's requests it is. */
enum request_kind {
    REQUEST_FIRST,
    REQUEST_LATER,
    REQUEST_V1, /* a later one, to /v1 */
};

struct report {
    const char *program; /* "load" or "floor" */
    const char *target;  /* the URL or the kernel's name */
    const char *workload;
    unsigned users, requests; /* requests of each user */
    double think_min, think_max;
    uint64_t seed;

    double seconds;     /* from the first request to the last answer */
    double cpu_seconds; /* of the measuring program itself in that time */
    size_t outcomes[OUTCOME_COUNT];
    size_t releases_failed;
    struct stats all, first, later; /* milliseconds of right answers; first: each user's first */
    struct stats plain, v1;         /* those of the later ones that went to /execute, and to /v1 */
};

void report_init(struct report *);
void report_clear(struct report *); /* idempotent */

void report_add(struct report *, enum outcome, double ms, enum request_kind);
void report_finish(struct report *); /* after the last report_add, before the functions below */

const char *report_outcome_name(enum outcome);
size_t report_total(const struct report *);      /* requests with any outcome */
double report_throughput(const struct report *); /* right answers a second */
int report_is_right(const struct report *);      /* every request answered rightly */

void report_print(const struct report *, FILE *);
json_t *report_json(const struct report *); /* a new object */

#endif
