/* framing.c - see framing.h. */
#include "framing.h"

#include <errno.h>
#include <sys/socket.h>

#include "bigendian.h"

enum { LEN_SIZE = 4 };

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
        f->lens[i] = bigendian_get32(data + 1 + LEN_SIZE * i);
        f->size += f->lens[i];
    }
    return 1;
}

void
framing_seal(uint8_t head[FRAMING_HEAD_MAX], struct iovec *iov, size_t n)
{
    uint8_t *p = head;

    *p++ = (uint8_t)n;
    for (size_t i = 1; i <= n; i++, p += LEN_SIZE)
        bigendian_put32(p, (uint32_t)iov[i].iov_len);
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
