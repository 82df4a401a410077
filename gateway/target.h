/*
 * target.h - a request's target taken apart: the parameters that its path has where a route's pattern says so, and those of its
 * query.  Percent-decoded, once; valid UTF-8 without NUL.  Pure.
 *
 * A pattern is compared with the path as it was sent, segment by segment: `{name}` stands for a segment that is not empty, and
 * `{name...}` at the end for all that follows, slashes and nothing included.  A slash that was sent as %2F separates nothing.
 */
#ifndef GATEWAY_TARGET_H
#define GATEWAY_TARGET_H

#include <stdbool.h>

#include "err.h"
#include "mem.h"

enum {
    TARGET_PARAMS = 4,      /* of a path, at most */
    TARGET_QUERY = 24,      /* parameters of a query, at most */
    TARGET_QUERY_MAX = 4096 /* bytes of a query, as sent */
};

struct target_pair {
    const char *name, *value;
};

struct target {
    char *text; /* what the pairs point into; NULL: there are none */
    struct target_pair params[TARGET_PARAMS], query[TARGET_QUERY];
    unsigned n_params, n_query;
};

/* Whether the path is one of the pattern. */
bool target_matches(const char *pattern, const char *path);

/*
 * The parameters of a path that matches, and of the query; NULL: there is none.  On failure -1 with ERR_BAD_REQUEST, and *out
 * cleared.  In a query `+` is a space; a name that occurs twice is refused.
 */
int target_parse(const char *pattern, const char *path, const char *query, struct target *out,
                 struct err *) must_check;
void target_clear(struct target *); /* idempotent */

/* Borrowed from the target; NULL: the pattern has no parameter of that name, the query none. */
const char *target_param(const struct target *, const char *name);
const char *target_query(const struct target *, const char *name);

/* ERR_BAD_REQUEST with the field where the query has a parameter that is none of these; NULL ends them. */
int target_only(const struct target *, const char *const names[], struct err *) must_check;

/* A whole number of the query, within bounds; standard where the query has none of that name. */
int target_number(const struct target *, const char *name, unsigned long long min,
                  unsigned long long max, unsigned long long standard, unsigned long long *out,
                  struct err *) must_check;

/* true, false, 1, 0, or a name without a value: true.  False where the query has none of that name. */
int target_flag(const struct target *, const char *name, bool *out, struct err *) must_check;

#endif
