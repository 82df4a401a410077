/* packageindex.h - URLs of package indexes, and where who installs from them may connect to.  Pure. */
#ifndef GATEWAY_PACKAGEINDEX_H
#define GATEWAY_PACKAGEINDEX_H

#include <stdbool.h>

#include "mem.h"

enum { PACKAGEINDEX_MAX = 512 /* characters of a URL */ };

struct packageindex {
    char place[PACKAGEINDEX_MAX + 1]; /* host:port, as an entry of netpolicy.h's list */
};

/* http[s]://host[:port][/path], of printable ASCII, without user and password; -1: it is none. */
int packageindex_parse(const char *url, struct packageindex *) must_check;

/*
 * A list of such URLs, separated by commas: one stands for itself, and others behind names of a-z, 0-9, _ and -, as
 * cran=https://cloud.r-project.org.  No name twice.
 */
bool packageindex_is_list(const char *list);

/* The one of that name ("": the one without), which is returned as out; NULL: there is none. */
const char *packageindex_find(const char *list, const char *name, char out[PACKAGEINDEX_MAX + 1]);

/* What their installers may connect to, as netpolicy.h has it: their own hosts, and those; a new string, "" without an index. */
char *packageindex_allow(const char *list, const char *hosts) must_check;

#endif
