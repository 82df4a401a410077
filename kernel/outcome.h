/* outcome.h - how a cell went. */
#ifndef KERNEL_OUTCOME_H
#define KERNEL_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "mem.h"
#include "utf8.h"

/* All strings are its own; NULL where it went well. */
struct outcome {
    bool failed;
    char *ename, *evalue;
    char *text; /* what the compiler said; may be NULL */
};

/* Both may be what a program said: what is no UTF-8 in them becomes '?'. */
static inline void
outcome_fail(struct outcome *o, const char *ename, char *evalue_taken)
{
    free(o->evalue);
    free(o->ename);
    o->failed = true;
    o->ename = xstrdup(ename);
    o->evalue = evalue_taken;
    utf8_make_valid(o->ename);
    utf8_make_valid(o->evalue);
}

static inline void
outcome_clear(struct outcome *o)
{
    free(o->ename);
    free(o->evalue);
    free(o->text);
    memset(o, 0, sizeof(*o));
}

#endif
