/*
 * listing.h - the files in a directory and below it, with what tells one that was changed: as many as can be looked at in a
 * moment.
 *
 * What is there may be made to hurt whoever looks: nothing but directories is opened, no link is followed, nothing that is
 * mounted there is entered, and there is an end to it however many there are.
 */
#ifndef WORKER_LISTING_H
#define WORKER_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    LISTING_MAX = 2000,       /* files and directories */
    LISTING_TEXT = 256 << 10, /* bytes of their paths */
    LISTING_DEPTH = 32,       /* directories in each other */
    LISTING_CPU_MS = 5,       /* of processor time that it may take */
};

struct listing_file {
    uint32_t path; /* of its path in text, relative to the directory */
    bool is_dir;
    uint64_t inode, size;
    struct timespec modified, changed;
};

struct listing {
    size_t n, n_text;
    bool whole;             /* that is all that there is */
    struct timespec newest; /* of what is no directory, when that was changed last */
    struct timespec empty; /* when an empty directory was changed last; 0: just now, or it is not */
    struct listing_file files[LISTING_MAX];
    char text[LISTING_TEXT];
};

/* For listing_read; -1: errno says why. */
int listing_open(const char *dir);

/*
 * In the order in which the file system tells it, a directory before what it contains.  dir: listing_open's, always the same,
 * as often as one likes; -1: there is none.  The listing: of before, or all 0.
 */
void listing_read(struct listing *, int dir);

static inline const char *
listing_path(const struct listing *l, size_t i)
{
    return l->text + l->files[i].path;
}

#endif
