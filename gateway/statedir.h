/* statedir.h - the state directory of who names none. */
#ifndef GATEWAY_STATEDIR_H
#define GATEWAY_STATEDIR_H

#define STATEDIR_OF_ROOT "/var/lib/tci"

/*
 * Root's, or for an ordinary user $XDG_STATE_HOME/tci, else ~/.local/state/tci (XDG Base Directory Specification); a new
 * string.
 */
char *statedir_default(void);

#endif
