/* metrics.c - see metrics.h.  Rows of one name stand together: HELP and TYPE are written once for
 * them. */
#include "metrics.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    const char *labels; /* as in the exposition, without braces; "" for none */
    const char *help;   /* of the name; repeated in each of its rows */
};

#define EXECUTIONS_HELP "Executions by outcome."
#define HTTP_CUT_HELP "Connections refused or shut down, by reason."
#define HTTP_ERRORS_HELP "HTTP answers with an error status by class."
#define AUDIT_HELP "Audit records written by sink."
#define AUDIT_DROPPED_HELP "Audit records lost by reason."
#define DENIED_HELP "Requests denied by reason."
#define STARTS_HELP "Containers started by outcome."
#define LINK_MESSAGES_HELP "Messages on the link to the workers by direction."
#define LINK_BYTES_HELP "Bytes on the link to the workers by direction."
#define KERNEL_DROPPED_HELP "Kernel messages dropped by reason."
#define SCAN_HELP "Findings of the scan of code by action."

static const struct row counters[METRIC_N_COUNTERS] = {
    [METRIC_EXECUTIONS_OK] = {"tci_executions_total", "outcome=\"ok\"", EXECUTIONS_HELP},
    [METRIC_EXECUTIONS_RAISED] = {"tci_executions_total", "outcome=\"error\"", EXECUTIONS_HELP},
    [METRIC_EXECUTIONS_TIMEOUT] = {"tci_executions_total", "outcome=\"timeout\"", EXECUTIONS_HELP},
    [METRIC_EXECUTIONS_DIED] = {"tci_executions_total", "outcome=\"worker_died\"", EXECUTIONS_HELP},
    [METRIC_EXECUTIONS_CANCELLED] = {"tci_executions_total", "outcome=\"cancelled\"",
                                     EXECUTIONS_HELP},
    [METRIC_EXECUTIONS_REJECTED] = {"tci_executions_total", "outcome=\"rejected\"",
                                    EXECUTIONS_HELP},
    [METRIC_HTTP_REQUESTS] = {"tci_http_requests_total", "", "HTTP requests received."},
    [METRIC_HTTP_ERRORS_4XX] = {"tci_http_errors_total", "class=\"4xx\"", HTTP_ERRORS_HELP},
    [METRIC_HTTP_ERRORS_5XX] = {"tci_http_errors_total", "class=\"5xx\"", HTTP_ERRORS_HELP},
    [METRIC_HTTP_SLOW_CONNECTIONS] = {"tci_http_connections_cut_total", "reason=\"slow\"",
                                      HTTP_CUT_HELP},
    [METRIC_HTTP_SURPLUS_CONNECTIONS] = {"tci_http_connections_cut_total", "reason=\"too_many\"",
                                         HTTP_CUT_HELP},
    [METRIC_AUTH_FAILURES] = {"tci_auth_failures_total", "", "Requests answered 401."},
    [METRIC_DENIED_TOKEN] = {"tci_denied_requests_total", "reason=\"token\"", DENIED_HELP},
    [METRIC_DENIED_EXPIRED] = {"tci_denied_requests_total", "reason=\"expired\"", DENIED_HELP},
    [METRIC_DENIED_REVOKED] = {"tci_denied_requests_total", "reason=\"revoked\"", DENIED_HELP},
    [METRIC_DENIED_RATE] = {"tci_denied_requests_total", "reason=\"rate\"", DENIED_HELP},
    [METRIC_DENIED_SESSIONS] = {"tci_denied_requests_total", "reason=\"sessions\"", DENIED_HELP},
    [METRIC_CONTAINER_STARTS] = {"tci_container_starts_total", "outcome=\"ok\"", STARTS_HELP},
    [METRIC_CONTAINER_FAILURES] = {"tci_container_starts_total", "outcome=\"failed\"", STARTS_HELP},
    [METRIC_CONTAINER_EXITS] = {"tci_container_exits_total", "",
                                "Containers that ended without being told to."},
    [METRIC_LINK_MESSAGES_IN] = {"tci_link_messages_total", "direction=\"in\"", LINK_MESSAGES_HELP},
    [METRIC_LINK_MESSAGES_OUT] = {"tci_link_messages_total", "direction=\"out\"",
                                  LINK_MESSAGES_HELP},
    [METRIC_LINK_BYTES_IN] = {"tci_link_bytes_total", "direction=\"in\"", LINK_BYTES_HELP},
    [METRIC_LINK_BYTES_OUT] = {"tci_link_bytes_total", "direction=\"out\"", LINK_BYTES_HELP},
    [METRIC_LINK_DROPPED] = {"tci_link_dropped_total", "",
                             "Link messages dropped: unknown sender or malformed."},
    [METRIC_KERNEL_BAD_MESSAGES] = {"tci_kernel_messages_dropped_total", "reason=\"invalid\"",
                                    KERNEL_DROPPED_HELP},
    [METRIC_KERNEL_STRAY_MESSAGES] = {"tci_kernel_messages_dropped_total", "reason=\"stray\"",
                                      KERNEL_DROPPED_HELP},
    [METRIC_OUTPUT_BYTES] = {"tci_output_bytes_total", "", "Bytes of user code's output received."},
    [METRIC_OUTPUT_TRUNCATED] = {"tci_output_truncated_total", "",
                                 "Executions whose output went over the limit."},
    [METRIC_SCAN_WARNED] = {"tci_scan_findings_total", "action=\"warn\"", SCAN_HELP},
    [METRIC_SCAN_BLOCKED] = {"tci_scan_findings_total", "action=\"block\"", SCAN_HELP},
    [METRIC_SESSIONS_REAPED] = {"tci_sessions_reaped_total", "",
                                "Sessions ended because they were idle too long."},
    [METRIC_SESSIONS_RECOVERED] = {"tci_sessions_recovered_total", "",
                                   "Sessions taken back after a restart of the gateway."},
    [METRIC_PROXY_STARTS] = {"tci_proxy_starts_total", "",
                             "Starts of the proxy for sessions with a network."},
    [METRIC_AUDIT_LOG] = {"tci_audit_records_total", "sink=\"log\"", AUDIT_HELP},
    [METRIC_AUDIT_DB] = {"tci_audit_records_total", "sink=\"database\"", AUDIT_HELP},
    [METRIC_AUDIT_LOG_DROPPED] = {"tci_audit_dropped_total", "reason=\"log\"", AUDIT_DROPPED_HELP},
    [METRIC_AUDIT_DB_DROPPED] = {"tci_audit_dropped_total", "reason=\"database\"",
                                 AUDIT_DROPPED_HELP},
    [METRIC_AUDIT_FLOOD_DROPPED] = {"tci_audit_dropped_total", "reason=\"flood\"",
                                    AUDIT_DROPPED_HELP},
};

