/* client.c - see client.h. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <sodium.h>

enum {
    LINGER_MS = 1000,
    QUEUE = 64,   /* messages that wait for the worker to read them */
    LOOK_MS = 10, /* between two looks whether to go on waiting for it */
};

#define DELIMITER "<IDS|MSG>"

static const struct {
    const char *port;
    int type;
} channels[CLIENT_CHANNELS] = {
    [CLIENT_SHELL] = {"shell_port", ZMQ_ROUTER}, [CLIENT_CONTROL] = {"control_port", ZMQ_ROUTER},
    [CLIENT_STDIN] = {"stdin_port", ZMQ_ROUTER}, [CLIENT_IOPUB] = {"iopub_port", ZMQ_PUB},
    [CLIENT_HB] = {"hb_port", ZMQ_REP},
};

/* --- opening -------------------------------------------------------------------------------- */

/* A full queue makes the sender wait, where it would drop what comes then: that may be the idle status. */
static void
keep_all(void *iopub)
{
    const int on = 1, queue = QUEUE, look = LOOK_MS;

    zmq_setsockopt(iopub, ZMQ_SNDHWM, &queue, sizeof(queue));
    zmq_setsockopt(iopub, ZMQ_XPUB_NODROP, &on, sizeof(on));
    zmq_setsockopt(iopub, ZMQ_SNDTIMEO, &look, sizeof(look));
}

static int
bind_channel(struct client *c, int i, const char *transport, const char *ip, int port,
             struct err *err)
{
    const int linger = LINGER_MS, on = 1;
    const bool ipc = strcmp(transport, "ipc") == 0;
    cleanup_free char *endpoint = xasprintf(ipc ? "%s://%s-%d" : "%s://%s:%d", transport, ip, port);

    c->sockets[i] = zmq_socket(c->context, channels[i].type);
    if (c->sockets[i] == NULL)
        return err_set(err, ERR_SYSTEM, "no socket: %s", zmq_strerror(zmq_errno()));
    zmq_setsockopt(c->sockets[i], ZMQ_LINGER, &linger, sizeof(linger));
    if (channels[i].type == ZMQ_ROUTER)
        zmq_setsockopt(c->sockets[i], ZMQ_ROUTER_HANDOVER, &on, sizeof(on));
    if (i == CLIENT_STDIN)
        zmq_setsockopt(c->sockets[i], ZMQ_ROUTER_MANDATORY, &on, sizeof(on));
    if (i == CLIENT_IOPUB)
        keep_all(c->sockets[i]);
    if (zmq_bind(c->sockets[i], endpoint) < 0)
        return err_set(err, ERR_SYSTEM, "cannot bind %.200s: %s", endpoint,
                       zmq_strerror(zmq_errno()));
    return 0;
}

static int
take_key(struct client *c, const char *key, const char *scheme, struct err *err)
{
    c->key.len = strlen(key);
    if (c->key.len > sizeof(c->key.bytes) || strcmp(scheme, "hmac-sha256") != 0)
        return err_set(err, ERR_CONFIG, "the connection file's key is not usable");
    memcpy(c->key.bytes, key, c->key.len);
    return 0;
}

static int
bind_all(struct client *c, const json_t *file, struct err *err)
{
    const char *transport, *ip, *key, *scheme;

    if (json_unpack((json_t *)file, "{s:s,s:s,s:s,s:s}", "transport", &transport, "ip", &ip, "key",
                    &key, "signature_scheme", &scheme) < 0)
        return err_set(err, ERR_CONFIG, "the connection file is none");
    if (take_key(c, key, scheme, err) < 0)
        return -1;
    for (int i = 0; i < CLIENT_CHANNELS; i++) {
        const int port = (int)json_integer_value(json_object_get(file, channels[i].port));

        if (bind_channel(c, i, transport, ip, port, err) < 0)
            return -1;
    }
    return 0;
}

int
client_open(struct client *c, const char *connection_file, struct err *err)
{
    json_error_t error;
    json_auto_t *file = json_load_file(connection_file, 0, &error);
    unsigned char random[16];

    memset(c, 0, sizeof(*c));
    if (file == NULL)
        return err_set(err, ERR_CONFIG, "%.200s: %.100s", connection_file, error.text);
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(c->session, sizeof(c->session), random, sizeof(random));
    c->context = zmq_ctx_new();
    if (c->context == NULL)
        return err_set(err, ERR_SYSTEM, "no ZeroMQ: %s", zmq_strerror(zmq_errno()));
    if (bind_all(c, file, err) == 0)
        return 0;
    client_close(c);
    return -1;
}

void
client_close(struct client *c)
{
    for (int i = 0; i < CLIENT_CHANNELS; i++)
        if (c->sockets[i] != NULL)
            zmq_close(c->sockets[i]);
    if (c->context != NULL)
        zmq_ctx_term(c->context);
    wire_memo_clear(&c->memo);
    memset(c, 0, sizeof(*c));
}

/* --- receiving ------------------------------------------------------------------------------ */

