/*
 * importing.h - what code imports and its session does not have, installed before the code runs (TCI_PACKAGES_ON_IMPORT).
 *
 * It is a help and no promise: what cannot be had is not there when the code runs, and whoever imports it is told by Python.
 */
#ifndef GATEWAY_IMPORTING_H
#define GATEWAY_IMPORTING_H

#include <stddef.h>

#include "mem.h"
#include "netpolicy.h"

struct caller;
struct config;
struct event_base;
struct importing;
struct kernels;
struct packages;
struct pool;

/* Borrowed; must outlive it. */
struct importing_parts {
    struct event_base *base;
    const struct config *config;
    struct pool *pool;
    struct packages *packages; /* NULL: there are none */
    const struct kernels *kernels;
};

/* The importing is no more.  In a turn of its own. */
typedef void importing_done_fn(void *owner);

/*
 * NULL: there is nothing to wait for.  Code, caller and session are borrowed for the call.  Where there is no such session it is made,
 * with that network, as pool_submit does.
 */
struct importing *importing_start(const struct importing_parts *, const struct caller *,
                                  const char *session, enum network_mode, const char *code,
                                  size_t len, importing_done_fn *, void *owner) must_check;
void importing_cancel(struct importing *); /* accepts NULL */

#endif
