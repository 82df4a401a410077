/*
 * statedir.h - the state directory: where it is for who names none, that one gateway at a time has it, and the files in it that
 * others read, or write.
 */
#ifndef GATEWAY_STATEDIR_H
#define GATEWAY_STATEDIR_H

#include "err.h"
#include "mem.h"

#define STATEDIR_OF_ROOT "/var/lib/tci"

/*
 * Root's, or for an ordinary user $XDG_STATE_HOME/tci, else ~/.local/state/tci (XDG Base Directory Specification); a new
 * string.
 */
char *statedir_default(void);

char *statedir_path(const char *dir, const char *name); /* a new string */

/*
 * Makes the directory if need be and locks it.  A descriptor, the lock's as long as it is open, or -1: ERR_CONFIG where
 * another gateway has it.  Sets the umask.  Blocks for two seconds at most; for start-up.
 */
int statedir_open(const char *dir, struct err *) must_check;

/* The master token, made once and kept in DIR/auth_token; a new string, a secret.  NULL with *err filled. */
char *statedir_token(const char *dir, struct err *) must_check;

/* DIR/address and DIR/gateway.pid, for scripts: there while a gateway serves. */
int statedir_publish(const char *dir, const char *url, struct err *) must_check;
void statedir_unpublish(const char *dir);

#endif
