/* smallfile.c - see smallfile.h. */
#include "smallfile.h"

#include <fcntl.h>
#include <limits.h>

#include "mem.h"

size_t
smallfile_read(const char *path, char *text, size_t size)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

    if (n < 0)
        n = 0;
    text[n] = '\0';
    return (size_t)n;
}

pid_t
smallfile_pid(const char *text)
{
    long pid = strtol(text, NULL, 10);

    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}
