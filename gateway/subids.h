/* subids.h - the subordinate ids that /etc/subuid and /etc/subgid give to an ordinary user (subuid(5)). */
#ifndef GATEWAY_SUBIDS_H
#define GATEWAY_SUBIDS_H

#include <stddef.h>

enum { SUBIDS_MAX_RANGES = 16 };

struct subids {
    struct subids_range {
        unsigned first, count;
    } ranges[SUBIDS_MAX_RANGES];
    size_t n;
    unsigned total; /* of all their counts */
};

/*
 * The ranges of the user, who is named in the file by name or by number.  A file that cannot be read has none; lines that
 * are not name:first:count are passed over, as newuidmap(1) does.
 */
void subids_read(struct subids *, const char *path, const char *name, unsigned uid);

#endif
