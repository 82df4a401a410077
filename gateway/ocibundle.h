/*
 * ocibundle.h - what one container is started from: a directory with its config.json, the boot record as its stdin, and a
 * file that takes what it writes to its stdout and stderr.
 *
 * The boot record waits in a pipe.  The output is a memory file of a fixed size, which also takes the messages of the
 * program that starts the container: it cannot grow, needs no reader, and is ours alone to read.
 */
#ifndef GATEWAY_OCIBUNDLE_H
#define GATEWAY_OCIBUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct container_spec;

struct ocibundle {
    char *dir;
    char *pid_file; /* in it; the program that starts the container writes it */
    int stdin_fd;   /* -1: none, or not any more */
    int output_fd;  /* -1: none; the container is an earlier gateway's */
};

/* Of a container that there may be already; makes nothing. */
void ocibundle_init(struct ocibundle *, const char *dir);

/* The config.json in that directory, or NULL. */
json_t *ocibundle_config(const char *dir);

/* Makes it all.  Fails, and touches nothing, when there is such a directory already: it is another container's. */
int ocibundle_make(struct ocibundle *, const json_t *config, const struct container_spec *,
                   struct err *) must_check;

void ocibundle_close_stdin(struct ocibundle *);
void ocibundle_clear(struct ocibundle *); /* the directory stays */

/* What the pid file says; 0 with errno if nothing (ESRCH), or if it cannot be read. */
pid_t ocibundle_pid(const struct ocibundle *);

/* To the log: what the worker wrote. */
void ocibundle_log_output(const struct ocibundle *, const char *id, bool expected);

/* why, followed by the last line of the output, which says what was wrong. */
void ocibundle_explain(const struct ocibundle *, const char *why, struct err *);

/* Removes a directory, or a file, with all that is in it.  What is not there is no error. */
int ocibundle_remove_tree(const char *path, struct err *);

#endif
