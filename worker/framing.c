/* framing.c - see framing.h. */
#include "framing.h"

#include <errno.h>
#include <sys/socket.h>

enum { LEN_SIZE = 4 };

static size_t
read_len(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | (size_t)p[3];
}

int
framing_parse(const uint8_t *data, size_t len, struct framing *f)
{
    if (len == 0)
        return 0;
    f->n = data[0];
    if (f->n == 0 || f->n > TCI_MAX_FRAMES)
        return -1;
    f->head = 1 + LEN_SIZE * f->n;
    if (len < f->head)
        return 0;
    f->size = f->head;
    for (size_t i = 0; i < f->n; i++) {
        f->lens[i] = read_len(data + 1 + LEN_SIZE * i);
        f->size += f->lens[i];
    }
    return 1;
}

void
framing_seal(uint8_t head[FRAMING_HEAD_MAX], struct iovec *iov, size_t n)
{
    uint8_t *p = head;

    *p++ = (uint8_t)n;
    for (size_t i = 1; i <= n; i++) {
        const size_t len = iov[i].iov_len;

        *p++ = (uint8_t)(len >> 24);
        *p++ = (uint8_t)(len >> 16);
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    }
    iov[0] = (struct iovec){head, (size_t)(p - head)};
}

int
framing_send(int fd, struct iovec **iov, size_t *n)
{
    const struct msghdr m = {.msg_iov = *iov, .msg_iovlen = *n};
    ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
    while (*n > 0 && (size_t)sent >= (*iov)->iov_len) {
        sent -= (ssize_t)(*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (sent > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + sent;
        (*iov)->iov_len -= (size_t)sent;
    }
    return 0;
}
