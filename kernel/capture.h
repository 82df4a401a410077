/* capture.h - what a program writes, kept up to a limit; more is read and dropped. */
#ifndef KERNEL_CAPTURE_H
#define KERNEL_CAPTURE_H

#include <stddef.h>

enum { CAPTURE_MAX = 64 << 10 }; /* bytes */

struct capture {
    int read_fd, write_fd;
    size_t len;
    char text[CAPTURE_MAX + 1]; /* ends with a NUL */
};

void capture_open(struct capture *);
void capture_read(void *capture); /* all that is there now */

/* Closes both ends, after all that is there has been read. */
void capture_close(struct capture *);

#endif
