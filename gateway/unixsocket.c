#include "unixsocket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 512 };

static int
bind_to(int fd, const struct sockaddr_un *addr, struct err *err)
{
    if (unlink(addr->sun_path) < 0 && errno != ENOENT)
        return err_sys(err, "cannot remove the old %s", addr->sun_path);
    if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
        return err_sys(err, "cannot bind %s", addr->sun_path);
    if (chmod(addr->sun_path, 0666) < 0)
        return err_sys(err, "cannot set the mode of %s", addr->sun_path);
    if (listen(fd, BACKLOG) < 0)
        return err_sys(err, "cannot listen on %s", addr->sun_path);
    return 0;
}

int
unixsocket_listen(const char *dir, const char *name, struct err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;

    if ((mkdir(dir, 0711) < 0 && errno != EEXIST) || chmod(dir, 0711) < 0)
        return err_sys(err, "cannot make the directory %s", dir);
    if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, name) >=
        sizeof(addr.sun_path))
        return err_set(err, ERR_SYSTEM, "the path %s/%s is longer than a socket's may be", dir,
                       name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(err, "cannot make the socket %s", addr.sun_path);
    if (bind_to(fd, &addr, err) == 0)
        return fd;
    close(fd);
    return -1;
}

bool
unixsocket_peer_is(int fd, gid_t group)
{
    struct ucred who;
    socklen_t size = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && who.gid == group;
}
