/*
 * workload.h - what the users of a measurement execute, and which answer is right.  Pure; the same for
 * bench/load and bench/floor.
 *
 * Every user has a state of its own, drawn from the seed and the user's number.  The first request sets it
 * and must be answered by nothing; each later one changes it and is answered by a number that is right only
 * if every request before it was executed, once and in order, in this user's own session.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workload {
    WORKLOAD_STATEFUL,  /* a third each: arithmetic, a list, a numpy array */
    WORKLOAD_INCREMENT, /* a += 1; a */
    WORKLOAD_CONSTANT,  /* 1 + 1: no state, all requests alike, the first too */
    WORKLOAD_PLOT,      /* a number and a PNG by matplotlib */
    WORKLOAD_MIXED,     /* a fifth each: the three of stateful, increment, plot */
};

#define WORKLOAD_NAMES "stateful, increment, constant, plot, mixed"

struct workload_step {
    char code[256];
    char text[32]; /* the right answer */
    bool picture;  /* ... and a PNG with it */
};

struct workload_answer { /* borrowed */
    const char *text;    /* NULL = none */
    size_t text_len;
    const char *png; /* base64, NULL = none */
    bool raised;     /* the code ended with an exception */
};

enum { WORKLOAD_LIST_MAX = 4 };

struct workload_user {
    int scenario;
    uint64_t random;
    unsigned step;
    int64_t x; /* the number, the list's sum */
    int64_t v[WORKLOAD_LIST_MAX];
};

int workload_parse(const char *name); /* enum workload, or -1 */
const char *workload_name(enum workload);

void workload_user_init(struct workload_user *, enum workload, uint64_t seed, unsigned number);
void workload_next(struct workload_user *, struct workload_step *out);

/* After a request that may not have been executed: the next one sets the state anew. */
void workload_user_restart(struct workload_user *);

bool workload_is_right(const struct workload_step *, const struct workload_answer *);

/* Uniform in [0, 1); *state is any number and goes on from call to call. */
double workload_random(uint64_t *state);

#endif
