/*
 * uplink.c - see uplink.h.
 *
 * Each connection is a socket of its own.  HELLO must be the first message of every connection, and
 * ZeroMQ's own reconnecting would let messages slip in front of it: those queued for the old
 * connection, and those sent between its return and our notice of it.  A socket that dials once,
 * with HELLO first in its queue, cannot get that wrong, and what it had queued when the link broke
 * goes with it.
 */
#include "uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "clock.h"
#include "die.h"

enum {
    REDIAL_MIN_MS = 20,
    REDIAL_MAX_MS = 200,    /* a gateway that comes back finds its sessions within this time */
    DIAL_TIMEOUT_MS = 5000, /* a gateway under load may be slow to shake hands */
    /*
     * More than one execution's messages: while the gateway is slow an iopub that is not read would
     * drop what the kernel publishes.  Their bytes are bounded by the limits.
     */
    QUEUE = TCI_MAX_OUTPUT_MESSAGES + 4096,
    /* Longest frame from the gateway: it is trusted, this only keeps an accident small. */
    MAX_FRAME = 256 << 20,
};

enum state { DOWN, DIALLING, UP };

struct uplink {
    void *context;
    const struct boot *boot;
    enum state state;
    void *socket, *monitor; /* NULL while DOWN */
    unsigned n_dials;
    int redial_ms;       /* pause before the next dial */
    int64_t deadline_ms; /* DOWN: of the next dial; DIALLING: of this one */
    int64_t since_ms;    /* not UP: when the link was lost */
    bool running;
};

struct uplink *
uplink_new(void *context, const struct boot *boot)
{
    struct uplink *u = calloc(1, sizeof(*u));

    if (u == NULL)
        die(TCI_EXIT_SYSTEM, "out of memory");
    u->context = context;
    u->boot = boot;
    u->redial_ms = REDIAL_MIN_MS;
    u->since_ms = clock_ms();
    u->deadline_ms = u->since_ms;
    return u;
}

