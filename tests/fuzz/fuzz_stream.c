/*
 * fuzz_stream.c - the bytes of a worker's connection, to the gateway's link and its real socket.  The first byte says
 * in pieces of which size they come, and whether the worker says first who it is.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/event.h>

#include "fuzz.h"
#include "gateway/link.h"
#include "gateway/log.h"
#include "gateway/mem.h"
#include "worker/framing.h"
#include "worker/protocol.h"

enum { MAX_MESSAGE = 1 << 16 };
#define ID "id"

static struct {
    struct event_base *base;
    struct link *link;
    struct link_peer *peer;
    struct sockaddr_un addr;
    size_t bytes; /* of the frames that were heard */
    unsigned char sum;
} world;

/* Reads every byte, so that the sanitizer sees one that is not the message's. */
static void
on_message(void *owner, char verb, const struct wire_frame *frames, size_t n)
{
    must(owner == &world && n < TCI_MAX_FRAMES);
    world.bytes += 1;
    for (size_t i = 0; i < n; i++) {
        world.bytes += frames[i].len;
        for (size_t j = 0; j < frames[i].len; j++)
            world.sum ^= ((const unsigned char *)frames[i].data)[j];
    }
    if (verb == TCI_EXITED) { /* what a real one may lead to */
        link_peer_free(world.peer);
        world.peer = link_peer_new(world.link, ID, on_message, &world);
    }
}

static void
set_up(void)
{
    char dir[] = "/tmp/tci-fuzz-stream-XXXXXX";
    const struct link_options options = {
        .dir = dir, .max_message = MAX_MESSAGE, .introduce_ms = 10000, .group = getgid()};
    struct err err = ERR_INIT;

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    must(mkdtemp(dir) != NULL);
    world.base = event_base_new();
    world.link = link_new(world.base, &options, &err);
    must(world.link != NULL);
    world.peer = link_peer_new(world.link, ID, on_message, &world);
    world.addr.sun_family = AF_UNIX;
    snprintf(world.addr.sun_path, sizeof(world.addr.sun_path), "%s/" TCI_PATH_LINK_SOCKET, dir);
}

static void
turn(void)
{
    event_base_loop(world.base, EVLOOP_NONBLOCK);
}

/* False when the gateway has hung up. */
static bool
give(int fd, const void *data, size_t len)
{
    const bool rc = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;

    turn();
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t id[] = {1, 0, 0, 0, sizeof(ID) - 1, 'i', 'd'};
    const size_t given = size;
    size_t piece;
    bool on = true;
    int fd;

    if (world.base == NULL)
        set_up();
    if (size == 0)
        return 0;
    piece = (data[0] & 0x7f) ? data[0] & 0x7f : size;
    world.bytes = 0;
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(connect(fd, (const struct sockaddr *)&world.addr, sizeof(world.addr)) == 0);
    turn();
    if (data[0] & 0x80)
        on = give(fd, id, sizeof(id));
    for (data++, size--; on && size > 0; data += piece, size -= piece) {
        piece = piece < size ? piece : size;
        on = give(fd, data, piece);
    }
    close(fd);
    turn();
    turn();
    must(world.bytes <= given);
    return 0;
}