static const struct row gauges[METRIC_N_GAUGES] = {
    [METRIC_WORKERS_WARM] = {"tci_workers", "state=\"warm\"", "Workers by state."},
    [METRIC_WORKERS_ASSIGNED] = {"tci_workers", "state=\"assigned\"", "Workers by state."},
    [METRIC_WORKERS_STARTING] = {"tci_workers", "state=\"starting\"", "Workers by state."},
    [METRIC_WORKERS_DYING] = {"tci_workers", "state=\"dying\"", "Workers by state."},
    [METRIC_SESSIONS] = {"tci_sessions", "", "Sessions alive."},
    [METRIC_QUEUED] = {"tci_executions_queued", "", "Executions that wait for their turn."},
    [METRIC_CONNECTIONS] = {"tci_http_connections", "", "HTTP connections open."},
    [METRIC_UPTIME] = {"tci_uptime_seconds", "", "Seconds since the gateway started."},
    [METRIC_RSS_BYTES] = {"process_resident_memory_bytes", "", "Resident memory of the gateway."},
    [METRIC_OPEN_FDS] = {"process_open_fds", "", "File descriptors that the gateway has open."},
};

static const struct row histograms[METRIC_N_HISTOGRAMS] = {
    [METRIC_EXECUTION_SECONDS] = {"tci_execution_duration_seconds", "",
                                  "Time from an execution's request to its answer."},
    [METRIC_WORKER_START_SECONDS] = {"tci_worker_start_duration_seconds", "",
                                     "Time from a container's start to a warm worker."},
    [METRIC_LOOP_LAG_SECONDS] = {"tci_event_loop_lag_seconds", "",
                                 "Lateness of a periodic timer of the event loop."},
};

