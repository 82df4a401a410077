/*
 * control.h - what the gateway tells the proxy, on a sequenced-packet socket that is its standard input: messages of four
 * lines: the names allowed, the addresses permitted (netpolicy.h), the resolver ("" = the system's), and the names allowed to
 * those alone who install packages (TCI_INSTALLER_SESSION), to whom the others are not.  With the first comes the
 * socket on which containers are listened to.  The end of it is the end of the proxy.
 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

#include "gateway/err.h"
#include "gateway/mem.h"
#include "gateway/netpolicy.h"

struct control_message {
    struct netpolicy *policy, *install_policy;
    char resolver[80];
    int listen_fd; /* -1: none came with it */
};

/*
 * 1: *out is set, its policies the caller's.  0: there is none now.  -1: the gateway is gone, or sent something else, as err
 * says.
 */
int control_read(int fd, struct control_message *out, struct err *) must_check;

#endif
