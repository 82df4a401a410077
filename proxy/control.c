/* control.c - see control.h. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { MESSAGE_MAX = 3 * NETPOLICY_MAX_TEXT + 1024 };

/* Cuts off a line; NULL when there is none. */
static char *
next_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');

    if (end == NULL)
        return NULL;
    *end = '\0';
    *rest = end + 1;
    return line;
}

static int
parse(char *text, struct control_message *out, struct err *err)
{
    const char *allow = next_line(&text);
    const char *permit = allow ? next_line(&text) : NULL;
    const char *resolver = permit ? next_line(&text) : NULL;
    const char *install = resolver ? next_line(&text) : NULL;

    if (install == NULL || strlen(resolver) >= sizeof(out->resolver))
        return err_set(err, ERR_CONFIG, "the gateway sent what is no configuration");
    snprintf(out->resolver, sizeof(out->resolver), "%s", resolver);
    out->policy = netpolicy_new(allow, permit, err);
    out->install_policy = out->policy ? netpolicy_new(install, permit, err) : NULL;
    if (out->install_policy)
        return 1;
    netpolicy_free(out->policy);
    return -1;
}

static int
descriptor_in(struct msghdr *m)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

int
control_read(int fd, struct control_message *out, struct err *err)
{
    static char text[MESSAGE_MAX + 1];
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct iovec iov = {text, MESSAGE_MAX};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = ancillary.space,
                       .msg_controllen = sizeof(ancillary.space)};
    const ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0 || (m.msg_flags & MSG_TRUNC))
        return err_set(err, ERR_PEER, "the gateway is gone");
    text[n] = '\0';
    *out = (struct control_message){.listen_fd = descriptor_in(&m)};
    return parse(text, out, err);
}
