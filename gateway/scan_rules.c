/* scan_rules.c - see scan_rules.h and scan_table.h. */
#include "scan_rules.h"

#include <stdlib.h>
#include <string.h>

#include "scan_table.h"

/* --- the table, looked up ----------------------------------------------------------------- */

/* FNV-1a: the patterns are the operator's, so nobody else can make a bucket long. */
uint64_t
scan_hash(uint64_t before, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        before = (before ^ (unsigned char)text[i]) * 1099511628211U;
    return before;
}

static bool
is_row(const struct scan_pattern *p, enum scan_role role, uint64_t hash, const char *text,
       size_t len)
{
    return p->hash == hash && p->role == role && p->len == len && memcmp(p->text, text, len) == 0;
}

const struct scan_pattern *
scan_rules_find_hashed(const struct scan_rules *rules, enum scan_role role, uint64_t hash,
                       const char *text, size_t len)
{
    const struct scan_pattern *p = rules->buckets[hash % SCAN_N_BUCKETS];

    while (p && !is_row(p, role, hash, text, len))
        p = p->next;
    return p;
}

const struct scan_pattern *
scan_rules_find(const struct scan_rules *rules, enum scan_role role, const char *text, size_t len)
{
    return scan_rules_find_hashed(rules, role, scan_hash(SCAN_HASH, text, len), text, len);
}

const struct scan_pattern *
scan_rules_more(const struct scan_pattern *before)
{
    const struct scan_pattern *p = before->next;

    while (p && !is_row(p, before->role, before->hash, before->text, before->len))
        p = p->next;
    return p;
}

/* --- the table, filled -------------------------------------------------------------------- */

void
scan_table_add_row(struct scan_rules *rules, enum scan_role role, const struct scan_rule *rule,
                   const char *text, size_t len)
{
    struct scan_pattern *p = xcalloc(1, sizeof(*p));

    p->role = role;
    p->rule = rule;
    p->hash = scan_hash(SCAN_HASH, text, len);
    p->len = len;
    memcpy(p->text, text, len);
    p->next = rules->buckets[p->hash % SCAN_N_BUCKETS];
    rules->buckets[p->hash % SCAN_N_BUCKETS] = p;
}

void
scan_table_add_parts(struct scan_rules *rules, const char *text, size_t len)
{
    for (size_t i = 1; i <= len; i++)
        if ((i == len || text[i] == '.' || text[i] == '(') &&
            scan_rules_find(rules, ROLE_PART, text, i) == NULL)
            scan_table_add_row(rules, ROLE_PART, NULL, text, i);
}

void
scan_table_add_name(struct scan_rules *rules, enum scan_role role, const struct scan_rule *rule,
                    const char *text, size_t len)
{
    scan_table_add_row(rules, role, rule, text, len);
    scan_table_add_parts(rules, text, len);
}

/* What the scan has to know about Python itself. */
static void
add_language(struct scan_rules *rules)
{
    static const struct {
        enum scan_role role;
        const char *name;
    } known[] = {
        {ROLE_RUNNER, "exec"},
        {ROLE_RUNNER, "eval"},
        {ROLE_RUNNER, "compile"},
        {ROLE_RUNNER, "builtins.exec"},
        {ROLE_RUNNER, "builtins.eval"},
        {ROLE_RUNNER, "builtins.compile"},
        {ROLE_RUNNER, "__builtins__.exec"},
        {ROLE_RUNNER, "__builtins__.eval"},
        {ROLE_RUNNER, "__builtins__.compile"},
        {ROLE_RUNNER, "types.FunctionType"},
        {ROLE_IMPORTER, "__import__"},
        {ROLE_IMPORTER, "builtins.__import__"},
        {ROLE_IMPORTER, "__builtins__.__import__"},
        {ROLE_IMPORTER, "importlib.import_module"},
        {ROLE_IMPORTER, "importlib.__import__"},
        {ROLE_GETATTR, "getattr"},
        {ROLE_GETATTR, "builtins.getattr"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        scan_table_add_name(rules, known[i].role, NULL, known[i].name, strlen(known[i].name));
}

struct scan_rules *
scan_table_new(void)
{
    struct scan_rules *rules = xcalloc(1, sizeof(*rules));

    rules->rules = xcalloc(SCAN_MAX_RULES, sizeof(struct scan_rule *));
    add_language(rules);
    return rules;
}

static void
free_rule(struct scan_rule *rule)
{
    for (unsigned i = 0; i < rule->n_arguments; i++)
        free(rule->arguments[i].glob);
    free(rule->arguments);
    free(rule->name);
    free(rule->message);
    free(rule);
}

void
scan_rules_free(struct scan_rules *rules)
{
    if (rules == NULL)
        return;
    for (unsigned i = 0; i < rules->n_rules; i++)
        free_rule(rules->rules[i]);
    for (size_t i = 0; i < SCAN_N_BUCKETS; i++) {
        while (rules->buckets[i]) {
            struct scan_pattern *p = rules->buckets[i];

            rules->buckets[i] = p->next;
            free(p);
        }
    }
    free(rules->rules);
    free(rules);
}

/* --- arguments ---------------------------------------------------------------------------- */

/* What is between two stars is looked for once, from left to right: the first place that fits leaves most to the rest. */
static bool
matches(const char *glob, size_t glob_len, const char *text, size_t len)
{
    const char *end = glob + glob_len, *star = memchr(glob, '*', glob_len), *next, *hit;
    size_t part = (size_t)(star - glob);

    if (len < part || memcmp(glob, text, part) != 0)
        return false;
    for (;; star = next) {
        text += part;
        len -= part;
        glob = star + 1;
        next = memchr(glob, '*', (size_t)(end - glob));
        part = (size_t)((next ? next : end) - glob);
        if (next == NULL)
            return len >= part && memcmp(text + len - part, glob, part) == 0;
        hit = memmem(text, len, glob, part);
        if (hit == NULL)
            return false;
        len -= (size_t)(hit - text);
        text = hit;
    }
}

bool
scan_argument_is_text(const struct scan_argument *a, const char *text, size_t len)
{
    if (len < a->min_len)
        return false;
    return a->has_star ? matches(a->glob, a->glob_len, text, len)
                       : len == a->glob_len && memcmp(a->glob, text, len) == 0;
}

bool
scan_argument_is_name(const struct scan_argument *a, const char *name, size_t len)
{
    return a->is_name && scan_argument_is_text(a, name, len);
}
