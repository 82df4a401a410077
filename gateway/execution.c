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
#include <sys/time.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "output.h"
#include "worker/protocol.h"

enum state { NEW, RUNNING, DONE };

/*
 * How late a reply may be where the execution has time left, and where it has not.  A kernel that gets little of the processor,
 * by its limit or because there are many, is seconds between the two; who was taken for broken has lost a session.
 */
enum { LATE_REPLY_MS = 10000, LATE_REPLY_LEAST_MS = 1000 };

enum input { GOT_REPLY, GOT_IDLE, TIME_IS_UP };

static const char *const state_name[] = {"NEW", "RUNNING", "DONE"};

struct execution {
    enum state state;
    struct execution_spec spec; /* its sink: NULL = none, or not any more */
    char *code;                 /* which the spec has too */
    bool replied, idled;
    enum execution_result result; /* what the reply said */
    int count;
    char msg_id[64];
    struct output *output; /* NULL: there was a sink */
    struct event *timer;   /* the time limit; after idle, of a late reply */
    double due;            /* clock_now() when its time is up; 0: never */
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

static unsigned
late_reply_ms(const struct execution *x)
{
    const double left = (x->due - clock_now()) * 1000;

    if (x->due <= 0 || left > LATE_REPLY_MS)
        return LATE_REPLY_MS;
    return left > LATE_REPLY_LEAST_MS ? (unsigned)left : LATE_REPLY_LEAST_MS;
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
            clock_arm(x->timer, late_reply_ms(x));
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

    x->spec = *spec;
    x->code = xnotnull(malloc(spec->code_len + 1));
    memcpy(x->code, spec->code, spec->code_len);
    x->code[spec->code_len] = '\0';
    x->spec.code = x->code;
    x->spec.request = spec->request ? spec->request : "execute";
    json_incref(x->spec.content);
    json_incref(x->spec.user_expressions);
    x->count = -1;
    if (x->spec.sink == NULL)
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
    json_decref(x->spec.content);
    json_decref(x->spec.user_expressions);
    free(x->code);
    free(x);
}

void
execution_begin(struct execution *x, struct event_base *base, const char *msg_id)
{
    snprintf(x->msg_id, sizeof(x->msg_id), "%s", msg_id);
    set_state(x, RUNNING);
    x->timer = xnotnull(evtimer_new(base, on_timer, x));
    if (x->spec.timeout_ms > 0) {
        x->due = clock_now() + x->spec.timeout_ms / 1000.0;
        clock_arm(x->timer, x->spec.timeout_ms);
    }
    if (x->spec.sink && x->spec.sink->on_begin)
        x->spec.sink->on_begin(x->spec.sink_owner);
}

/*
 * stop_on_error is for requests queued in the kernel, of which we have none; with it ipykernel would also refuse the next
 * request if that came soon enough after an error.
 */
json_t *
execution_request(const struct execution *x)
{
    json_t *content;

    if (x->spec.content)
        return json_incref(x->spec.content);
    content = xnotnull(json_pack("{s:s%,s:b,s:b,s:{},s:b,s:b}", "code", x->code, x->spec.code_len,
                                 "silent", x->spec.silent, "store_history",
                                 !x->spec.silent && !x->spec.no_history, "user_expressions",
                                 "allow_stdin", x->spec.input, "stop_on_error", 0));
    if (x->spec.user_expressions)
        json_object_set(content, "user_expressions", x->spec.user_expressions);
    return content;
}

const char *
execution_msg_id(const struct execution *x)
{
    return x->msg_id;
}

unsigned
execution_timeout_ms(const struct execution *x)
{
    return x->spec.timeout_ms;
}

size_t
execution_max_output(const struct execution *x)
{
    return x->spec.max_output;
}

unsigned
execution_interrupt_ms(const struct execution *x)
{
    return x->spec.interrupt_ms;
}

uint64_t
execution_max_message(const struct execution *x)
{
    return x->spec.max_message ? x->spec.max_message : UINT64_MAX;
}

unsigned
execution_max_messages(const struct execution *x)
{
    return x->spec.max_messages ? x->spec.max_messages : TCI_MAX_OUTPUT_MESSAGES;
}

bool
execution_is_watched(const struct execution *x)
{
    return x->spec.watch;
}

const char *
execution_request_type(const struct execution *x)
{
    return x->spec.request;
}

struct output *
execution_output(struct execution *x)
{
    return x->output;
}

void
execution_unplug(struct execution *x)
{
    x->spec.sink = NULL;
    x->due = clock_now(); /* nobody waits for it but who comes next */
}

void
execution_hasten(struct execution *x, unsigned ms)
{
    struct timeval due = {0, 0}, now;
    const double soon = clock_now() + ms / 1000.0;

    if (x->state != RUNNING)
        return;
    if (x->due <= 0 || soon < x->due)
        x->due = soon;
    gettimeofday(&now, NULL);
    if (event_pending(x->timer, EV_TIMEOUT, &due) &&
        (double)(due.tv_sec - now.tv_sec) * 1000 + (double)(due.tv_usec - now.tv_usec) / 1000 < ms)
        return;
    clock_arm(x->timer, ms);
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
    if (x->spec.sink && x->spec.sink->on_reply)
        x->spec.sink->on_reply(x->spec.sink_owner, content);
    if (x->result == EXECUTION_RAISED && x->output)
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
    if (x->spec.sink)
        x->spec.sink->on_message(x->spec.sink_owner, msg_type, content);
    else if (x->output)
        output_message(x->output, msg_type, content);
}

bool
execution_is_answered_by(const struct execution *x, const char *msg_type)
{
    const size_t len = strlen(x->spec.request);

    return strncmp(msg_type, x->spec.request, len) == 0 && strcmp(msg_type + len, "_reply") == 0;
}

bool
execution_input(struct execution *x, const json_t *content)
{
    const char *prompt = json_string_value(json_object_get(content, "prompt"));

    if (x->state != RUNNING || x->spec.sink == NULL || !x->spec.input)
        return false;
    x->spec.sink->on_input(x->spec.sink_owner, prompt ? prompt : "",
                           json_is_true(json_object_get(content, "password")));
    return true;
}

void
execution_truncated(struct execution *x)
{
    if (x->spec.sink && x->spec.sink->on_truncated)
        x->spec.sink->on_truncated(x->spec.sink_owner);
    else if (x->output)
        output_mark_truncated(x->output);
}

void
execution_idle_lost(struct execution *x)
{
    if (x->state != RUNNING)
        return;
    execution_truncated(x);
    step(x, GOT_IDLE);
}

void
execution_changes(struct execution *x, json_t *changes)
{
    if (x->state == RUNNING && x->spec.watch && x->spec.sink)
        x->spec.sink->on_changes(x->spec.sink_owner, changes);
}

void
execution_raw(struct execution *x, int fd, const void *data, size_t len)
{
    if (x->state != RUNNING)
        return;
    if (x->spec.sink && x->spec.sink->on_raw)
        x->spec.sink->on_raw(x->spec.sink_owner, fd, data, len);
    else if (x->output)
        output_raw(x->output, fd, data, len);
}
