/* stats.c - see stats.h. */
#include "stats.h"

#include <math.h>

#include "mem.h"

void
stats_add(struct stats *s, double value)
{
    if (s->n == s->room) {
        s->room = s->room == 0 ? 256 : 2 * s->room;
        s->values = xrealloc(s->values, s->room * sizeof(*s->values));
    }
    s->values[s->n++] = value;
}

void
stats_clear(struct stats *s)
{
    free(s->values);
    *s = (struct stats){NULL, 0, 0};
}

static int
compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void
stats_sort(struct stats *s)
{
    if (s->n > 1)
        qsort(s->values, s->n, sizeof(*s->values), compare);
}

double
stats_percentile(const struct stats *s, double p)
{
    size_t rank;

    if (s->n == 0)
        return 0;
    rank = (size_t)ceil(p / 100 * (double)s->n - 1e-9); /* 29% of 100 is 29.000000000000004 */
    if (rank < 1)
        rank = 1;
    return s->values[rank > s->n ? s->n - 1 : rank - 1];
}

double
stats_mean(const struct stats *s)
{
    double sum = 0;

    for (size_t i = 0; i < s->n; i++)
        sum += s->values[i];
    return s->n == 0 ? 0 : sum / (double)s->n;
}

static size_t
bin_of(double value, double low, double high, size_t n_bins)
{
    double place;

    if (value <= low)
        return 0;
    place = log(value / low) / log(high / low) * (double)n_bins;
    return place >= (double)n_bins ? n_bins - 1 : (size_t)place;
}

void
stats_histogram(const struct stats *s, double low, double high, size_t *bins, size_t n_bins)
{
    memset(bins, 0, n_bins * sizeof(*bins));
    for (size_t i = 0; i < s->n; i++)
        bins[bin_of(s->values[i], low, high, n_bins)]++;
}
