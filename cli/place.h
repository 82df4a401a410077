/*
 * place.h - which server, and by what right.
 *
 *   address   --url, $TCI_URL, or what a gateway on this machine has written to its state directory
 *   token     --token, $TCI_AUTH_TOKEN, or the state directory's, which is sent to that gateway only
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>

#include "gateway/err.h"
#include "gateway/mem.h"

struct place_options {
    const char *url, *token, *state_dir, *ca_file; /* NULL: not given */
};

struct place {
    char *url;     /* without a slash at its end */
    char *token;   /* NULL: there is none */
    char *ca_file; /* NULL: the system's */
    bool is_local; /* the state directory's own gateway: no proxy stands before it */
};

/* Where a state directory is that nobody names; a new string. */
char *place_state_dir(void);

/* place_clear is for what place_find has filled, whether it worked or not. */
int place_find(const struct place_options *, struct place *, struct err *) must_check;
void place_clear(struct place *);

#endif
