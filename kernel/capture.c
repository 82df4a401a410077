/* capture.c - see capture.h. */
#include "capture.h"

#include <fcntl.h>
#include <unistd.h>

int
capture_open(struct capture *c, struct err *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(err, "cannot make a pipe");
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* of a pipe of ours: that cannot fail */
    c->read_fd = fds[0];
    c->write_fd = fds[1];
    c->len = 0;
    c->text[0] = '\0';
    return 0;
}

void
capture_read(void *capture)
{
    struct capture *c = capture;
    char buffer[4096];
    ssize_t n;

    while ((n = read(c->read_fd, buffer, sizeof(buffer))) > 0) {
        const size_t room = CAPTURE_MAX - c->len, keep = (size_t)n < room ? (size_t)n : room;

        memcpy(c->text + c->len, buffer, keep);
        c->len += keep;
        c->text[c->len] = '\0';
    }
}

void
capture_close(struct capture *c)
{
    capture_read(c);
    close(c->read_fd);
    close(c->write_fd);
}
