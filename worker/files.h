/*
 * files.h - the operations on the session's files that run (protocol.h: FILES): starts a process for each, and carries bytes
 * between it and the link.
 *
 * The processes are the sandbox's: how fast they read and what they say is its code's matter.  So there is a bound for all of it.
 */
#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "frame.h"
#include "request.h"
#include "uplink.h"

struct files;

/* As that user.  The uplink is borrowed. */
struct files *files_new(struct uplink *, uid_t, gid_t);
void files_free(struct files *); /* accepts NULL; ends them */

/* FILES, DATA, GRANT or ABORT of the gateway, with its frames.  false: that is no protocol. */
bool files_request(struct files *, const struct request *, const struct frame *)
    __attribute__((warn_unused_result));

/* Readable when files_run has something to do; -1 for NULL. */
int files_fd(const struct files *);

/* Does what can be done now, as far as the link takes it; never waits.  Accepts NULL. */
void files_run(struct files *);

/* A process has ended; of what is not one of these, nothing is known here.  Accepts NULL. */
void files_reaped(struct files *, pid_t, int status);

#endif
