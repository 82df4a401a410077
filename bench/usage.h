/* usage.h - reading command lines strictly: a wrong option ends the program with a sentence, status 2. */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <getopt.h>
#include <stdint.h>

#include "workload.h"

/* Prints "<program>: <message>" and where help is, and exits with 2. */
void usage_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

uint64_t usage_integer(const char *option, const char *text, uint64_t min, uint64_t max);
double usage_seconds(const char *option, const char *text, double min, double max);

/* "MIN-MAX" or one number for both, seconds. */
void usage_range(const char *option, const char *text, double *min, double *max);

enum workload usage_workload(const char *text);

/* What a program's options are, and whom to tell; a long option's val is its id. */
struct usage {
    const struct option *options; /* the last is all zero */
    int help_id;                  /* of the option that prints help and exits with 0 */
    const char *help;
    void (*apply)(void *owner, int id, const char *value); /* value is argv's; NULL: it has none */
};

void usage_parse(const struct usage *, int argc, char **argv, void *owner);

#endif
