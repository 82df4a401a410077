/*
 * scan.h - looks at code before it runs, for what has no business in a sandbox.  Pure but for reading the rules' file.
 *
 * A first-pass filter: it reads source text, each execution by itself, and whoever wants to get past it will.  It keeps
 * honest mistakes and copied attacks out, and tells the operator what is being tried; the sandbox is what holds.
 */
#ifndef GATEWAY_SCAN_H
#define GATEWAY_SCAN_H

#include <stddef.h>

#include "err.h"
#include "mem.h"

enum scan_mode { SCAN_OFF, SCAN_WARN, SCAN_BLOCK };

enum { SCAN_MAX_FINDINGS = 64 }; /* of one execution; what comes after them is not looked at */

/* Borrowed from the rules: valid until scan_load or scan_free. */
struct scan_finding {
    const char *rule, *message;
    unsigned line; /* of the opening parenthesis, or of the name of a module; the first is 1 */
};

/* In the order in which they end; each rule once a line. */
struct scan_result {
    unsigned n;
    struct scan_finding findings[SCAN_MAX_FINDINGS];
};

struct scan;

/* For kernels of this language: code in others than "python" is not looked at.  Without rules until scan_load. */
struct scan *scan_new(const char *language);
void scan_free(struct scan *); /* accepts NULL */

/* Reads the rules' file, whose form gateway/scan.rules explains.  On failure the rules stay what they were. */
int scan_load(struct scan *, const char *path, struct err *) must_check;

/* Any bytes; in time linear in len, and memory that does not depend on it. */
void scan_code(const struct scan *, const char *code, size_t len, struct scan_result *);

#endif
