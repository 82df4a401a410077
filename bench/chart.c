/*
 * chart.c - see chart.h.
 *
 * The plot of latency has a logarithmic axis of time; bars count the right answers, the line is the share of
 * them that were there by then.  Colours are classes of a style sheet that follows the reader's colour scheme.
 */
#include "chart.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { WIDTH = 960, HEIGHT = 430, N_BINS = 64 };

static const double left = 62, right = 640, top = 92, bottom = 368; /* the plot's edges */
static const double pie_x = 800, pie_y = 186, pie_radius = 84;

static const char style[] =
    "<style>\n"
    "svg { --paper: #ffffff; --ink: #1c2430; --faint: #5d6878; --grid: #e2e6ec; --bar: #7fb2e5;\n"
    "  --line: #b4520a; font-family: system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif; }\n"
    "@media (prefers-color-scheme: dark) { svg { --paper: #12161d; --ink: #e8ecf2;\n"
    "  --faint: #9aa6b6; --grid: #2a323e; --bar: #3f78b0; --line: #f0a05a; } }\n"
    ".paper { fill: var(--paper) } text { fill: var(--ink); font-size: 12px }\n"
    ".title { font-size: 16px; font-weight: 600 } .faint { fill: var(--faint) }\n"
    ".grid { stroke: var(--grid); stroke-width: 1 } .bar { fill: var(--bar) }\n"
    ".line { fill: none; stroke: var(--line); stroke-width: 2 }\n"
    ".mark { stroke: var(--faint); stroke-width: 1; stroke-dasharray: 3 3 }\n"
    ".slice { stroke: var(--paper); stroke-width: 1.5 }\n"
    "</style>\n";

/* Told apart in both colour schemes; green only for right answers. */
static const char *const colours[OUTCOME_COUNT] = {
    [OUTCOME_OK] = "#3a9d5d",       [OUTCOME_WRONG] = "#d03a3a",
    [OUTCOME_BUSY] = "#d9a514",     [OUTCOME_UNAVAILABLE] = "#e0752d",
    [OUTCOME_OVERTIME] = "#9a5fc4", [OUTCOME_4XX] = "#4f86c6",
    [OUTCOME_5XX] = "#b03a7a",      [OUTCOME_CONNECTION] = "#7b8794",
    [OUTCOME_TIMEOUT] = "#2aa5a0",
};

struct plot {
    FILE *out;
    const struct report *report;
    double low, high; /* of the axis of time, milliseconds */
    size_t bins[N_BINS], highest;
};

/* ---- text ---- */

static void
put_escaped(FILE *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (strchr("<>&\"", *s) != NULL)
            fprintf(out, "&#%d;", *s);
        else if ((unsigned char)*s >= ' ')
            fputc(*s, out);
    }
}

