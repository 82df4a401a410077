/* smallfile.h - text files of a few lines, as /proc, cgroups and helper programs make them. */
#ifndef GATEWAY_SMALLFILE_H
#define GATEWAY_SMALLFILE_H

#include <stddef.h>
#include <sys/types.h>

/* The first size - 1 bytes, with a NUL behind them.  How many there were; 0 and "" if it cannot be read. */
size_t smallfile_read(const char *path, char *text, size_t size);

/* A pid that may be signalled, from the beginning of text: more than 1.  0 if there is none. */
pid_t smallfile_pid(const char *text);

/* The value of a line of /proc/PID/status, which stays when the process has ended; "" if there is none. */
void smallfile_status(pid_t, const char *name, char *value, size_t size);

#endif
