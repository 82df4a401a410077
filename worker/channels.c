/* channels.c - see channels.h. */
#include "channels.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "die.h"
#include "message.h"

/*
 * Until the kernel has bound its sockets a connection fails, and is tried again: so short an
 * interval that start-up loses nothing by it, for which the cost is small (four attempts in it).
 */
enum { RECONNECT_MS = 5 };

/*
 * What the kernel can make us hold is bounded by the container's memory; these keep it smaller.  A
 * PUB socket drops what its subscriber does not take, and the idle status with it, so iopub's queue
 * is a long one, unless the kernel waits instead.
 */
enum { QUEUE_IOPUB = 8192, QUEUE_FLOW_CONTROL = 64, QUEUE_OTHERS = 256 };
static const int64_t max_frame = 1 << 30;

/*
 * A kernel answers input requests to the peer whose shell identity asked for execution: same on
 * all.
 */
static const char identity[] = "tci";

static const struct {
    enum tci_channel name;
    enum channels_port port;
    int type;
} table[CHANNELS_COUNT] = {
    {TCI_IOPUB, CHANNELS_PORT_IOPUB, ZMQ_SUB},
    {TCI_SHELL, CHANNELS_PORT_SHELL, ZMQ_DEALER},
    {TCI_STDIN, CHANNELS_PORT_STDIN, ZMQ_DEALER},
    {TCI_CONTROL, CHANNELS_PORT_CONTROL, ZMQ_DEALER},
};

static int
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int
set_options(void *socket, int type, bool flow_control)
{
    const int iopub = flow_control ? QUEUE_FLOW_CONTROL : QUEUE_IOPUB;
    const int queue = type == ZMQ_SUB ? iopub : QUEUE_OTHERS;

    if (set_int(socket, ZMQ_LINGER, 0) < 0 ||
        set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) < 0 ||
        set_int(socket, ZMQ_RCVHWM, queue) < 0 || set_int(socket, ZMQ_SNDHWM, queue) < 0 ||
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_frame, sizeof(max_frame)) < 0)
        return -1;
    if (type == ZMQ_SUB)
        return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    return zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, strlen(identity));
}

void
channels_open(void *context, bool flow_control, struct channel channels[CHANNELS_COUNT])
{
    for (size_t i = 0; i < CHANNELS_COUNT; i++) {
        void *socket = zmq_socket(context, table[i].type);
        char endpoint[sizeof("ipc://" CHANNELS_IP "-4294967295")];

        snprintf(endpoint, sizeof(endpoint), "ipc://%s-%u", CHANNELS_IP, (unsigned)table[i].port);
        if (socket == NULL || set_options(socket, table[i].type, flow_control) < 0 ||
            zmq_connect(socket, endpoint) < 0)
            die(TCI_EXIT_SYSTEM, "cannot set up channel '%c': %s", table[i].name,
                zmq_strerror(zmq_errno()));
        channels[i] = (struct channel){table[i].name, socket, message_fd(socket), true, 0};
    }
}

void
channels_close(struct channel channels[CHANNELS_COUNT])
{
    for (size_t i = 0; i < CHANNELS_COUNT; i++) {
        if (channels[i].socket)
            zmq_close(channels[i].socket);
        channels[i].socket = NULL;
    }
}
