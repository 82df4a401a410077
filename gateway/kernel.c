/* kernel.c - see kernel.h.  Requests get ids "<session>-<n>"; only the newest of each kind is listened for. */
#include "kernel.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>

#include "clock.h"
#include "execution.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "output.h"
#include "worker/bigendian.h"
#include "worker/protocol.h"

enum {
    PROBE_RETRY_MS = 100,
    LATE_IDLE_MS = 300, /* from the reply to the suspicion that the idle status is lost */
};

struct kernel {
    struct event_base *base;
    struct link_peer *peer;
    struct wire_key key;
    struct wire_memo parent;
    char session[33];
    unsigned n_requests;
    bool interrupt_message;

    char probe_id[64]; /* "" = not probing */
    bool probe_replied, probe_idled;
    struct event *probe_timer;

    struct execution *execution; /* running, borrowed; NULL = none */

    kernel_ready_fn *ready;
    void *owner;
};

static void on_probe_timer(evutil_socket_t fd, short what, void *arg);

struct kernel *
kernel_new(struct event_base *base, struct link_peer *peer, const char *key, bool interrupt_message,
           kernel_ready_fn *ready, void *owner)
{
    struct kernel *k = xcalloc(1, sizeof(*k));
    uint8_t random[16];

    k->base = base;
    k->peer = peer;
    k->key.len = strlen(key) < sizeof(k->key.bytes) ? strlen(key) : sizeof(k->key.bytes);
    memcpy(k->key.bytes, key, k->key.len);
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(k->session, sizeof(k->session), random, sizeof(random));
    k->interrupt_message = interrupt_message;
    k->probe_timer = xnotnull(evtimer_new(base, on_probe_timer, k));
    k->ready = ready;
    k->owner = owner;
    return k;
}

void
kernel_free(struct kernel *k)
{
    if (k == NULL)
        return;
    event_free(k->probe_timer);
    sodium_memzero(&k->key, sizeof(k->key));
    wire_memo_clear(&k->parent);
    free(k);
}

/* Signs and sends; msg_id gets the id drawn for it.  `first` is the frame before the Jupyter frames. */
static int
send_request(struct kernel *k, char verb, struct wire_frame first, const char *msg_type,
             const json_t *content, char *msg_id, size_t msg_id_size, struct err *err)
{
    struct wire_encoded message;
    struct wire_frame frames[1 + WIRE_N_FRAMES];
    int rc;

    snprintf(msg_id, msg_id_size, "%s-%u", k->session, ++k->n_requests);
    wire_encode(&k->key, k->session, msg_id, msg_type, NULL, content, &message);
    frames[0] = first;
    memcpy(frames + 1, message.frames, sizeof(message.frames));
    rc = link_send(k->peer, verb, frames, 1 + WIRE_N_FRAMES, err);
    wire_encoded_clear(&message);
    return rc;
}

static struct wire_frame
channel_frame(const char *channel)
{
    return (struct wire_frame){channel, 1};
}

static void
send_probe(struct kernel *k)
{
    json_auto_t *content = json_object();
    struct err err = ERR_INIT;

    if (send_request(k, TCI_RELAY, channel_frame("s"), "kernel_info_request", content, k->probe_id,
                     sizeof(k->probe_id), &err) < 0)
        k->probe_id[0] = '\0'; /* the timer will try again */
    clock_arm(k->probe_timer, PROBE_RETRY_MS);
}

/*
 * A reply without its idle status means that iopub was not connected yet when it was sent: ask again.
 * Without a reply the kernel is busy or still starting, and the question is still in its queue.
 */
static void
on_probe_timer(evutil_socket_t fd, short what, void *arg)
{
    struct kernel *k = arg;

    (void)fd, (void)what;
    if (k->probe_id[0] && !k->probe_replied)
        clock_arm(k->probe_timer, PROBE_RETRY_MS);
    else
        kernel_probe(k);
}

void
kernel_probe(struct kernel *k)
{
    k->probe_replied = k->probe_idled = false;
    send_probe(k);
}

static void
probe_step(struct kernel *k)
{
    if (!k->probe_replied || !k->probe_idled)
        return;
    k->probe_id[0] = '\0';
    event_del(k->probe_timer);
    if (k->execution)
        execution_idle_lost(k->execution);
    else
        k->ready(k->owner); /* last, both: k may be gone now */
}

static void
put_limits(uint8_t out[TCI_LIMITS_SIZE], const struct execution *x)
{
    bigendian_put64(out, execution_max_output(x) - OUTPUT_GAP_MAX);
    bigendian_put32(out + 8, execution_max_messages(x));
    bigendian_put64(out + 12, execution_max_message(x));
    out[20] = execution_is_watched(x);
}

