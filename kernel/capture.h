/* capture.h - what a program writes, kept up to a limit; more is read and dropped. */
#ifndef KERNEL_CAPTURE_H
#define KERNEL_CAPTURE_H

#include <stddef.h>

#include "err.h"
#include "mem.h"

enum { CAPTURE_MAX = 64 << 10 }; /* bytes */

struct capture {
    int read_fd, write_fd;
    size_t len;
    char text[CAPTURE_MAX + 1]; /* ends with a NUL */
};

int capture_open(struct capture *, struct err *) must_check;
void capture_read(void *capture); /* all that is there now */

/* Closes both ends, after all that is there has been read. */
void capture_close(struct capture *);

#endif
