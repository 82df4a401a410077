/*
 * progress.h - how far a transfer is: a line on a terminal, with its rate and the time that is left.
 *
 * It appears when the transfer has taken more than a second and stderr is a terminal, and is gone when it has ended.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *name; /* borrowed */
    int64_t total;    /* bytes; -1: nobody knows */
    int64_t done;
    double begun;   /* seconds, as all times here, of any clock that does not go back */
    double sampled; /* when the rate was last looked at */
    int64_t at;     /* bytes there were then */
    double rate;    /* bytes a second, of late; 0: not known yet */
    double drawn;   /* 0: never */
    bool wanted;
};

/* first: bytes that were there before, which count for no rate.  quiet: no line. */
void progress_begin(struct progress *, const char *name, int64_t first, int64_t total, bool quiet);
void progress_move(struct progress *, int64_t bytes); /* so many more */
void progress_show(struct progress *);                /* draws it, if it is time */
void progress_end(struct progress *);                 /* and the line is gone */

/* What is behind that; pure. */
void progress_start(struct progress *, double now, int64_t first, int64_t total);
void progress_sample(struct progress *, double now);

/* Seconds that are left at this rate; -1: nobody knows. */
double progress_left(const struct progress *);

/* The line, of at most `columns`, as a new string. */
char *progress_line(const struct progress *, size_t columns);

/* "1.5 MiB", "12 s" and "1:02:03". */
void progress_bytes(double bytes, char *out, size_t size);
void progress_time(double seconds, char *out, size_t size);

#endif
