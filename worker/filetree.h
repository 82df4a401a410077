/* filetree.h - trees of files: walked in an order that can be taken up again, and removed. */
#ifndef WORKER_FILETREE_H
#define WORKER_FILETREE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <jansson.h>

enum {
    FILETREE_DEPTH = 128, /* directories below each other that a walk goes into */
    FILETREE_BATCH = 512, /* names of one directory in memory at a time */
};

/* One that the walk has come to.  dir and name are for openat(2) and its like; path is from where the walk began. */
struct filetree_entry {
    int dir;
    const char *name;
    const char *path;
    const struct stat *st; /* of a link itself */
};

/* Not 0: the walk ends with that. */
typedef int filetree_visit_fn(void *arg, const struct filetree_entry *);

struct filetree_walk {
    filetree_visit_fn *visit;
    void *arg;
    bool recursive;    /* into directories, which are visited before what is in them */
    const char *after; /* the path that an earlier walk ended with, or "" */
    bool truncated;    /* set when something lies too deep, or its path is too long */
};

/*
 * Visits what is in the directory, prefix and '/' before each path unless it is "".  Names are in the order of their bytes,
 * links are not followed, and what goes while the walk is on may be left out.  However large a directory is, no more than a
 * batch of it is in memory.  What the last visit returned, or -1 with errno.
 */
int filetree_walk(int dir, const char *prefix, struct filetree_walk *)
    __attribute__((warn_unused_result));

/* Everything in the directory; -1 with errno. */
int filetree_empty(int dir) __attribute__((warn_unused_result));

/* The name and, if it is a directory, everything in it. */
int filetree_remove(int dir, const char *name) __attribute__((warn_unused_result));

/* What is told of a file: {"path", "type", "size", "mode", "modified_at", "etag", "target"?}. */
json_t *filetree_describe(const struct filetree_entry *);

/* The entity tag of what was stat'ed: another one after every change. */
enum { FILETREE_ETAG_MAX = 72 };
void filetree_etag(const struct stat *, char out[FILETREE_ETAG_MAX]);

#endif
