/*
 * pool_lists.h - the users and the workers of a pool.  Each state is a list; who moves them, and when, is for pool_user, pool_member and pool_assign.
 *
 * A user is known, here and in the store, by a full name: "KEY/user_uuid", or for the master token the user_uuid alone.
 * A user_uuid has no slash.  Part of pool.h.
 */
#ifndef GATEWAY_POOL_LISTS_H
#define GATEWAY_POOL_LISTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "terms.h"

struct caller;
struct kernel_kind;
struct outfit;
struct pool;
struct session;
struct worker;

enum member_list {
    STARTING, /* on its way; or being recalled, then with its user */
    WARM,     /* ready, and nobody's */
    ASSIGNED, /* a user's */
    DYING,    /* until nothing of its container is left */
    N_MEMBER_LISTS
};

enum user_list {
    WAITING, /* with a session, for a worker */
    ACTIVE,  /* with a session and a worker */
    LOST,    /* without a session; remembered, so that the next answer can tell */
    N_USER_LISTS
};

/* A worker and its place in the pool. */
struct member {
    struct pool *pool;
    struct worker *worker;
    enum member_list list;
    struct user *user;        /* NULL: nobody's */
    struct kernel_kind *kind; /* borrowed from the worker */
    unsigned slot;
    bool adopted;   /* from an earlier gateway */
    bool renewing;  /* its kernel is being started anew, for the same user */
    bool outfitted; /* the user's packages are in it */
    struct outfit
        *outfit;  /* they are being put there, while the user is WAITING; NULL: they are not */
    double since; /* in this list */
    struct member *prev, *next;
};

struct user {
    struct pool *pool;
    char *name; /* in full */
    enum user_list list;
    struct session *session;  /* NULL: LOST */
    struct member *member;    /* of a WAITING user: his own, being recalled; NULL = any will do */
    bool had_worker;          /* ever: there is a state that can be lost */
    struct kernel_kind *kind; /* a reference; what the session's workers run */
    bool network;             /* the session has a way out */
    struct terms terms;
    /* Made or changed by a wish of its own, not by what was run: stays as it is, also without ever having had a worker. */
    bool kept;
    bool own;             /* only a worker that is made for the user will do */
    bool installer;       /* nobody: for whom packages are installed (pool_hire) */
    char container[17];   /* worker_identity.id; "" = none */
    int64_t container_ms; /* since when */
    json_t *history;      /* array of the containers before; NULL: none */
    bool ended;           /* LOST: on purpose, for want of use; there is no session to go on with */
    unsigned long long serial; /* grows from each user to the next, also over restarts */
    unsigned long executions;
    int64_t created_ms, last_used_ms; /* since 1970 */
    double idle_since;                /* monotonic; when a job last came or ended */
    double since;                     /* in this list */
    UT_hash_handle hh;
    struct user *prev, *next;
};

struct pool_lists {
    struct pool *pool; /* of all that is in them */
    struct member *members[N_MEMBER_LISTS];
    unsigned n_members[N_MEMBER_LISTS];
    struct user *users;        /* by full name; in the order of their serials */
    unsigned long long serial; /* the last one */
    struct user *user_lists[N_USER_LISTS];
    unsigned n_users[N_USER_LISTS];
};

/* --- workers ------------------------------------------------------------------------------ */

/* STARTING, without a worker, which the caller gives it or frees it again. */
struct member *member_new(struct pool_lists *, struct kernel_kind *, unsigned slot);
void member_move(struct pool_lists *, struct member *, enum member_list);
void member_free(struct pool_lists *, struct member *); /* its worker is the caller's to end */

unsigned pool_lists_alive(const struct pool_lists *); /* workers that are not dying */

/*
 * Starting, and nobody's yet: recalled ones with a user may be busy for as long as an execution lasts.  Here and below kind says
 * of which; NULL: of all.
 */
unsigned pool_lists_coming(const struct pool_lists *, const struct kernel_kind *);

unsigned pool_lists_alive_of(const struct pool_lists *, const struct kernel_kind *);
unsigned pool_lists_warm(const struct pool_lists *, const struct kernel_kind *);
struct member *pool_lists_first_warm(const struct pool_lists *, const struct kernel_kind *);

/* The lowest number that no worker has. */
unsigned pool_lists_free_slot(const struct pool_lists *);

/* --- users -------------------------------------------------------------------------------- */

/* The name in full, a new string; and of that the user_uuid, borrowed. */
char *user_full_name(const struct caller *, const char *name);
const char *user_short_name(const struct user *);

/* Whose the session is, as far as the name says it: without the limits of a key. */
struct caller user_owner(const struct user *);

/* The caller has a key. */
bool user_is_of(const struct user *, const struct caller *);

struct user *user_find(const struct pool_lists *, const char *full_name); /* NULL: not known */
struct user *user_new(struct pool_lists *, const char *full_name, int64_t created_ms,
                      enum user_list);
void user_move(struct pool_lists *, struct user *, enum user_list);
void user_free(struct pool_lists *, struct user *); /* its session is the caller's to end */

/*
 * How many are on their way that this gateway has started, be they somebody's or nobody's.
 */
unsigned pool_lists_starting(const struct pool_lists *);

/* Who waits for any worker, not for one of his own, be it recalled or made for him: the first (NULL: nobody), and how many. */
struct user *pool_lists_first_waiting(const struct pool_lists *, const struct kernel_kind *);
unsigned pool_lists_waiting(const struct pool_lists *, const struct kernel_kind *);

/* From now on the user's workers are to run this one. */
void user_set_kind(struct user *, struct kernel_kind *);

/* Of a caller with a key. */
unsigned pool_lists_sessions_of(const struct pool_lists *, const struct caller *);

#endif
