/*
 * tarball.h - a directory of this machine as a tar, and the other way round, in a process of its own with a pipe to it.
 *
 * What comes from a session is not taken on trust: no entry leads out of the directory, through no link; owners, set-user-ID bits
 * and devices are left out.
 */
#ifndef CLI_TARBALL_H
#define CLI_TARBALL_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "gateway/err.h"
#include "gateway/mem.h"

struct tarball_job {
    pid_t pid;
    int pipe;                /* the tar is read from it, or written to it */
    int notes;               /* what went wrong */
    struct sigaction before; /* what SIGPIPE did, which is ignored meanwhile */
};

/* The directory's files, directories and links. */
int tarball_pack(const char *dir, struct tarball_job *, struct err *) must_check;

/* Into the directory, which is there. */
int tarball_unpack(const char *dir, struct tarball_job *, struct err *) must_check;

/* Closes the pipe and waits for the end.  ERR_SYSTEM: something could not be packed or unpacked. */
int tarball_finish(struct tarball_job *, struct err *) must_check;

/* About how many bytes the directory's tar has; -1: it cannot be read. */
int64_t tarball_estimate(const char *dir);

#endif