int
kernel_execute(struct kernel *k, struct execution *x, struct err *err)
{
    json_auto_t *content = execution_request(x);
    uint8_t limits[TCI_LIMITS_SIZE];
    char msg_id[64], type[64];

    put_limits(limits, x);
    snprintf(type, sizeof(type), "%s_request", execution_request_type(x));
    if (send_request(k, TCI_EXECUTE, (struct wire_frame){limits, sizeof(limits)}, type, content,
                     msg_id, sizeof(msg_id), err) < 0)
        return -1;
    k->execution = x;
    execution_begin(x, k->base, msg_id);
    return 0;
}

void
kernel_forget(struct kernel *k)
{
    k->execution = NULL;
    k->probe_id[0] = '\0';
    event_del(k->probe_timer);
}

int
kernel_interrupt(struct kernel *k, struct err *err)
{
    json_auto_t *content = json_object();
    char msg_id[64];

    if (!k->interrupt_message)
        return link_send(k->peer, TCI_INTERRUPT, NULL, 0, err);
    return send_request(k, TCI_RELAY, channel_frame("c"), "interrupt_request", content, msg_id,
                        sizeof(msg_id), err);
}

int
kernel_input(struct kernel *k, const char *text, size_t len, struct err *err)
{
    json_auto_t *content = xnotnull(json_pack("{s:s,s:s%}", "status", "ok", "value", text, len));
    char msg_id[64];

    return send_request(k, TCI_RELAY, channel_frame("n"), "input_reply", content, msg_id,
                        sizeof(msg_id), err);
}

/*
 * Code asked for input although allow_stdin was false.  Nobody can answer: interrupting it makes the
 * call fail at once instead of hanging until the time limit.
 */
static void
refuse_input(struct kernel *k)
{
    static const char why[] = "input() is not available: nobody is there to answer\n";
    struct err err = ERR_INIT;

    if (k->execution)
        execution_raw(k->execution, 2, why, strlen(why));
    if (kernel_interrupt(k, &err) < 0)
        log_debug("kernel: input request not interrupted: %s", err.msg);
}

static const char *
string_at(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static void
on_probe_message(struct kernel *k, char channel, const char *type, const json_t *content)
{
    if (channel == TCI_SHELL && strcmp(type, "kernel_info_reply") == 0)
        k->probe_replied = true;
    else if (channel == TCI_IOPUB && strcmp(type, "status") == 0 &&
             strcmp(string_at(content, "execution_state"), "idle") == 0)
        k->probe_idled = true;
    probe_step(k);
}

/*
 * A publisher drops what its queue does not hold, the idle status with it.  Messages of one kernel come in order, so when
 * the idle status of a later request is here, the one that is still missing will not come.
 */
static void
on_execute_reply(struct kernel *k, const json_t *content)
{
    clock_arm(k->probe_timer,
              LATE_IDLE_MS); /* first: the execution may end with this reply, and k be gone */
    execution_reply(k->execution, content);
}

static void
on_execution_message(struct kernel *k, char channel, const char *type, const json_t *content)
{
    if (channel == TCI_IOPUB)
        execution_iopub(k->execution, type, content);
    else if (channel == TCI_SHELL && execution_is_answered_by(k->execution, type))
        on_execute_reply(k, content);
    else if (channel == TCI_STDIN && strcmp(type, "input_request") == 0 &&
             !execution_input(k->execution, content))
        refuse_input(k);
}

static void
route(struct kernel *k, char channel, const struct wire_msg *msg)
{
    const char *parent = string_at(msg->parent, "msg_id");
    const char *type = string_at(msg->header, "msg_type");

    if (k->execution && strcmp(parent, execution_msg_id(k->execution)) == 0)
        on_execution_message(k, channel, type, msg->content);
    else if (k->probe_id[0] && strcmp(parent, k->probe_id) == 0)
        on_probe_message(k, channel, type, msg->content);
    else
        metrics_add(METRIC_KERNEL_STRAY_MESSAGES, 1);
}

void
kernel_on_relay(struct kernel *k, char channel, const struct wire_frame *frames, size_t n)
{
    struct wire_msg msg;
    struct err err = ERR_INIT;

    if (k->execution == NULL && k->probe_id[0] == '\0') {
        metrics_add(METRIC_KERNEL_STRAY_MESSAGES, 1);
        return; /* nobody waits for anything: not worth the parsing */
    }
    if (wire_decode(&k->key, &k->parent, frames, n, &msg, &err) < 0) {
        metrics_add(METRIC_KERNEL_BAD_MESSAGES, 1);
        log_debug("kernel: %s", err.msg);
        return;
    }
    route(k, channel, &msg);
    wire_msg_clear(&msg);
}

void
kernel_on_output(struct kernel *k, int fd, const void *data, size_t len)
{
    if (k->execution)
        execution_raw(k->execution, fd, data, len);
}

void
kernel_on_truncated(struct kernel *k)
{
    metrics_add(METRIC_OUTPUT_TRUNCATED, 1);
    if (k->execution)
        execution_truncated(k->execution);
}

void
kernel_on_changes(struct kernel *k, json_t *changes)
{
    if (k->execution)
        execution_changes(k->execution, changes);
}