static const double bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
#define N_BOUNDS (sizeof(bounds) / sizeof(bounds[0]))

struct histogram {
    uint64_t buckets[N_BOUNDS + 1]; /* each for itself, not cumulative; the last is what is above */
    double sum;
};

static uint64_t counter_values[METRIC_N_COUNTERS];
static double gauge_values[METRIC_N_GAUGES];
static struct histogram histogram_values[METRIC_N_HISTOGRAMS];

void
metrics_add(enum metric_counter c, uint64_t n)
{
    counter_values[c] += n;
}

uint64_t
metrics_get(enum metric_counter c)
{
    return counter_values[c];
}

void
metrics_set(enum metric_gauge g, double value)
{
    gauge_values[g] = value;
}

void
metrics_observe(enum metric_histogram h, double value)
{
    size_t i = 0;

    if (isnan(value))
        return;
    if (value < 0) /* a clock that was put back */
        value = 0;
    while (i < N_BOUNDS && value > bounds[i])
        i++;
    histogram_values[h].buckets[i]++;
    histogram_values[h].sum += value;
}

/* The shortest form that reads back as the same number. */
static const char *
number(double value, char *buf, size_t size)
{
    if (isnan(value))
        return "NaN";
    if (isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    snprintf(buf, size, "%.15g", value);
    if (strtod(buf, NULL) != value)
        snprintf(buf, size, "%.17g", value);
    return buf;
}

static void
render_head(struct evbuffer *out, const struct row *rows, size_t i, const char *type)
{
    if (i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
        return;
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help,
                        rows[i].name, type);
}

static void
render_series(struct evbuffer *out, const struct row *row, const char *value)
{
    const bool bare = row->labels[0] == '\0';

    evbuffer_add_printf(out, "%s%s%s%s %s\n", row->name, bare ? "" : "{", row->labels,
                        bare ? "" : "}", value);
}

static void
render_counters(struct evbuffer *out)
{
    char buf[32];

    for (size_t i = 0; i < METRIC_N_COUNTERS; i++) {
        render_head(out, counters, i, "counter");
        snprintf(buf, sizeof(buf), "%" PRIu64, counter_values[i]);
        render_series(out, &counters[i], buf);
    }
}

static void
render_gauges(struct evbuffer *out)
{
    char buf[32];

    for (size_t i = 0; i < METRIC_N_GAUGES; i++) {
        render_head(out, gauges, i, "gauge");
        render_series(out, &gauges[i], number(gauge_values[i], buf, sizeof(buf)));
    }
}

static void
render_histogram(struct evbuffer *out, const char *name, const struct histogram *h)
{
    char buf[32];
    uint64_t total = 0;

    for (size_t i = 0; i <= N_BOUNDS; i++) {
        total += h->buckets[i];
        evbuffer_add_printf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
                            number(i < N_BOUNDS ? bounds[i] : INFINITY, buf, sizeof(buf)), total);
    }
    evbuffer_add_printf(out, "%s_sum %s\n", name, number(h->sum, buf, sizeof(buf)));
    evbuffer_add_printf(out, "%s_count %" PRIu64 "\n", name, total);
}

/* For this thread, numbers get a decimal point, whatever locale somebody may have set. */
static locale_t
use_c_locale(void)
{
    static locale_t c_locale;

    if (c_locale == NULL)
        c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    return c_locale == NULL ? NULL : uselocale(c_locale);
}

void
metrics_render(struct evbuffer *out)
{
    locale_t before = use_c_locale();

    render_counters(out);
    render_gauges(out);
    for (size_t i = 0; i < METRIC_N_HISTOGRAMS; i++) {
        render_head(out, histograms, i, "histogram");
        render_histogram(out, histograms[i].name, &histogram_values[i]);
    }
    if (before != NULL)
        uselocale(before);
}
