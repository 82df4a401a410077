/* run_stdin.h - what an execution has to read: lines that wait, and whoever is asked for more.  Part of run.h. */
#ifndef GATEWAY_RUN_STDIN_H
#define GATEWAY_RUN_STDIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "mem.h"

struct body_run;

struct run_stdin {
    bool interactive; /* somebody answers input(), */
    bool ended;       /* ... and has said that there is no more */
    json_t *lines;    /* that wait to be read; NULL: there never were any */
    size_t bytes;     /* of these */
};

void run_stdin_take(struct run_stdin *, const struct body_run *);
void run_stdin_clear(struct run_stdin *); /* idempotent */

/* No line is there, and there is somebody to be asked for one. */
bool run_stdin_must_ask(const struct run_stdin *);

/* The first of the lines that wait, a new reference; NULL: the end of the input. */
json_t *run_stdin_next(struct run_stdin *);

/* Another one (NULL: the end).  ERR_CONFLICT: nobody was to be asked.  ERR_BUSY: too much waits. */
int run_stdin_add(struct run_stdin *, const json_t *line, struct err *) must_check;

#endif
