/*
 * runs.h - the executions of all sessions: those under way, and of the others the newest.
 *
 * Those that are over are on disk as well (history.h), and the next gateway has them; one that is under way when a gateway dies is
 * lost.  One with a key is there before it is answered, any other right after.  A session's history is bounded in number and in bytes, and so are all together; the newest of a session is kept whatever its
 * size, the oldest go first.  The events of an execution are kept for RUNS_EVENTS_MS after its end.
 */
#ifndef GATEWAY_RUNS_H
#define GATEWAY_RUNS_H

#include <jansson.h>

#include "err.h"
#include "mem.h"
#include "run.h"

struct caller;
struct runs;

enum {
    RUNS_PER_SESSION = 100,
    RUNS_SESSION_BYTES = 16 << 20,
    RUNS_BYTES = 64 << 20,
    RUNS_EVENTS_MS = 60000,
};

/* dir: where the history is, of which that of sessions that the pool has is read.  Blocks; after pool_recall. */
struct runs *runs_new(const struct run_parts *, const char *dir, struct err *) must_check;
void
runs_free(struct runs *); /* accepts NULL; when nothing runs any more, and before the HTTP server */

/* The parts of a run_spec but id, which is drawn.  key: an Idempotency-Key, "" = none; hash: of what was asked for with it. */
struct runs_request {
    struct run_spec spec;
    const char *key;
    const uint8_t *hash; /* RUNS_HASH_BYTES */
};

enum { RUNS_HASH_BYTES = 32, RUNS_KEY_MAX = 128 };

/* run_start, of one that is in the lists from now on. */
struct run *runs_start(struct runs *, const struct runs_request *, run_done_fn *done, void *owner,
                       struct err *) must_check;

/* NULL: not known. */
struct run *runs_find(const struct runs *, const struct caller *, const char *session,
                      const char *id);

/* The one that was made with that key and was not refused; NULL: there is none.  *same: what was asked for was the same. */
struct run *runs_find_key(const struct runs *, const struct caller *, const char *session,
                          const char *key, const uint8_t hash[RUNS_HASH_BYTES], bool *same);

/*
 * A new array of summaries, the newest first: those older than the cursor `before` (0: all), at most limit of them.  *next: the
 * cursor for those that follow, good also when what it stands for is gone, and after a restart; 0: there are none.
 */
json_t *runs_list(const struct runs *, const struct caller *, const char *session,
                  unsigned long long before, unsigned limit, unsigned long long *next);

/* One that is DONE. */
void runs_remove(struct runs *, struct run *);

/*
 * The session is no more, as pool_release has it, and with it its history.  Sooner than by itself, which is within seconds of its
 * end, and at the latest when another session gets its name.
 */
void runs_forget(struct runs *, const struct caller *, const char *session);

#endif
