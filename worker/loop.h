/* loop.h - the worker at work: one poll loop over the link, the kernel and the signals. */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include "boot.h"

/*
 * signals: a signalfd of SIGCHLD, SIGTERM and SIGINT.  Returns the exit code; no kernel is left
 * running then.
 */
int loop_run(const struct boot *, int signals);

#endif
