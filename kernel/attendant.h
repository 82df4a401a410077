/*
 * attendant.h - the client's side of a cell that runs: how it says that the cell is to end, and how it is asked for input.
 * What runs cells waits through it, so that the client is served meanwhile.
 */
#ifndef KERNEL_ATTENDANT_H
#define KERNEL_ATTENDANT_H

#include <stdbool.h>

enum attendant_event { /* flags */
                       ATTENDANT_READABLE = 1,
                       ATTENDANT_INTERRUPT = 2,
                       ATTENDANT_SHUTDOWN = 4,
};

struct attendant {
    void *owner;

    /* Until fd (-1: none) can be read, a child has ended, the client has said something, or the time is up (-1: never). */
    int (*wait)(void *owner, int fd, int timeout_ms);

    bool (*ask)(void *owner); /* asks the client for a line; false: he cannot be asked yet */
    void (*show_image)(void *owner, const char *path); /* shows the client a PNG */
    void (*show)(void *owner, const char *path,
                 bool is_result); /* ... or what a JSON object has by MIME type */

    /* The line that the client has sent since then, with its line break: a new string; NULL: none has come yet. */
    char *(*take_line)(void *owner);
};

#endif
