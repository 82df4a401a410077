/*
 * watch.h - a program is waited for: what it says is read, the client's interrupts reach it, and who waits for input is
 * seen, so that the client is asked for it.  A line that is Ctrl-D alone is the end of the input.
 */
#ifndef KERNEL_WATCH_H
#define KERNEL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "attendant.h"
#include "program.h"

struct watch {
    struct program *program;
    const struct attendant *attendant;
    int fd;                           /* what is read meanwhile; -1: nothing */
    void (*on_readable)(void *owner); /* there is something in fd */
    void *owner;
    const bool
        *over; /* set by on_readable where the program goes on; NULL: only its end is waited for */
    int input; /* what it has as its standard input, open for writing; taken; -1: it cannot ask for input */

    bool interrupted; /* out: by the client */
    bool asked;
    int64_t kill_at_ms;
};

/* Returns when the program has ended, or is over. */
void watch_run(struct watch *);

/* In its place, where the program could not be started: the input is closed. */
void watch_give_up(struct watch *);

#endif
