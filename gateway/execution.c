/*
 * execution.c - NEW ─begin─▶ RUNNING ─▶ DONE.
 *
 * RUNNING ends by reply and idle, in either order, or by the clock.  A kernel whose handler failed is idle
 * without having replied; the reply is then waited for only as long as it may be late.  Whoever destroys the kernel ends the
 * execution by freeing it: a lost kernel is the owner's to report, because only the owner knows why.
 */
#include "execution.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "output.h"

enum state { NEW, RUNNING, DONE };
enum { LATE_REPLY_MS = 1000 };

enum input { GOT_REPLY, GOT_IDLE, TIME_IS_UP };

static const char *const state_name[] = {"NEW", "RUNNING", "DONE"};

struct execution {
    enum state state;
    bool replied, idled, silent;
    enum execution_result result; /* what the reply said */
    int count;
    unsigned timeout_ms;
    size_t max_output;
    char *code;
    size_t code_len;
    char msg_id[64];
    struct output *output;
    struct event *timer; /* the time limit; after idle, of a late reply */
    execution_done_fn *done;
    void *owner;
};

static void
set_state(struct execution *x, enum state next)
{
    log_debug("execution %s: %s -> %s", x->msg_id, state_name[x->state], state_name[next]);
    assert(x->state < next); /* an execution only ever moves forward */
    x->state = next;
}

static void
finish(struct execution *x, enum execution_result result)
{
    set_state(x, DONE);
    if (x->timer)
        event_del(x->timer);
    x->done(x->owner, x, result); /* last: x may be gone now */
}

/* All decisions about an execution are taken here. */
static void
step(struct execution *x, enum input input)
{
    if (x->state != RUNNING)
        return; /* a late message from the kernel */
    switch (input) {
    case GOT_REPLY:
        x->replied = true;
        break;
    case GOT_IDLE:
        if (!x->idled && !x->replied)
            clock_arm(x->timer, LATE_REPLY_MS);
        /* Once: code can forge idle, and must not put off the end for ever. */
        x->idled = true;
        break;
    case TIME_IS_UP:
        finish(x, x->idled && !x->replied ? EXECUTION_BROKEN : EXECUTION_TIMEOUT);
        return;
    }
    if (x->replied && x->idled)
        finish(x, x->result);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    step(arg, TIME_IS_UP);
}

struct execution *
execution_new(const struct execution_spec *spec, execution_done_fn *done, void *owner)
{
    struct execution *x = xcalloc(1, sizeof(*x));

    x->code = xnotnull(malloc(spec->code_len + 1));
    memcpy(x->code, spec->code, spec->code_len);
    x->code[spec->code_len] = '\0';
    x->code_len = spec->code_len;
    x->timeout_ms = spec->timeout_ms;
    x->max_output = spec->max_output;
    x->silent = spec->silent;
    x->count = -1;
    x->output = output_new(spec->max_output);
    x->done = done;
    x->owner = owner;
    return x;
}

void
execution_free(struct execution *x)
{
    if (x == NULL)
        return;
    if (x->timer)
        event_free(x->timer);
    output_free(x->output);
    free(x->code);
    free(x);
}

void
execution_begin(struct execution *x, struct event_base *base, const char *msg_id)
{
    snprintf(x->msg_id, sizeof(x->msg_id), "%s", msg_id);
    set_state(x, RUNNING);
    x->timer = xnotnull(evtimer_new(base, on_timer, x));
    if (x->timeout_ms > 0)
        clock_arm(x->timer, x->timeout_ms);
}

/*
 * stop_on_error is for requests queued in the kernel, of which we have none; with it ipykernel would also refuse the next
 * request if that came soon enough after an error.
 */
json_t *
execution_request(const struct execution *x)
{
    return xnotnull(json_pack("{s:s%,s:b,s:b,s:{},s:b,s:b}", "code", x->code, x->code_len, "silent",
                              x->silent, "store_history", !x->silent, "user_expressions",
                              "allow_stdin", 0, "stop_on_error", 0));
}

const char *
execution_msg_id(const struct execution *x)
{
    return x->msg_id;
}

unsigned
execution_timeout_ms(const struct execution *x)
{
    return x->timeout_ms;
}

size_t
execution_max_output(const struct execution *x)
{
    return x->max_output;
}

struct output *
execution_output(struct execution *x)
{
    return x->output;
}

int
execution_count(const struct execution *x)
{
    return x->count;
}

static void
take_count(struct execution *x, const json_t *content)
{
    const json_t *count = json_object_get(content, "execution_count");

    if (json_is_integer(count) && json_integer_value(count) >= 0 &&
        json_integer_value(count) <= INT32_MAX)
        x->count = (int)json_integer_value(count);
}

void
execution_reply(struct execution *x, const json_t *content)
{
    const char *status = json_string_value(json_object_get(content, "status"));

    if (x->state != RUNNING)
        return;
    take_count(x, content);
    x->result = status && strcmp(status, "ok") == 0 ? EXECUTION_OK : EXECUTION_RAISED;
    if (x->result == EXECUTION_RAISED)
        output_set_error(x->output, content);
    step(x, GOT_REPLY);
}

void
execution_iopub(struct execution *x, const char *msg_type, const json_t *content)
{
    if (x->state != RUNNING)
        return;
    if (strcmp(msg_type, "status") == 0) {
        const char *now = json_string_value(json_object_get(content, "execution_state"));

        if (now && strcmp(now, "idle") == 0)
            step(x, GOT_IDLE);
        return;
    }
    output_message(x->output, msg_type, content);
}

void
execution_idle_lost(struct execution *x)
{
    if (x->state != RUNNING)
        return;
    output_mark_truncated(x->output);
    step(x, GOT_IDLE);
}

void
execution_raw(struct execution *x, int fd, const void *data, size_t len)
{
    if (x->state == RUNNING)
        output_raw(x->output, fd, data, len);
}
