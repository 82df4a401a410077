/*
 * store.h - what must outlive the gateway: which containers there are, and whose they are.  SQLite.
 *
 * Writes happen when a worker or a session comes or goes, never for an execution.  They are not flushed to disk: what
 * they must survive is the end of this process, and after a power cut there is no container left to take back.
 */
#ifndef GATEWAY_STORE_H
#define GATEWAY_STORE_H

#include <stdbool.h>
#include <time.h>

#include "err.h"
#include "mem.h"
#include "worker.h"

struct store;

/*
 * Opens or makes path, 0600; waits some seconds for whoever has it locked, so only at start-up.  *unusable says of a
 * failure that another try would fail as well: the file is damaged, no database, or of another layout.
 */
struct store *store_open(const char *path, bool *unusable, struct err *) must_check;
void store_close(struct store *); /* accepts NULL */

/*
 * The verbs log their failures: a store that fails costs recovery, not service.  After one the store is behind, and
 * whoever knows what should be in it puts all of it into the store again, between store_begin and store_commit, until it has
 * worked.  Then, and with -1 from store_begin while it is not the time for another try, there is nothing to do.
 */
bool store_is_behind(const struct store *);
int store_begin(struct store *) must_check; /* empties it */
void store_commit(struct store *);

void store_put_worker(struct store *, const struct worker_identity *, const char *kernel);
void store_remove_worker(struct store *, const char *worker_id); /* its session, if any, loses it */
/* network: the session may have a way out. */
/* details: JSON, the pool's. */
void store_put_session(struct store *, const char *user, const char *worker_id, time_t created,
                       bool network, const char *details);
void store_remove_session(struct store *, const char *user);

/* One row at start-up; pointers are borrowed for the call.  Must not call the store. */
struct store_row {
    const char *user;                       /* NULL: a worker of nobody */
    const struct worker_identity *identity; /* NULL: a user whose environment was lost */
    const char *kernel;  /* kernelspec it was started with; NULL without identity */
    time_t created;      /* of the session */
    bool network;        /* ... which has a way out */
    const char *details; /* ... as put; "{}" of an earlier layout */
};
typedef void store_row_fn(void *owner, const struct store_row *);

int store_each(struct store *, store_row_fn *, void *owner, struct err *) must_check;

#endif
