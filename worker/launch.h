/* launch.h - CONFIG: what to run and as whom (protocol.h has its form). */
#ifndef WORKER_LAUNCH_H
#define WORKER_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "protocol.h"

#define LAUNCH_CONNECTION_FILE TCI_PATH_KERNEL_DIR "/connection.json"

enum {
    LAUNCH_MAX = 256 << 10, /* bytes of a CONFIG */
    LAUNCH_MAX_ARGS = 256,
    LAUNCH_MAX_ENV = 1024,
};

struct launch {
    char **argv; /* NULL-terminated, {connection_file} replaced */
    char **env;  /* NAME=value, NULL-terminated */
    char *cwd;
    uid_t uid; /* never root */
    gid_t gid;
    char *connection;  /* the connection file's text, with the key in it */
    bool flow_control; /* the kernel publishes no faster than it is read, and drops nothing */
};

/*
 * 0, or -1 with *why saying in a static sentence what is wrong and *out cleared.  Pure: any bytes
 * may come in.  Out of memory ends the process.
 */
int launch_parse(const void *text, size_t len, struct launch *out, const char **why)
    __attribute__((warn_unused_result));

/* Wipes the key.  Idempotent; takes an all-zero struct. */
void launch_clear(struct launch *);

#endif
