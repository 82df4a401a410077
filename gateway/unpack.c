/*
 * unpack.c - see unpack.h.  The file is read no further than the container takes it; its pages are in memory, since it has been
 * looked at just before.
 */
#include "unpack.h"

#include <stdbool.h>
#include <jansson.h>

#include "transfer.h"

enum { PIECE = 64 << 10 };

struct unpack {
    struct transfer *transfer; /* NULL: it has ended */
    int fd;
    off_t at, size;
    bool unpacked; /* the container says so */
    unpack_done_fn *done;
    void *owner;
};

static void
end(struct unpack *u, const struct err *err)
{
    unpack_done_fn *done = u->done;
    void *owner = u->owner;

    unpack_abort(u);
    done(owner, err);
}

/* 1: a piece has gone; 0: nothing can go now. */
static int
send_piece(struct unpack *u, struct err *err)
{
    static char piece[PIECE];
    const size_t room = transfer_room(u->transfer);
    size_t most = room < sizeof(piece) ? room : sizeof(piece);
    ssize_t n;

    if (u->size - u->at < (off_t)most)
        most = (size_t)(u->size - u->at);
    if (most == 0)
        return 0;
    n = pread(u->fd, piece, most, u->at);
    if (n < 0)
        return err_sys(err, "read the packages that are kept");
    if (n == 0)
        return err_set(err, ERR_SYSTEM, "The packages that are kept have become shorter");
    u->at += n;
    return transfer_send(u->transfer, piece, (size_t)n, err) < 0 ? -1 : 1;
}

/* False: something went wrong. */
static bool
pump(struct unpack *u, struct err *err)
{
    int rc;

    while ((rc = send_piece(u, err)) > 0)
        ;
    if (rc == 0 && u->at == u->size)
        transfer_finish(u->transfer);
    return rc == 0;
}

static void
on_room(void *owner)
{
    struct unpack *u = owner;
    struct err err = ERR_INIT;

    if (!pump(u, &err))
        end(u, &err);
}

static void
on_reply(void *owner, json_t *reply)
{
    struct unpack *u = owner;
    struct err err = ERR_INIT;

    if (transfer_error(reply, &err))
        end(u, &err);
    else
        u->unpacked = true;
}

static void
on_end(void *owner, const struct err *why)
{
    struct unpack *u = owner;
    struct err err = ERR_INIT;

    u->transfer = NULL;
    if (why == NULL && !u->unpacked) {
        err_set(&err, ERR_WORKER_DIED, "The packages were not unpacked to their end");
        why = &err;
    }
    end(u, why);
}

static const struct transfer_ops ops = {.on_reply = on_reply, .on_room = on_room, .on_end = on_end};

struct unpack *
unpack_start(struct transfers *transfers, int fd, off_t size, unpack_done_fn *done, void *owner,
             struct err *err)
{
    const struct transfer_spec spec = {
        .request =
            xnotnull(json_pack("{s:s,s:s,s:b}", "op", "extract", "path", "", "packages", 1))};
    struct unpack *u = xcalloc(1, sizeof(*u));

    u->fd = fd;
    u->size = size;
    u->done = done;
    u->owner = owner;
    u->transfer = transfer_start(transfers, &spec, &ops, u, err);
    if (u->transfer && pump(u, err))
        return u;
    unpack_abort(u);
    return NULL;
}

void
unpack_abort(struct unpack *u)
{
    if (u == NULL)
        return;
    transfer_abort(u->transfer);
    close(u->fd);
    free(u);
}
