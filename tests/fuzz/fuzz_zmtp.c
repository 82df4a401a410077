/*
 * fuzz_zmtp.c - the bytes of a kernel's socket, to a channel of the worker's over a real socket.  The first byte says in
 * pieces of which size they come, whether the handshake comes before them, and whether the messages are kept for a while.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "worker/channel.h"
#include "worker/jupyter.h"
#include "worker/zmtp.h"

enum { HANDSHAKE = 0x80, KEEP = 0x40, PIECE = 0x3f };

static struct {
    char path[40];
    int listener;
    struct channel c;
    struct message kept;
    size_t bytes; /* of the frames that were heard */
    unsigned char sum;
} world;

static void
set_up(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/tci-fuzz-zmtp-XXXXXX";

    must(mkdtemp(dir) != NULL);
    snprintf(world.path, sizeof(world.path), "%s/s", dir);
    memcpy(addr.sun_path, world.path, sizeof(world.path));
    world.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    must(bind(world.listener, (const struct sockaddr *)&addr, sizeof(addr)) == 0);
    must(listen(world.listener, 1) == 0);
}

/* Reads every byte, so that the sanitizer sees one that is not the message's. */
static void
look_at(const struct message *m)
{
    const int begin = jupyter_begin(m->frames, m->n);

    must(m->n >= 1 && m->n <= TCI_MAX_FRAMES && message_size(m, m->n) == 0);
    for (size_t i = 0; i < m->n; i++) {
        world.bytes += m->frames[i].len;
        for (size_t j = 0; j < m->frames[i].len; j++)
            world.sum ^= ((const unsigned char *)m->frames[i].data)[j];
    }
    if (begin >= 0)
        (void)jupyter_is_status(m->frames + begin, m->n - (size_t)begin);
}

static void
turn(bool keep)
{
    struct pollfd p = channel_item(&world.c, true);
    struct message m;
    int rc;

    poll(&p, 1, 0);
    channel_on_event(&world.c, p.fd >= 0 ? p.revents : 0);
    while ((rc = channel_recv(&world.c, &m)) != 0) {
        if (rc < 0)
            continue;
        look_at(&m);
        if (keep && world.kept.n + m.n <= TCI_MAX_FRAMES)
            message_append(&world.kept, &m, 0);
        message_clear(&m);
    }
}

static void
give(int fd, const void *data, size_t len, bool keep)
{
    (void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    turn(keep);
}

static void
shake_hands(int fd)
{
    uint8_t bytes[ZMTP_GREETING_SIZE + ZMTP_READY_MAX];

    zmtp_greeting(bytes);
    give(fd, bytes, ZMTP_GREETING_SIZE + zmtp_ready(bytes + ZMTP_GREETING_SIZE, "PUB", NULL),
         false);
    must(world.c.state == CHANNEL_UP);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t given = size;
    size_t piece;
    bool keep;
    int fd;

    if (world.path[0] == '\0')
        set_up();
    if (size == 0)
        return 0;
    keep = data[0] & KEEP;
    piece = data[0] & PIECE ? data[0] & PIECE : size;
    world.bytes = 0;
    channel_open(&world.c, TCI_IOPUB, world.path, true);
    channel_tick(&world.c);
    fd = accept(world.listener, NULL, NULL);
    must(fd >= 0);
    if (data[0] & HANDSHAKE)
        shake_hands(fd);
    for (data++, size--; size > 0 && world.c.state != CHANNEL_DOWN; data += piece, size -= piece) {
        piece = piece < size ? piece : size;
        give(fd, data, piece, keep);
    }
    close(fd);
    turn(keep);
    channel_close(&world.c);
    message_detach(&world.kept);
    message_clear(&world.kept);
    must(world.bytes <= given);
    return 0;
}
