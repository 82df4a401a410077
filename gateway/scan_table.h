/*
 * scan_table.h - the rules as a table, while it is being filled.  Part of scan_rules.h: scan_file.c reads the rules' file into it,
 * scan_rules.c has the rest.
 */
#ifndef GATEWAY_SCAN_TABLE_H
#define GATEWAY_SCAN_TABLE_H

#include <stddef.h>

#include "scan_rules.h"

enum { SCAN_MAX_RULES = 1000, SCAN_N_BUCKETS = 4096 };

struct scan_rules {
    struct scan_rule **rules; /* room for SCAN_MAX_RULES */
    unsigned n_rules, n_words;
    struct scan_pattern *buckets[SCAN_N_BUCKETS];
};

/* With what a scan has to know about Python itself, and no rule; ended by scan_rules_free. */
struct scan_rules *scan_table_new(void);

/* text is at most SCAN_NAME_LEN - 1 bytes, and copied; the rule is borrowed, as one of rules. */
void scan_table_add_row(struct scan_rules *, enum scan_role, const struct scan_rule *,
                        const char *text, size_t len);

/* os, os.path and os.path.join for os.path.join: what is worth keeping track of. */
void scan_table_add_parts(struct scan_rules *, const char *text, size_t len);

/* Both. */
void scan_table_add_name(struct scan_rules *, enum scan_role, const struct scan_rule *,
                         const char *text, size_t len);

#endif
