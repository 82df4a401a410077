/* test_metrics.c - the exposition, read back by a strict reader of Prometheus' text format 0.0.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <event2/buffer.h>
#include <locale.h>
#include <math.h>
#include <regex.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/metrics.h"

/* The exposition as a new string. */
static char *
render(void)
{
    struct evbuffer *out = evbuffer_new();
    size_t len;
    char *text;

    assert_non_null(out);
    metrics_render(out);
    len = evbuffer_get_length(out);
    text = calloc(1, len + 1);
    assert_non_null(text);
    evbuffer_remove(out, text, len);
    evbuffer_free(out);
    assert_int_equal(strlen(text), len);
    return text;
}

/* Fails unless the text has this line. */
static void
assert_line(const char *text, const char *line)
{
    const char *hit = text;
    size_t len = strlen(line);

    while ((hit = strstr(hit, line)) != NULL) {
        if ((hit == text || hit[-1] == '\n') && hit[len] == '\n')
            return;
        hit += len;
    }
    fail_msg("no line \"%s\"", line);
}

static void
test_counters(void **state)
{
    char *text;

    (void)state;
    assert_int_equal(metrics_get(METRIC_EXECUTIONS_OK), 0);
    metrics_add(METRIC_EXECUTIONS_OK, 2);
    metrics_add(METRIC_EXECUTIONS_OK, 1);
    metrics_add(METRIC_LINK_BYTES_IN, UINT64_C(18446744073709551610));
    assert_int_equal(metrics_get(METRIC_EXECUTIONS_OK), 3);
    text = render();
    assert_line(text, "# TYPE tci_executions_total counter");
    assert_line(text, "tci_executions_total{outcome=\"ok\"} 3");
    assert_line(text, "tci_executions_total{outcome=\"worker_died\"} 0");
    assert_line(text, "tci_link_bytes_total{direction=\"in\"} 18446744073709551610");
    assert_line(text, "tci_http_requests_total 0");
    free(text);
}

static void
test_gauges(void **state)
{
    char *text;

    (void)state;
    metrics_set(METRIC_WORKERS_WARM, 5);
    metrics_set(METRIC_UPTIME, 0.1);
    metrics_set(METRIC_RSS_BYTES, 123456789012.0);
    metrics_set(METRIC_SESSIONS, NAN);
    metrics_set(METRIC_QUEUED, -INFINITY);
    metrics_set(METRIC_CONNECTIONS, 1.0 / 3);
    text = render();
    assert_line(text, "tci_workers{state=\"warm\"} 5");
    assert_line(text, "tci_uptime_seconds 0.1");
    assert_line(text, "process_resident_memory_bytes 123456789012");
    assert_line(text, "tci_sessions NaN");
    assert_line(text, "tci_executions_queued -Inf");
    assert_line(text, "tci_http_connections 0.33333333333333331");
    free(text);
}

static void
test_histogram(void **state)
{
    static const double values[] = {0.00048828125, 0.0009765625, 0.375, 60, 61, -1, NAN, INFINITY};
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]) - 1; i++)
        metrics_observe(METRIC_EXECUTION_SECONDS, values[i]);
    text = render();
    assert_line(text, "# TYPE tci_execution_duration_seconds histogram");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"0.0005\"} 2");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"0.001\"} 3");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"0.25\"} 3");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"0.5\"} 4");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"60\"} 5");
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"+Inf\"} 6");
    assert_line(text, "tci_execution_duration_seconds_sum 121.37646484375");
    assert_line(text, "tci_execution_duration_seconds_count 6");
    assert_line(text, "tci_event_loop_lag_seconds_count 0");
    free(text);
    metrics_observe(METRIC_EXECUTION_SECONDS, values[7]);
    text = render();
    assert_line(text, "tci_execution_duration_seconds_bucket{le=\"+Inf\"} 7");
    assert_line(text, "tci_execution_duration_seconds_sum +Inf");
    free(text);
}

static void
compile(regex_t *re, const char *pattern)
{
    assert_int_equal(regcomp(re, pattern, REG_EXTENDED), 0);
}

#define NAME "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define LABEL "[a-zA-Z_][a-zA-Z0-9_]*=\"[^\"\\\n]*\""
#define VALUE "([+-]?Inf|NaN|-?[0-9]+(\\.[0-9]+)?(e[+-]?[0-9]+)?)"

/*
 * Every line is a HELP, its TYPE right after it, or a sample that belongs to the TYPE before it; no name comes
 * twice, no series comes twice.
 */
static void
check_format(char *text)
{
    regex_t head, sample;
    char name[128] = "", seen[8192] = "", key[200];
    bool want_type = false;

    compile(&head, "^# (HELP (" NAME ") [^\\]+|TYPE (" NAME ") (counter|gauge|histogram))$");
    compile(&sample, "^(" NAME ")(\\{" LABEL "(," LABEL ")*\\})? " VALUE "$");
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        regmatch_t m[5];
        const bool is_head = regexec(&head, line, 5, m, 0) == 0;

        if (!is_head && regexec(&sample, line, 5, m, 0) != 0)
            fail_msg("not of the format: %s", line);
        if (is_head && !want_type) {
            snprintf(name, sizeof(name), "%.*s", (int)(m[2].rm_eo - m[2].rm_so), line + m[2].rm_so);
            snprintf(key, sizeof(key), "\n%s ", name);
        } else if (is_head) {
            assert_int_equal(strncmp(line + m[3].rm_so, name, strlen(name)), 0);
        } else {
            assert_int_equal(strncmp(line, name, strlen(name)), 0);
            snprintf(key, sizeof(key), "\n%.*s ", (int)(strrchr(line, ' ') - line), line);
        }
        if (!want_type || !is_head) {
            if (strstr(seen, key) != NULL && is_head)
                fail_msg("twice: %s", line);
            assert_true(strlen(seen) + strlen(key) < sizeof(seen));
            memcpy(seen + strlen(seen), key, strlen(key) + 1);
        }
        assert_true(!want_type || is_head);
        want_type = is_head && !want_type;
    }
    regfree(&head);
    regfree(&sample);
}

static void
test_format(void **state)
{
    char *text = render();

    (void)state;
    check_format(text);
    free(text);
}

static void
test_locale(void **state)
{
    char *text;

    (void)state;
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "de_DE") == NULL)
        return; /* no locale with a decimal comma here */
    metrics_set(METRIC_UPTIME, 2.5);
    text = render();
    assert_line(text, "tci_uptime_seconds 2.5");
    free(text);
    setlocale(LC_ALL, "C");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),  cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_histogram), cmocka_unit_test(test_format),
        cmocka_unit_test(test_locale),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
