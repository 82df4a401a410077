/* smallfile.c - see smallfile.h. */
#include "smallfile.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

void
smallfile_status(pid_t pid, const char *name, char *value, size_t size)
{
    char path[32], text[4096], key[32];
    const char *line;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    snprintf(key, sizeof(key), "\n%s:\t", name);
    smallfile_read(path, text, sizeof(text));
    line = strstr(text, key);
    line = line == NULL ? "" : line + strlen(key);
    snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
}