static void
put_head(struct plot *p)
{
    const struct report *r = p->report;

    fprintf(p->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" role=\"img\">\n%s<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, style, WIDTH, HEIGHT);
    fprintf(p->out, "<text class=\"title\" x=\"24\" y=\"32\">%u users × %u requests, workload ",
            r->users, r->requests);
    put_escaped(p->out, r->workload);
    fprintf(p->out, ": %.1f right answers per second</text>\n", report_throughput(r));
    fprintf(
        p->out,
        "<text class=\"faint\" x=\"24\" y=\"52\">think time %g–%g s, seed %llu, %.2f s in all, ",
        r->think_min, r->think_max, (unsigned long long)r->seed, r->seconds);
    put_escaped(p->out, r->target);
    fputs("</text>\n", p->out);
}

/* ---- latency ---- */

static double
x_of(const struct plot *p, double ms)
{
    const double place = log(ms / p->low) / log(p->high / p->low);

    return left + (right - left) * (place < 0 ? 0 : place > 1 ? 1 : place);
}

static double
y_of(double share)
{
    return bottom - (bottom - top) * share;
}

/* A third of a decade at least, so that a narrow distribution is not blown up to nothing but noise. */
static void
choose_axis(struct plot *p)
{
    const struct stats *s = &p->report->all;

    p->low = s->n == 0 ? 1 : s->values[0] / 1.08;
    p->high = s->n == 0 ? 10 : s->values[s->n - 1] * 1.08;
    if (p->low < 1e-3)
        p->low = 1e-3;
    if (p->high < p->low * 2.2)
        p->high = p->low * 2.2;
    stats_histogram(s, p->low, p->high, p->bins, N_BINS);
    for (size_t i = 0; i < N_BINS; i++)
        if (p->bins[i] > p->highest)
            p->highest = p->bins[i];
}

static void
put_time_tick(struct plot *p, double ms)
{
    const double x = x_of(p, ms);

    fprintf(p->out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
            "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n",
            x, top, x, bottom, x, bottom + 17, ms);
}

/* 1, 2, 5 of each decade; all whole steps where the axis covers less than one. */
static void
put_time_ticks(struct plot *p)
{
    static const double coarse[] = {1, 2, 5}, fine[] = {1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9};
    const bool narrow = p->high / p->low < 8;
    const double *steps = narrow ? fine : coarse;
    const size_t n = narrow ? sizeof(fine) / sizeof(fine[0]) : sizeof(coarse) / sizeof(coarse[0]);

    const int first = (int)floor(log10(p->low)), last = (int)floor(log10(p->high));

    for (int decade = first; decade <= last; decade++) {
        for (size_t i = 0; i < n; i++) {
            const double at = pow(10, decade) * steps[i];

            if (at >= p->low && at <= p->high)
                put_time_tick(p, at);
        }
    }
    fprintf(p->out,
            "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">milliseconds from "
            "request to answer</text>\n",
            (left + right) / 2, bottom + 40);
}

static void
put_share_ticks(struct plot *p)
{
    for (int percent = 0; percent <= 100; percent += 25)
        fprintf(p->out,
                "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                "<text class=\"faint\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%d%%</text>\n",
                left, y_of(percent / 100.0), right, y_of(percent / 100.0), left - 8,
                y_of(percent / 100.0) + 4, percent);
}

static void
put_bars(struct plot *p)
{
    const double width = (right - left) / N_BINS;
    double height;

    for (size_t i = 0; i < N_BINS; i++) {
        if (p->bins[i] == 0)
            continue;
        height = (bottom - top) * (double)p->bins[i] / (double)p->highest;
        fprintf(p->out,
                "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                left + width * (double)i + 0.5, bottom - height, width - 1, height);
    }
}

/* The share that was there by then: one point for each thousandth is as good as all of them. */
static void
put_line(struct plot *p)
{
    const struct stats *s = &p->report->all;
    const size_t step = s->n > 1000 ? s->n / 1000 : 1;

    fprintf(p->out, "<path class=\"line\" d=\"M%.1f %.1f", x_of(p, s->values[0]), bottom);
    for (size_t i = 0; i < s->n; i += step)
        fprintf(p->out, "L%.1f %.1f", x_of(p, s->values[i]), y_of((double)(i + 1) / (double)s->n));
    fprintf(p->out, "L%.1f %.1f\"/>\n", x_of(p, s->values[s->n - 1]), y_of(1));
}

/* Labels stand in two rows by turns, and are moved where they would still touch. */
static void
put_marks(struct plot *p)
{
    static const struct {
        const char *name;
        double percent;
    } marks[] = {{"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}};
    double room[2] = {left, left};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        const double ms = stats_percentile(&p->report->all, marks[i].percent), x = x_of(p, ms);
        const size_t row = i % 2;
        const double label = x < room[row] ? room[row] : x;

        fprintf(p->out,
                "<line class=\"mark\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">%s %.3g ms</text>\n",
                x, top - 4 - 13 * (double)row, x, bottom, label + 3, top - 5 - 13 * (double)row,
                marks[i].name, ms);
        room[row] = label + 92;
    }
}

static void
put_latency(struct plot *p)
{
    choose_axis(p);
    put_share_ticks(p);
    put_time_ticks(p);
    if (p->report->all.n == 0) {
        fprintf(p->out,
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">no right answer</text>\n",
                (left + right) / 2, (top + bottom) / 2);
        return;
    }
    put_bars(p);
    put_line(p);
    put_marks(p);
}

/* ---- outcomes ---- */

static void
put_slice(struct plot *p, enum outcome o, double from, double to)
{
    const double a = 2 * M_PI * from, b = 2 * M_PI * to;

    if (to - from > 0.99999) { /* an arc cannot go all the way round */
        fprintf(p->out,
                "<circle class=\"slice\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\"/>\n", pie_x,
                pie_y, pie_radius, colours[o]);
        return;
    }
    fprintf(p->out,
            "<path class=\"slice\" fill=\"%s\" d=\"M%.2f %.2fL%.2f %.2fA%.2f %.2f 0 %d 1 %.2f "
            "%.2fZ\"/>\n",
            colours[o], pie_x, pie_y, pie_x + pie_radius * sin(a), pie_y - pie_radius * cos(a),
            pie_radius, pie_radius, to - from > 0.5, pie_x + pie_radius * sin(b),
            pie_y - pie_radius * cos(b));
}

static void
put_legend(struct plot *p, enum outcome o, int row, size_t total)
{
    const size_t n = p->report->outcomes[o];
    const double y = pie_y + pie_radius + 24 + 17 * row;

    fprintf(p->out,
            "<rect x=\"690\" y=\"%.1f\" width=\"11\" height=\"11\" rx=\"2\" fill=\"%s\"/>"
            "<text x=\"708\" y=\"%.1f\">%s</text>"
            "<text x=\"936\" y=\"%.1f\" text-anchor=\"end\">%zu (%.4g%%)</text>\n",
            y, colours[o], y + 10, report_outcome_name(o), y + 10, n,
            100 * (double)n / (double)total);
}

static void
put_outcomes(struct plot *p)
{
    const size_t total = report_total(p->report);
    size_t before = 0;
    int row = 0;

    for (int o = 0; o < OUTCOME_COUNT; o++) {
        const size_t n = p->report->outcomes[o];

        if (n == 0)
            continue;
        put_slice(p, (enum outcome)o, (double)before / (double)total,
                  (double)(before + n) / (double)total);
        put_legend(p, (enum outcome)o, row++, total);
        before += n;
    }
}

int
chart_write(const struct report *r, const char *path, struct err *err)
{
    struct plot plot = {.out = fopen(path, "we"), .report = r};
    int failed;

    if (plot.out == NULL)
        return err_sys(err, "cannot write %.200s", path);
    put_head(&plot);
    put_latency(&plot);
    put_outcomes(&plot);
    fputs("</svg>\n", plot.out);
    failed = ferror(plot.out);
    if (fclose(plot.out) != 0 || failed)
        return err_sys(err, "cannot write %.200s", path);
    return 0;
}
