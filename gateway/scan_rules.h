/*
 * scan_rules.h - the rules of a scan: read from a file, checked, and looked up by name.
 *
 * gateway/scan.rules says what the file looks like.  Part of scan.h.
 */
#ifndef GATEWAY_SCAN_RULES_H
#define GATEWAY_SCAN_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

enum {
    SCAN_NAME_LEN = 96, /* of a dotted name, with the NUL: longer ones are no rule's */
    SCAN_TAIL = 4,      /* most names behind the "*." of a pattern */
};

/* What a call must be given for a rule to hold. */
struct scan_argument {
    char *glob; /* '*' is anything */
    size_t glob_len;
    size_t min_len; /* of what can match */
    bool is_name;   /* it may be a dotted name as well as text */
    bool has_star;
};

enum scan_kind { SCAN_IMPORT, SCAN_CALL, SCAN_EXEC };

struct scan_rule {
    char *name, *message;
    enum scan_kind kind;
    bool in_endless_loop; /* it holds there only */
    struct scan_argument *arguments;
    unsigned n_arguments; /* 0: any will do */
    size_t min_len;       /* of the shortest text that one of them matches */
    bool any_name;        /* one of them is a name that may begin with anything */
};

/* What a dotted name can be to the rules. */
enum scan_role {
    ROLE_MODULE,       /* of an import rule */
    ROLE_CALL,         /* of a call rule: this name */
    ROLE_CALL_BELOW,   /* ... name.*, any name that begins with this one */
    ROLE_CALL_ANYONES, /* ... *.name, any name that ends with this one */
    ROLE_DECODER,      /* of an exec rule */
    ROLE_ESCAPES,      /* ... \x */
    ROLE_RUNNER,       /* runs code that it is given: exec, eval, compile */
    ROLE_IMPORTER,     /* imports what it is given: __import__ */
    ROLE_GETATTR,
    ROLE_PART, /* one of the above begins with it */
};

/* A row of the table that is looked up. */
struct scan_pattern {
    struct scan_pattern *next; /* of the same hash */
    enum scan_role role;
    uint64_t hash;
    const struct scan_rule *rule; /* NULL where the role has none */
    size_t len;
    char text[SCAN_NAME_LEN];
};

struct scan_rules;

/* ERR_CONFIG, and path, line and what is allowed in the message, when the file is not usable. */
struct scan_rules *scan_rules_load(const char *path, struct err *) must_check;
void scan_rules_free(struct scan_rules *); /* accepts NULL */

/* The first row and, by it, the further ones of a name in a role; NULL when there is none. */
const struct scan_pattern *scan_rules_find(const struct scan_rules *, enum scan_role,
                                           const char *text, size_t len);
const struct scan_pattern *scan_rules_more(const struct scan_pattern *);

/* The same for a hash made bit by bit: scan_hash(scan_hash(SCAN_HASH, "os", 2), ".fork", 5) is that of os.fork. */
#define SCAN_HASH 14695981039346656037U
uint64_t scan_hash(uint64_t before, const char *text, size_t len);
const struct scan_pattern *scan_rules_find_hashed(const struct scan_rules *, enum scan_role,
                                                  uint64_t hash, const char *text, size_t len);

bool scan_argument_is_text(const struct scan_argument *, const char *text, size_t len);
bool scan_argument_is_name(const struct scan_argument *, const char *name, size_t len);

#endif
