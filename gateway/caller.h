/* caller.h - who sends a request: whoever has the master token, or an API key. */
#ifndef GATEWAY_CALLER_H
#define GATEWAY_CALLER_H

#include <stdbool.h>

#include "key.h"

/* By value; key is "" for the master token. */
struct caller {
    char key[KEY_ID_SIZE];
    unsigned max_sessions; /* at a time; 0 = any number */
};

static inline bool
caller_is_master(const struct caller *who)
{
    return who->key[0] == '\0';
}

#endif
