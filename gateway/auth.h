/*
 * auth.h - who may call: the master token, and the API keys in the state directory, each until it expires or is revoked,
 * and so many times a minute.
 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include <stdbool.h>

#include "caller.h"

struct auth;

enum auth_verdict {
    AUTH_OK,
    AUTH_MISSING, /* no token at all */
    AUTH_WRONG,   /* nobody's */
    AUTH_EXPIRED, /* the others: it is a key, but ... */
    AUTH_REVOKED,
    AUTH_TOO_FAST,
    AUTH_N_VERDICTS
};

/*
 * Both are copied.  keys_path need not be there yet.  It is read when it has changed, which is looked for once a second
 * and when a key is unknown; while it cannot be read, the keys known before stay.  When it is removed, so are all keys.
 */
struct auth *auth_new(const char *master_token, const char *keys_path);
void auth_free(struct auth *); /* accepts NULL */

/*
 * Counts as a request if it is AUTH_OK.  token may be NULL.  *who is filled but for AUTH_MISSING and AUTH_WRONG; *wait
 * gets the seconds until the next request is welcome with AUTH_TOO_FAST.  Neither content nor length of a secret shows
 * in the time it takes.
 */
enum auth_verdict auth_check(struct auth *, const char *token, struct caller *who, double *wait);

/* Whether the token is one that auth_check would take, at some rate.  Counts as nothing, and takes as long. */
bool auth_knows(struct auth *, const char *token);

#endif
