/* serve.h - answers a client's requests until it says that the kernel is to end. */
#ifndef KERNEL_SERVE_H
#define KERNEL_SERVE_H

#include "client.h"
#include "language.h"

/* signals: a signalfd with SIGINT, SIGTERM and SIGCHLD.  All are borrowed.  0, or -1 with *err: it could not begin. */
int serve_run(struct client *, const struct language *, int signals, struct err *) must_check;

#endif
