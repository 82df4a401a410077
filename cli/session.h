/* session.h - the session that a command uses: one that is named, or one of its own that ends with it. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "client.h"
#include "options.h"

struct session {
    char *id;
    char *language; /* "" when the kernel does not say */
    char *kernel;
    bool is_ours;
};

/*
 * The one of --session, which is made if there is none, or a new one; in --language or of --kernel, else the server's choice.
 * session_clear is for what this has filled.
 */
int session_take(struct client *, const struct options *, struct session *,
                 struct err *) must_check;

/* Ends it if it is ours; a failure is no more than told. */
void session_leave(struct client *, const struct session *, const char *command);
void session_clear(struct session *);

/* "/v1/sessions/ID" and more; a new string. */
char *session_path(const struct session *, const char *more);

#endif
