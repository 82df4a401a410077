/* packageindex.h - the URL of a package index, and where who installs from it may connect to.  Pure. */
#ifndef GATEWAY_PACKAGEINDEX_H
#define GATEWAY_PACKAGEINDEX_H

#include "mem.h"

enum { PACKAGEINDEX_MAX = 512 /* characters of a URL */ };

struct packageindex {
    char place[PACKAGEINDEX_MAX + 1]; /* host:port, as an entry of netpolicy.h's list */
};

/* http[s]://host[:port][/path], of printable ASCII, without user and password; -1: it is none. */
int packageindex_parse(const char *url, struct packageindex *) must_check;

/* What its installers may connect to, as netpolicy.h has it: its own host, and those; a new string, "" without an index. */
char *packageindex_allow(const char *url, const char *hosts) must_check;

#endif
