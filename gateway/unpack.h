/* unpack.h - an archive of packages, from a file of the gateway's into a session's container, which unpacks it (transfer.h). */
#ifndef GATEWAY_UNPACK_H
#define GATEWAY_UNPACK_H

#include <sys/types.h>

#include "err.h"
#include "mem.h"

struct transfers;
struct unpack;

/* NULL: they are there.  The unpacking is no more; the worker must not be ended in this call. */
typedef void unpack_done_fn(void *owner, const struct err *err);

/* Takes fd, of which size bytes are sent, whatever comes of it.  done is never called before this returns. */
struct unpack *unpack_start(struct transfers *, int fd, off_t size, unpack_done_fn *, void *owner,
                            struct err *) must_check;
void unpack_abort(struct unpack *); /* accepts NULL */

#endif