static bool
is_delimiter(zmq_msg_t *frame)
{
    return zmq_msg_size(frame) == strlen(DELIMITER) &&
           memcmp(zmq_msg_data(frame), DELIMITER, strlen(DELIMITER)) == 0;
}

/* All frames of one message, of which those beyond our number are dropped.  False if there is none. */
static bool
receive_frames(void *socket, struct request *r)
{
    zmq_msg_t *frame;
    bool more = true;

    while (more) {
        if (r->n_frames == CLIENT_MAX_FRAMES)
            zmq_msg_close(&r->frames[--r->n_frames]);
        frame = &r->frames[r->n_frames];
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            return false;
        }
        r->n_frames++;
        more = zmq_msg_more(frame);
    }
    return true;
}

static bool
decode(struct client *c, struct request *r)
{
    struct wire_frame frames[CLIENT_MAX_FRAMES];
    struct err err = ERR_INIT;
    size_t n = 0;

    while (r->n_identities < r->n_frames && !is_delimiter(&r->frames[r->n_identities]))
        r->n_identities++;
    for (size_t i = r->n_identities; i < r->n_frames; i++)
        frames[n++] = (struct wire_frame){zmq_msg_data(&r->frames[i]), zmq_msg_size(&r->frames[i])};
    return wire_decode(&c->key, &c->memo, frames, n, &r->msg, &err) == 0;
}

bool
client_receive(struct client *c, enum client_channel channel, struct request *r)
{
    for (;;) {
        memset(r, 0, sizeof(*r));
        r->channel = channel;
        if (receive_frames(c->sockets[channel], r) && decode(c, r))
            return true;
        if (r->n_frames == 0)
            return false;
        request_clear(r);
    }
}

void
request_clear(struct request *r)
{
    for (size_t i = 0; i < r->n_frames; i++)
        zmq_msg_close(&r->frames[i]);
    wire_msg_clear(&r->msg);
    r->n_frames = 0;
}

const char *
request_type(const struct request *r)
{
    const char *type = json_string_value(json_object_get(r->msg.header, "msg_type"));

    return type == NULL ? "" : type;
}

/* --- sending -------------------------------------------------------------------------------- */

static void
send_frame(void *socket, const void *data, size_t len, bool more)
{
    (void)zmq_send(socket, data, len, more ? ZMQ_SNDMORE : 0);
}

static void
send_message(struct client *c, enum client_channel channel, const struct request *r,
             const char *type, const json_t *content)
{
    struct wire_encoded e;
    char id[64];

    snprintf(id, sizeof(id), "%s_%lu", c->session, ++c->n_sent);
    wire_encode(&c->key, c->session, id, type, r == NULL ? NULL : r->msg.header, content, &e);
    for (size_t i = 0; i < WIRE_N_FRAMES; i++)
        send_frame(c->sockets[channel], e.frames[i].data, e.frames[i].len, i + 1 < WIRE_N_FRAMES);
    wire_encoded_clear(&e);
}

/* False: he is not connected to that channel, which only ZMQ_ROUTER_MANDATORY tells. */
static bool
send_to_sender(struct client *c, enum client_channel channel, const struct request *r,
               const char *type, const json_t *content)
{
    for (size_t i = 0; i < r->n_identities; i++) {
        zmq_msg_t *frame = (zmq_msg_t *)&r->frames[i];

        if (zmq_send(c->sockets[channel], zmq_msg_data(frame), zmq_msg_size(frame),
                     ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
            return false;
    }
    send_message(c, channel, r, type, content);
    return true;
}

void
client_reply(struct client *c, const struct request *r, const char *type, const json_t *content)
{
    (void)send_to_sender(c, r->channel, r, type, content);
}

bool
client_ask(struct client *c, const struct request *r, const json_t *content)
{
    return send_to_sender(c, CLIENT_STDIN, r, "input_request", content);
}

/* Once its first frame has found a place, the others of a message have theirs. */
static bool
send_topic(struct client *c, const char *type)
{
    int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;

    while (zmq_send(c->sockets[CLIENT_IOPUB], type, strlen(type), flags) < 0) {
        if (zmq_errno() != EAGAIN || c->keeps_waiting == NULL || !c->keeps_waiting(c->owner))
            return false;
        flags = ZMQ_SNDMORE; /* now it waits, for as long as LOOK_MS */
    }
    return true;
}

void
client_publish(struct client *c, const struct request *r, const char *type, const json_t *content)
{
    if (!send_topic(c, type))
        return;
    send_message(c, CLIENT_IOPUB, r, type, content);
}

void
client_beat(struct client *c)
{
    char buffer[64];
    const int n = zmq_recv(c->sockets[CLIENT_HB], buffer, sizeof(buffer), ZMQ_DONTWAIT);

    if (n >= 0)
        (void)zmq_send(c->sockets[CLIENT_HB], buffer,
                       (size_t)n < sizeof(buffer) ? (size_t)n : sizeof(buffer), 0);
}
