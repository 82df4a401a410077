/* crowd.h - the users of bench/load: each has a connection, a session and a workload of its own. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "httpclient.h"
#include "report.h"
#include "workload.h"

struct crowd;

struct crowd_options { /* copied; the string must outlive the crowd */
    enum workload workload;
    unsigned users, requests;
    double think_min, think_max; /* seconds between an answer and the user's next request */
    uint64_t seed;
    const char *prefix; /* the user_uuid is this and the user's number */
    int release;        /* release the sessions at the end */
    int v1; /* all but the first request of a user go to /v1, into the session that it made */
    unsigned v1_turns; /* ... by turns, so many to /execute and so many to /v1; 0 = all do */
};

struct crowd *crowd_new(struct event_base *, struct http_target *, const struct crowd_options *,
                        struct report *);
void crowd_free(struct crowd *); /* accepts NULL */

/*
 * Opens every user's connection (GET /healthz, not measured), has all users begin at the same moment and
 * fills the report.  Runs the event loop.  Fails when a connection cannot be opened.
 */
int crowd_run(struct crowd *, struct err *) must_check;

#endif
