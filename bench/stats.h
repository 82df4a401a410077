/* stats.h - a growing set of measurements, and what is said of it.  Pure. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct stats { /* zero-initialised is empty */
    double *values;
    size_t n, room;
};

void stats_add(struct stats *, double value);
void stats_clear(struct stats *); /* idempotent */
void stats_sort(struct stats *);  /* ascending; before the functions below */

/* The nearest-rank percentile: the smallest value that at least p percent do not exceed.  0 of nothing. */
double stats_percentile(const struct stats *, double p);
double stats_mean(const struct stats *); /* 0 of nothing */

/*
 * Counts of the values in n_bins bins of equal width on a logarithmic scale from low to high, both above
 * 0; what is outside goes to the first or the last.
 */
void stats_histogram(const struct stats *, double low, double high, size_t *bins, size_t n_bins);

#endif
