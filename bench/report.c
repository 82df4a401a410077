/* report.c - see report.h. */
#include "report.h"

#include "mem.h"

static const struct {
    const char *key, *name;
} outcomes[OUTCOME_COUNT] = {
    [OUTCOME_OK] = {"ok", "right answer"},
    [OUTCOME_WRONG] = {"wrong", "wrong answer"},
    [OUTCOME_BUSY] = {"429", "429 queue full"},
    [OUTCOME_UNAVAILABLE] = {"503", "503 unavailable"},
    [OUTCOME_OVERTIME] = {"504", "504 code timeout"},
    [OUTCOME_4XX] = {"4xx", "other 4xx"},
    [OUTCOME_5XX] = {"5xx", "other 5xx"},
    [OUTCOME_CONNECTION] = {"connection", "connection error"},
    [OUTCOME_TIMEOUT] = {"timeout", "no answer in time"},
};

static const struct {
    const char *name;
    double p;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}, {"max", 100}};

enum { N_PERCENTILES = sizeof(percentiles) / sizeof(percentiles[0]) };

void
report_init(struct report *r)
{
    memset(r, 0, sizeof(*r));
}

void
report_clear(struct report *r)
{
    stats_clear(&r->all);
    stats_clear(&r->first);
    stats_clear(&r->later);
    stats_clear(&r->plain);
    stats_clear(&r->v1);
}

void
report_add(struct report *r, enum outcome outcome, double ms, enum request_kind kind)
{
    r->outcomes[outcome]++;
    if (outcome != OUTCOME_OK)
        return;
    stats_add(&r->all, ms);
    stats_add(kind == REQUEST_FIRST ? &r->first : &r->later, ms);
    if (kind != REQUEST_FIRST)
        stats_add(kind == REQUEST_V1 ? &r->v1 : &r->plain, ms);
}

void
report_finish(struct report *r)
{
    stats_sort(&r->all);
    stats_sort(&r->first);
    stats_sort(&r->later);
    stats_sort(&r->plain);
    stats_sort(&r->v1);
}

const char *
report_outcome_name(enum outcome o)
{
    return outcomes[o].name;
}

size_t
report_total(const struct report *r)
{
    size_t total = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++)
        total += r->outcomes[i];
    return total;
}

double
report_throughput(const struct report *r)
{
    return r->seconds > 0 ? (double)r->outcomes[OUTCOME_OK] / r->seconds : 0;
}

int
report_is_right(const struct report *r)
{
    return r->outcomes[OUTCOME_OK] == (size_t)r->users * r->requests && r->releases_failed == 0;
}

/* ---- text ---- */

static void
print_latency(FILE *out, const char *title, const struct stats *s)
{
    if (s->n == 0)
        return;
    fprintf(out, "  %-18s", title);
    for (int i = 0; i < N_PERCENTILES; i++)
        fprintf(out, "  %s %.2f", percentiles[i].name, stats_percentile(s, percentiles[i].p));
    fprintf(out, "  mean %.2f\n", stats_mean(s));
}

static void
print_outcomes(FILE *out, const struct report *r)
{
    const size_t total = report_total(r);

    for (int i = 0; i < OUTCOME_COUNT; i++)
        if (i == OUTCOME_OK || r->outcomes[i] > 0)
            fprintf(out, "  %-18s  %zu of %zu (%.2f%%)\n", outcomes[i].name, r->outcomes[i], total,
                    total == 0 ? 0 : 100 * (double)r->outcomes[i] / (double)total);
    if (r->releases_failed > 0)
        fprintf(out, "  %-18s  %zu\n", "failed releases", r->releases_failed);
}

static double
cpu_share(const struct report *r)
{
    return r->seconds > 0 ? r->cpu_seconds / r->seconds : 0;
}

static double
cpu_ms_per_request(const struct report *r)
{
    const size_t total = report_total(r);

    return total == 0 ? 0 : 1000 * r->cpu_seconds / (double)total;
}

void
report_print(const struct report *r, FILE *out)
{
    fprintf(out, "%s: %s, workload %s, %u users x %u requests, think time %g-%g s, seed %llu\n",
            r->program, r->target, r->workload, r->users, r->requests, r->think_min, r->think_max,
            (unsigned long long)r->seed);
    print_outcomes(out, r);
    fprintf(out, "  %-18s  %.1f right answers/s in %.2f s\n", "throughput", report_throughput(r),
            r->seconds);
    print_latency(out, "latency, ms", &r->all);
    print_latency(out, "a user's first", &r->first);
    print_latency(out, "all later", &r->later);
    if (r->plain.n > 0)
        print_latency(out, "... to /v1", &r->v1);
    fprintf(out, "  %-18s  %.3f ms CPU per request, %.0f%% of one core%s\n", "this program",
            cpu_ms_per_request(r), 100 * cpu_share(r),
            cpu_share(r) > 0.8 ? ": IT IS THE BOTTLENECK" : "");
}

/* ---- JSON ---- */

static json_t *
latency_json(const struct stats *s)
{
    json_t *object = xnotnull(json_object());

    for (int i = 0; i < N_PERCENTILES; i++)
        json_object_set_new(object, percentiles[i].name,
                            json_real(stats_percentile(s, percentiles[i].p)));
    json_object_set_new(object, "min", json_real(s->n == 0 ? 0 : s->values[0]));
    json_object_set_new(object, "mean", json_real(stats_mean(s)));
    json_object_set_new(object, "n", json_integer((json_int_t)s->n));
    return object;
}

static json_t *
outcomes_json(const struct report *r)
{
    json_t *object = xnotnull(json_object());

    for (int i = 0; i < OUTCOME_COUNT; i++)
        json_object_set_new(object, outcomes[i].key, json_integer((json_int_t)r->outcomes[i]));
    return object;
}

json_t *
report_json(const struct report *r)
{
    return xnotnull(json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:[ff], s:I, s:f, s:f, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o, "
        "s:f, s:f}",
        "program", r->program, "target", r->target, "workload", r->workload, "users",
        (json_int_t)r->users, "requests", (json_int_t)r->requests, "think_time", r->think_min,
        r->think_max, "seed", (json_int_t)r->seed, "seconds", r->seconds, "throughput",
        report_throughput(r), "right", report_is_right(r), "outcomes", outcomes_json(r),
        "releases_failed", (json_int_t)r->releases_failed, "latency_ms", latency_json(&r->all),
        "first_ms", latency_json(&r->first), "later_ms", latency_json(&r->later), "plain_ms",
        latency_json(&r->plain), "v1_ms", latency_json(&r->v1), "cpu_seconds", r->cpu_seconds,
        "cpu_share", cpu_share(r)));
}
