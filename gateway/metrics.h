/*
 * metrics.h - counters, gauges and histograms, and their Prometheus text exposition (version 0.0.4).
 *
 * All metrics are rows of one table in metrics.c, known at compile time; values are plain numbers of one
 * thread.  Gauges that mirror other state (pool sizes) are set right before rendering.
 */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include <stdint.h>

struct evbuffer;

enum metric_counter {
    METRIC_EXECUTIONS_OK,            /* tci_executions_total{outcome="ok"} */
    METRIC_EXECUTIONS_RAISED,        /* ... "error": the code raised */
    METRIC_EXECUTIONS_TIMEOUT,       /* ... "timeout" */
    METRIC_EXECUTIONS_DIED,          /* ... "worker_died" */
    METRIC_EXECUTIONS_CANCELLED,     /* ... "cancelled": the client hung up */
    METRIC_EXECUTIONS_REJECTED,      /* ... "rejected": queue or pool full */
    METRIC_HTTP_REQUESTS,            /* tci_http_requests_total */
    METRIC_HTTP_ERRORS_4XX,          /* tci_http_errors_total{class="4xx"} */
    METRIC_HTTP_ERRORS_5XX,          /* tci_http_errors_total{class="5xx"} */
    METRIC_HTTP_SLOW_CONNECTIONS,    /* tci_http_connections_cut_total{reason="slow"} */
    METRIC_HTTP_SURPLUS_CONNECTIONS, /* tci_http_connections_cut_total{reason="too_many"} */
    METRIC_AUTH_FAILURES,            /* tci_auth_failures_total */
    METRIC_DENIED_TOKEN,       /* tci_denied_requests_total{reason="token"}: none, or nobody's */
    METRIC_DENIED_EXPIRED,     /* ... "expired": a key that has */
    METRIC_DENIED_REVOKED,     /* ... "revoked": a key that was */
    METRIC_DENIED_RATE,        /* ... "rate": over a key's requests a minute */
    METRIC_DENIED_SESSIONS,    /* ... "sessions": over a key's sessions */
    METRIC_CONTAINER_STARTS,   /* tci_container_starts_total{outcome="ok"} */
    METRIC_CONTAINER_FAILURES, /* tci_container_starts_total{outcome="failed"} */
    METRIC_CONTAINER_EXITS,    /* tci_container_exits_total: ended without being told to */
    METRIC_LINK_MESSAGES_IN,   /* tci_link_messages_total{direction="in"} */
    METRIC_LINK_MESSAGES_OUT,  /* tci_link_messages_total{direction="out"} */
    METRIC_LINK_BYTES_IN,      /* tci_link_bytes_total{direction="in"} */
    METRIC_LINK_BYTES_OUT,     /* tci_link_bytes_total{direction="out"} */
    METRIC_LINK_DROPPED,       /* tci_link_dropped_total: unknown peer or malformed */
    METRIC_KERNEL_BAD_MESSAGES, /* tci_kernel_messages_dropped_total{reason="invalid"}: signature or shape */
    METRIC_KERNEL_STRAY_MESSAGES, /* tci_kernel_messages_dropped_total{reason="stray"}: parent does not fit */
    METRIC_OUTPUT_BYTES,        /* tci_output_bytes_total: output of user code received */
    METRIC_OUTPUT_TRUNCATED,    /* tci_output_truncated_total */
    METRIC_SCAN_WARNED,         /* tci_scan_findings_total{action="warn"}: what the scan found */
    METRIC_SCAN_BLOCKED,        /* ... "block" */
    METRIC_SESSIONS_REAPED,     /* tci_sessions_reaped_total: idle too long */
    METRIC_SESSIONS_RECOVERED,  /* tci_sessions_recovered_total: taken back after a restart */
    METRIC_PROXY_STARTS,        /* tci_proxy_starts_total */
    METRIC_AUDIT_LOG,           /* tci_audit_records_total{sink="log"}: written */
    METRIC_AUDIT_DB,            /* ... "database" */
    METRIC_AUDIT_LOG_DROPPED,   /* tci_audit_dropped_total{reason="log"}: too many waited */
    METRIC_AUDIT_DB_DROPPED,    /* ... "database" */
    METRIC_AUDIT_FLOOD_DROPPED, /* ... "flood": of denied requests */
    METRIC_N_COUNTERS
};

enum metric_gauge {
    METRIC_WORKERS_WARM,     /* tci_workers{state="warm"} */
    METRIC_WORKERS_ASSIGNED, /* tci_workers{state="assigned"} */
    METRIC_WORKERS_STARTING, /* tci_workers{state="starting"} */
    METRIC_WORKERS_DYING,    /* tci_workers{state="dying"} */
    METRIC_SESSIONS,         /* tci_sessions */
    METRIC_QUEUED,           /* tci_executions_queued */
    METRIC_CONNECTIONS,      /* tci_http_connections */
    METRIC_UPTIME,           /* tci_uptime_seconds */
    METRIC_RSS_BYTES,        /* process_resident_memory_bytes */
    METRIC_OPEN_FDS,         /* process_open_fds */
    METRIC_N_GAUGES
};

enum metric_histogram {
    METRIC_EXECUTION_SECONDS,    /* tci_execution_duration_seconds: request received to answer */
    METRIC_WORKER_START_SECONDS, /* tci_worker_start_duration_seconds: container start to warm */
    METRIC_LOOP_LAG_SECONDS,     /* tci_event_loop_lag_seconds: lateness of a periodic timer */
    METRIC_N_HISTOGRAMS
};

void metrics_add(enum metric_counter, uint64_t n);
uint64_t metrics_get(enum metric_counter);
void metrics_set(enum metric_gauge, double value);
void metrics_observe(enum metric_histogram, double value); /* seconds */

/* Appends the whole exposition to the buffer. */
void metrics_render(struct evbuffer *);

#endif
