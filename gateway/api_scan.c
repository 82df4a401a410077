#include "api_scan.h"

#include "config.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "scan.h"

static json_t *
add_findings(const struct scan_result *result, json_t *findings)
{
    if (findings == NULL)
        findings = xnotnull(json_array());
    for (unsigned i = 0; i < result->n; i++) {
        const struct scan_finding *f = &result->findings[i];

        json_array_append_new(findings,
                              xnotnull(json_pack("{s:s,s:I,s:s}", "rule", f->rule, "line",
                                                 (json_int_t)f->line, "message", f->message)));
    }
    return findings;
}

json_t *
api_scan(const struct api_parts *parts, const char *code, size_t len, json_t *findings)
{
    const bool block = parts->config->scan == SCAN_BLOCK;
    struct scan_result result;

    if (parts->config->scan == SCAN_OFF)
        return findings;
    scan_code(parts->scan, code, len, &result);
    if (result.n == 0)
        return findings;
    metrics_add(block ? METRIC_SCAN_BLOCKED : METRIC_SCAN_WARNED, result.n);
    log_info("scan: %s: %u finding%s, the first is %s in line %u", block ? "blocked" : "warned",
             result.n, result.n == 1 ? "" : "s", result.findings[0].rule, result.findings[0].line);
    return add_findings(&result, findings);
}

bool
api_scan_blocks(const struct api_parts *parts, const json_t *findings)
{
    return findings && parts->config->scan == SCAN_BLOCK;
}

char *
api_scan_why(const json_t *findings)
{
    const json_t *first = json_array_get(findings, 0);

    return xasprintf("The code was not run: line %lld breaks the rule %s, which %s",
                     (long long)json_integer_value(json_object_get(first, "line")),
                     json_string_value(json_object_get(first, "rule")),
                     json_string_value(json_object_get(first, "message")));
}
