/* chart.h - a report as one SVG: distribution of latency, its percentiles, and a pie of the outcomes. */
#ifndef BENCH_CHART_H
#define BENCH_CHART_H

#include "err.h"
#include "mem.h"
#include "report.h"

/* Self-contained; dark or light as the reader's system is. */
int chart_write(const struct report *, const char *path, struct err *) must_check;

#endif