static void
close_sockets(struct uplink *u, int linger_ms)
{
    if (u->monitor)
        zmq_close(u->monitor);
    if (u->socket) {
        zmq_setsockopt(u->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
        zmq_socket_monitor(u->socket, NULL, 0);
        zmq_close(u->socket);
    }
    u->socket = u->monitor = NULL;
}

void
uplink_free(struct uplink *u, int linger_ms)
{
    if (u == NULL)
        return;
    close_sockets(u, linger_ms);
    free(u);
}

static void
go_down(struct uplink *u)
{
    const int64_t now = clock_ms();

    if (u->state == UP) {
        u->since_ms = now;
        u->redial_ms = REDIAL_MIN_MS;
    }
    close_sockets(u, 0);
    u->state = DOWN;
    u->deadline_ms = now + u->redial_ms;
    u->redial_ms = u->redial_ms * 2 < REDIAL_MAX_MS ? u->redial_ms * 2 : REDIAL_MAX_MS;
}

static int
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int
set_options(struct uplink *u)
{
    const int64_t max_frame = MAX_FRAME;

    if (zmq_setsockopt(u->socket, ZMQ_ROUTING_ID, u->boot->routing_id,
                       strlen(u->boot->routing_id)) < 0 ||
        zmq_setsockopt(u->socket, ZMQ_MAXMSGSIZE, &max_frame, sizeof(max_frame)) < 0)
        return -1;
    return set_int(u->socket, ZMQ_RECONNECT_IVL, -1) | set_int(u->socket, ZMQ_SNDHWM, QUEUE) |
           set_int(u->socket, ZMQ_LINGER, 0) |
           set_int(u->socket, ZMQ_HANDSHAKE_IVL, DIAL_TIMEOUT_MS);
}

static int
open_monitor(struct uplink *u)
{
    char endpoint[40];

    /* A name of its own for each: the one before may still be closing. */
    snprintf(endpoint, sizeof(endpoint), "inproc://uplink-%u", u->n_dials++);
    if (zmq_socket_monitor(u->socket, endpoint,
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_DISCONNECTED |
                               ZMQ_EVENT_CLOSED) < 0)
        return -1;
    u->monitor = zmq_socket(u->context, ZMQ_PAIR);
    return u->monitor ? zmq_connect(u->monitor, endpoint) : -1;
}

static int
send_hello(struct uplink *u)
{
    char json[64];
    const int len = snprintf(json, sizeof(json), "{\"protocol\":%d,\"state\":\"%s\"}",
                             TCI_PROTOCOL_VERSION, u->running ? "running" : "new");

    if (zmq_send(u->socket, "H", 1, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
        return -1;
    return zmq_send(u->socket, json, (size_t)len, ZMQ_DONTWAIT) < 0 ? -1 : 0;
}

static void
dial(struct uplink *u)
{
    u->socket = zmq_socket(u->context, ZMQ_DEALER);
    if (u->socket == NULL || set_options(u) < 0 || open_monitor(u) < 0 ||
        zmq_connect(u->socket, u->boot->endpoint) < 0 || send_hello(u) < 0)
        die(TCI_EXIT_SYSTEM, "cannot dial the gateway: %s", zmq_strerror(zmq_errno()));
    u->state = DIALLING;
    u->deadline_ms = clock_ms() + DIAL_TIMEOUT_MS;
    uplink_on_monitor(u); /* until it is empty, from where on its descriptor tells */
}

void
uplink_tick(struct uplink *u)
{
    if (u->state == UP || clock_ms() < u->deadline_ms)
        return;
    if (u->state == DIALLING)
        go_down(u);
    else
        dial(u);
}

/* The next event; 0 if there is none.  An event is two frames: number and value, address. */
static unsigned
next_event(struct uplink *u)
{
    struct message m;
    uint16_t event = 0;

    if (message_recv(u->monitor, &m) <= 0)
        return 0;
    if (zmq_msg_size(&m.frames[0]) >= sizeof(event))
        memcpy(&event, zmq_msg_data(&m.frames[0]), sizeof(event));
    message_clear(&m);
    return event;
}

void
uplink_on_monitor(struct uplink *u)
{
    unsigned event;

    while (u->monitor && (event = next_event(u)) != 0) {
        if (event != ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            go_down(u);
            continue;
        }
        u->state = UP;
        u->since_ms = CLOCK_NEVER;
        u->deadline_ms = CLOCK_NEVER;
    }
}

void
uplink_set_running(struct uplink *u)
{
    u->running = true;
}

int
uplink_fd(const struct uplink *u)
{
    return u->socket ? message_fd(u->socket) : -1;
}

int
uplink_monitor_fd(const struct uplink *u)
{
    return u->monitor ? message_fd(u->monitor) : -1;
}

int
uplink_recv(struct uplink *u, struct message *m)
{
    return u->socket ? message_recv(u->socket, m) : 0;
}

int64_t
uplink_deadline_ms(const struct uplink *u)
{
    return u->deadline_ms;
}

int64_t
uplink_down_since_ms(const struct uplink *u)
{
    return u->since_ms;
}

bool
uplink_is_up(const struct uplink *u)
{
    return u->state == UP;
}

bool
uplink_is_writable(const struct uplink *u)
{
    int events = 0;
    size_t size = sizeof(events);

    return u->state == UP && zmq_getsockopt(u->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLOUT);
}

static int
send_part(struct uplink *u, const void *data, size_t len, bool more)
{
    return zmq_send(u->socket, data, len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0 ? -1 : 0;
}

/* Half a message was taken, which ZeroMQ does only when its peer has just gone. */
static void
break_off(struct uplink *u)
{
    note("the link broke while sending: %s", zmq_strerror(zmq_errno()));
    go_down(u);
}

int
uplink_send(struct uplink *u, enum tci_verb verb, const struct frame *frames, size_t n)
{
    const char byte = (char)verb;
    int rc = 0;

    if (u->state != UP)
        return 0;
    if (send_part(u, &byte, 1, n > 0) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = send_part(u, frames[i].data, frames[i].len, i + 1 < n);
    if (rc < 0)
        break_off(u);
    return 0;
}

int
uplink_relay(struct uplink *u, struct message *m)
{
    const char verb = TCI_RELAY;

    if (u->state != UP)
        return 0;
    if (send_part(u, &verb, 1, true) < 0)
        return -1;
    if (message_send(u->socket, m, 0) < 0)
        break_off(u);
    return 0;
}
