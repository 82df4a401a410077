/* usage.h - reading command lines strictly: a wrong option ends the program with a sentence, status 2. */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <stdint.h>

/* Prints "<program>: <message>" and where help is, and exits with 2. */
void usage_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

uint64_t usage_integer(const char *option, const char *text, uint64_t min, uint64_t max);
double usage_seconds(const char *option, const char *text, double min, double max);

/* "MIN-MAX" or one number for both, seconds. */
void usage_range(const char *option, const char *text, double *min, double *max);

#endif
