/* message.c - see message.h. */
#include "message.h"

int
message_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);

    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

/* Takes what is left of a message that has too many frames. */
static void
discard_rest(void *socket)
{
    int more = 1;

    while (more) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        more = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
}

int
message_recv(void *socket, struct message *m)
{
    int more = 1;

    for (m->n = 0; more; m->n++) {
        if (m->n == TCI_MAX_FRAMES) {
            discard_rest(socket);
            message_clear(m);
            return -1;
        }
        zmq_msg_init(&m->frames[m->n]);
        if (zmq_msg_recv(&m->frames[m->n], socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&m->frames[m->n]);
            message_clear(m); /* a message comes whole, so this is before its first frame */
            return 0;
        }
        more = zmq_msg_more(&m->frames[m->n]);
    }
    return 1;
}

void
message_clear(struct message *m)
{
    for (size_t i = 0; i < m->n; i++)
        zmq_msg_close(&m->frames[i]);
    m->n = 0;
}

void
message_view(struct message *m, struct frame *out)
{
    for (size_t i = 0; i < m->n; i++) {
        out[i].data = zmq_msg_data(&m->frames[i]);
        out[i].len = zmq_msg_size(&m->frames[i]);
    }
}

void
message_append(struct message *to, struct message *from, size_t first)
{
    for (size_t i = first; i < from->n; i++) {
        zmq_msg_t *frame = &to->frames[to->n++];

        zmq_msg_init(frame);
        zmq_msg_move(frame, &from->frames[i]);
    }
}

void
message_append_byte(struct message *to, uint8_t byte)
{
    zmq_msg_t *frame = &to->frames[to->n++];

    zmq_msg_init_size(frame, 1); /* so short a frame is kept in place: this cannot fail */
    *(uint8_t *)zmq_msg_data(frame) = byte;
}

int
message_send(void *socket, struct message *m, size_t first)
{
    for (size_t i = first; i < m->n; i++) {
        const int more = i + 1 < m->n ? ZMQ_SNDMORE : 0;

        if (zmq_msg_send(&m->frames[i], socket, ZMQ_DONTWAIT | more) < 0)
            return -1;
    }
    return 0;
}
