/*
 * tasks.h - how many processes and threads there may be, where the runtime leaves that to the worker: under a kernel of
 * the container's own (TCI_ENV_PIDS, see protocol.h), and without control groups (TCI_ENV_USER_PIDS).
 */
#ifndef WORKER_TASKS_H
#define WORKER_TASKS_H

/*
 * Puts this process, and with it all that it will start, under the limits that the environment names, and gives up the
 * capability that this took.  Does nothing where none is named.  Dies when the limit cannot be set.  To be called while
 * there is one thread.
 */
void tasks_limit(void);

#endif
