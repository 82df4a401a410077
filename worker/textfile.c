#include "textfile.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int
textfile_write(const char *path, int flags, mode_t mode, const char *text)
{
    const size_t len = strlen(text);
    const int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | flags, mode);
    int rc;

    if (fd < 0)
        return -1;
    rc = write(fd, text, len) == (ssize_t)len ? 0 : -1;
    close(fd);
    return rc;
}
