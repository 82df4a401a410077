/* outlet.c - see outlet.h. */
#include "outlet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

static bool cut;
static int stdout_error;

/* Where there is room for anything there is room for a piece of that size (pipe(7)). */
static size_t
piece_of(int fd, size_t len)
{
    struct stat st;

    return len < PIPE_BUF || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) ? len : PIPE_BUF;
}

int
outlet_write(int fd, const char *bytes, size_t len)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = interrupt_fd(), .events = POLLIN}};
    const size_t most = piece_of(fd, len);

    while (len > 0) {
        ssize_t n;

        while (poll(fds, 2, -1) < 0 && errno == EINTR)
            ;
        if (fds[0].revents == 0) {
            errno = EINTR;
            return -1;
        }
        n = write(fd, bytes, len < most ? len : most);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        if (n > 0)
            bytes += n, len -= (size_t)n;
    }
    return 0;
}

void
outlet_put(FILE *file, const char *bytes, size_t len)
{
    if (fileno(file) < 0) { /* one in memory, where there is always room */
        fwrite(bytes, 1, len, file);
        return;
    }
    if (fflush(file) == 0 && outlet_write(fileno(file), bytes, len) == 0)
        return;
    if (errno == EINTR) {
        cut = true;
    } else if (fileno(file) == STDOUT_FILENO) {
        stdout_error = errno;
        interrupt_end();
    }
}

bool
outlet_was_cut(void)
{
    const bool was = cut;

    cut = false;
    return was;
}

int
outlet_error(void)
{
    return stdout_error;
}
