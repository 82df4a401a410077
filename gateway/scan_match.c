#include "scan_match.h"

#include <stdint.h>

/* The one rule that is in no file. */
static const struct scan_rule too_involved = {
    .name = (char *)"scan-limit",
    .message = (char *)"is too involved for the scan to be followed",
};

void
scan_match_init(struct scan_match *m, const struct scan_rules *rules, struct scan_result *result)
{
    m->rules = rules;
    m->result = result;
    m->n_pending = 0;
    result->n = 0;
}

bool
scan_match_is_full(const struct scan_match *m)
{
    return m->result->n == SCAN_MAX_FINDINGS;
}

void
scan_match_report(struct scan_match *m, const struct scan_rule *rule, unsigned line)
{
    struct scan_result *result = m->result;

    for (unsigned i = 0; i < result->n; i++)
        if (result->findings[i].rule == rule->name && result->findings[i].line == line)
            return;
    if (!scan_match_is_full(m))
        result->findings[result->n++] = (struct scan_finding){rule->name, rule->message, line};
}

void
scan_match_give_up(struct scan_match *m, unsigned line)
{
    scan_match_report(m, &too_involved, line);
}

void
scan_match_import(struct scan_match *m, const char *text, size_t len, unsigned line)
{
    uint64_t hash = SCAN_HASH;

    if (len >= SCAN_NAME_LEN)
        return;
    for (size_t i = 0; i <= len; i++) {
        const struct scan_pattern *p =
            i == len || text[i] == '.'
                ? scan_rules_find_hashed(m->rules, ROLE_MODULE, hash, text, i)
                : NULL;

        for (; p; p = scan_rules_more(p))
            scan_match_report(m, p->rule, line);
        if (i < len)
            hash = scan_hash(hash, text + i, 1);
    }
}

/* The rules of one pattern: those that ask for no argument have found it. */
static void
check_rules(struct scan_match *m, const struct scan_pattern *p, bool in_loop, unsigned line)
{
    for (; p; p = scan_rules_more(p)) {
        if (p->rule->in_endless_loop && !in_loop)
            continue;
        if (p->rule->n_arguments == 0)
            scan_match_report(m, p->rule, line);
        else if (m->n_pending == SCAN_MAX_PENDING)
            scan_match_give_up(m, line);
        else
            m->pending[m->n_pending++] = (struct scan_pending){p->rule, line};
    }
}

/* The rules that are about its end. */
static void
check_tail(struct scan_match *m, const struct scan_chain *chain, bool in_loop, unsigned line)
{
    const char *text = chain->text;
    unsigned tail = 0;

    for (size_t i = chain->len; i-- > 1 && tail < SCAN_TAIL;) {
        const char *end = text + i + 1;
        size_t len = chain->len - i - 1;

        if (text[i] != '.')
            continue;
        tail++;
        check_rules(m, scan_rules_find(m->rules, ROLE_CALL_ANYONES, end, len), in_loop, line);
    }
}

void
scan_match_call(struct scan_match *m, const struct scan_chain *chain, bool in_loop, unsigned line)
{
    const char *text = chain->text;
    uint64_t hash = SCAN_HASH;

    check_tail(m, chain, in_loop, line);
    if (!chain->known)
        return;
    for (size_t i = 0; i < chain->len; i++) {
        if (text[i] == '.')
            check_rules(m, scan_rules_find_hashed(m->rules, ROLE_CALL_BELOW, hash, text, i),
                        in_loop, line);
        hash = scan_hash(hash, text + i, 1);
    }
    check_rules(m, scan_rules_find_hashed(m->rules, ROLE_CALL, hash, text, chain->len), in_loop,
                line);
}

void
scan_match_name(struct scan_match *m, unsigned first, unsigned after,
                const struct scan_chain *chain)
{
    for (unsigned i = first; i < after; i++) {
        const struct scan_pending *p = &m->pending[i];

        if (!chain->known && !p->rule->any_name)
            continue;
        for (unsigned j = 0; j < p->rule->n_arguments; j++)
            if (scan_argument_is_name(&p->rule->arguments[j], chain->text, chain->len))
                scan_match_report(m, p->rule, p->line);
    }
}

void
scan_match_text(struct scan_match *m, unsigned first, unsigned after, const char *text, size_t len)
{
    for (unsigned i = first; i < after; i++) {
        const struct scan_pending *p = &m->pending[i];

        if (len < p->rule->min_len)
            continue;
        for (unsigned j = 0; j < p->rule->n_arguments; j++)
            if (scan_argument_is_text(&p->rule->arguments[j], text, len))
                scan_match_report(m, p->rule, p->line);
    }
}
