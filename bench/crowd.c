/*
 * crowd.c - see crowd.h.
 *
 *   CONNECTING ──all──▶ WORKING ──requests done──▶ RELEASING ──▶ GONE
 *        │                                              (only if asked to)
 *        └──any failed──▶ crowd_run fails
 *
 * What an answer makes necessary is done in the next turn of the event loop, through the user's timer, which
 * is also its think time.  After anything but a right answer the state of the user's session is not known,
 * so the workload begins anew, with the request that sets it.
 */
#include "crowd.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <jansson.h>

#include "clock.h"

enum { COMPLAINTS_MAX = 5, EXCERPT = 300 };

enum state { CONNECTING, WORKING, RELEASING, GONE };

struct user {
    struct crowd *crowd;
    struct httpclient *client;
    struct event *timer;
    enum state state;
    char *name;
    struct workload_user work;
    struct workload_step step; /* what is being executed */
    unsigned n_done;
    double sent;
    uint64_t random; /* for think times */
};

struct crowd {
    struct event_base *base;
    struct crowd_options options;
    struct report *report;
    struct user *users;
    unsigned n_connected, n_working, n_gone;
    unsigned n_complaints;
    double begun, begun_cpu;
    bool failed;
    struct err err;
};

static void on_answer(void *owner, const struct http_answer *);
static void on_timer(evutil_socket_t fd, short what, void *arg);

/* ---- sending ---- */

static bool
goes_to_v1(const struct user *u)
{
    const struct crowd_options *o = &u->crowd->options;

    return o->v1 && u->n_done > 0 && (o->v1_turns == 0 || u->n_done / o->v1_turns % 2 == 1);
}

static void
send_execute(struct user *u)
{
    const bool by_path = goes_to_v1(u);
    cleanup_free char *path =
        by_path ? xasprintf("/v1/sessions/%s/executions", u->name) : xstrdup("/execute");
    json_auto_t *body = NULL;
    cleanup_free char *text = NULL;

    workload_next(&u->work, &u->step);
    body = xnotnull(json_pack("{s:s}", "code", u->step.code));
    if (!by_path)
        json_object_set_new(body, "user_uuid", json_string(u->name));
    text = xnotnull(json_dumps(body, JSON_COMPACT));
    u->sent = clock_now();
    httpclient_send(u->client, path, text);
}

static void
send_release(struct user *u)
{
    json_auto_t *body = xnotnull(json_pack("{s:s}", "user_uuid", u->name));
    cleanup_free char *text = xnotnull(json_dumps(body, JSON_COMPACT));

    httpclient_send(u->client, "/release", text);
}

static void
leave(struct user *u)
{
    u->state = GONE;
    if (++u->crowd->n_gone == u->crowd->options.users)
        event_base_loopbreak(u->crowd->base);
}

/* After the user's last answer. */
static void
end_work(struct user *u)
{
    struct crowd *c = u->crowd;

    if (--c->n_working == 0) {
        c->report->seconds = clock_now() - c->begun;
        c->report->cpu_seconds = clock_cpu() - c->begun_cpu;
    }
    if (!c->options.release) {
        leave(u);
        return;
    }
    u->state = RELEASING;
    send_release(u);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct user *u = arg;

    (void)fd, (void)what;
    if (u->state == CONNECTING)
        httpclient_send(u->client, "/healthz", NULL);
    else if (u->state == RELEASING)
        leave(u);
    else if (u->n_done < u->crowd->options.requests)
        send_execute(u);
    else
        end_work(u);
}

static void
schedule(struct user *u, double seconds)
{
    const struct timeval tv = {(time_t)seconds,
                               (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};

    if (seconds > 0)
        event_add(u->timer, &tv);
    else
        event_active(u->timer, EV_TIMEOUT, 1);
}

static double
think_time(struct user *u)
{
    const struct crowd_options *o = &u->crowd->options;

    return o->think_min + (o->think_max - o->think_min) * workload_random(&u->random);
}

/* ---- answers ---- */

/* The sessions' first failures, for whoever has to find out why. */
static void
complain(struct user *u, const struct http_answer *a, enum outcome outcome)
{
    if (outcome == OUTCOME_OK || u->crowd->n_complaints >= COMPLAINTS_MAX)
        return;
    u->crowd->n_complaints++;
    fprintf(stderr, "%s, request %u: %s", u->name, u->n_done + 1, report_outcome_name(outcome));
    if (outcome == OUTCOME_WRONG)
        fprintf(stderr, ": wanted \"%s\"%s after %s", u->step.text,
                u->step.picture ? " and a PNG" : "", u->step.code);
    if (a->result == HTTP_ANSWERED)
        fprintf(stderr, ": got %.*s", a->len > EXCERPT ? EXCERPT : (int)a->len, a->body);
    fputc('\n', stderr);
}

/* The last of an answer of /v1. */
static const char *
png_of(const json_t *outputs)
{
    const char *png = NULL;
    const json_t *output;
    size_t i;

    json_array_foreach (outputs, i, output) {
        const json_t *image = json_object_get(json_object_get(output, "data"), "image/png");

        png = image ? json_string_value(image) : png;
    }
    return png;
}

/* Of the workload's code either prints or has a value. */
static const json_t *
text_of(const json_t *root)
{
    const json_t *printed = json_object_get(root, "stdout");

    if (printed == NULL)
        return json_object_get(root, "result_text");
    return json_string_length(printed) > 0
               ? printed
               : json_object_get(json_object_get(root, "result"), "text");
}

static bool
is_right(const struct user *u, const struct http_answer *a)
{
    json_auto_t *root = json_loadb(a->body, a->len, JSON_ALLOW_NUL, NULL);
    const json_t *outputs = json_object_get(root, "outputs"), *text = text_of(root);
    const json_t *error = json_object_get(root, "error");
    const struct workload_answer answer = {
        .text = json_string_value(text),
        .text_len = json_string_length(text),
        .png =
            outputs ? png_of(outputs) : json_string_value(json_object_get(root, "result_base64")),
        .raised = error != NULL && !json_is_null(error),
    };

    return json_is_object(root) && workload_is_right(&u->step, &answer);
}

static enum outcome
outcome_of(const struct user *u, const struct http_answer *a)
{
    if (a->result == HTTP_TIMED_OUT)
        return OUTCOME_TIMEOUT;
    if (a->result == HTTP_BROKEN)
        return OUTCOME_CONNECTION;
    switch (a->status) {
    case 200:
        return is_right(u, a) ? OUTCOME_OK : OUTCOME_WRONG;
    case 429:
        return OUTCOME_BUSY;
    case 503:
        return OUTCOME_UNAVAILABLE;
    case 504:
        return OUTCOME_OVERTIME;
    default:
        return a->status >= 500 ? OUTCOME_5XX : a->status >= 400 ? OUTCOME_4XX : OUTCOME_WRONG;
    }
}

static enum request_kind
kind_of(const struct user *u)
{
    if (u->n_done == 0)
        return REQUEST_FIRST;
    return goes_to_v1(u) ? REQUEST_V1 : REQUEST_LATER;
}

static void
take_result(struct user *u, const struct http_answer *a)
{
    const double ms = 1000 * (clock_now() - u->sent);
    const enum outcome outcome = outcome_of(u, a);

    complain(u, a, outcome);
    report_add(u->crowd->report, outcome, ms, kind_of(u));
    u->n_done++;
    if (outcome != OUTCOME_OK)
        workload_user_restart(&u->work);
    schedule(u, u->n_done < u->crowd->options.requests ? think_time(u) : 0);
}

static void
begin(struct crowd *c)
{
    c->begun = clock_now();
    c->begun_cpu = clock_cpu();
    c->n_working = c->options.users;
    for (unsigned i = 0; i < c->options.users; i++) {
        c->users[i].state = WORKING;
        schedule(&c->users[i], 0);
    }
}

static void
take_greeting(struct crowd *c, const struct http_answer *a)
{
    if (a->result == HTTP_ANSWERED && a->status == 200) {
        if (++c->n_connected == c->options.users)
            begin(c);
        return;
    }
    c->failed = true;
    if (a->result == HTTP_ANSWERED)
        err_set(&c->err, ERR_PEER, "GET /healthz is answered with status %d", a->status);
    else
        err_set(&c->err, ERR_PEER, "GET /healthz: %s",
                a->result == HTTP_TIMED_OUT ? "no answer in time" : "no connection");
    event_base_loopbreak(c->base);
}

static void
on_answer(void *owner, const struct http_answer *a)
{
    struct user *u = owner;

    switch (u->state) {
    case CONNECTING:
        take_greeting(u->crowd, a);
        break;
    case WORKING:
        take_result(u, a);
        break;
    case RELEASING:
        if (a->result != HTTP_ANSWERED || a->status != 200)
            u->crowd->report->releases_failed++;
        schedule(u, 0);
        break;
    case GONE:
        break;
    }
}

/* ---- life ---- */

static void
user_init(struct user *u, struct crowd *c, struct http_target *target, unsigned number)
{
    u->crowd = c;
    u->client = httpclient_new(target, on_answer, u);
    u->timer = xnotnull(evtimer_new(c->base, on_timer, u));
    u->name = xasprintf("%s%u", c->options.prefix, number);
    u->random = ~c->options.seed ^ number;
    workload_user_init(&u->work, c->options.workload, c->options.seed, number);
}

struct crowd *
crowd_new(struct event_base *base, struct http_target *target, const struct crowd_options *o,
          struct report *report)
{
    struct crowd *c = xcalloc(1, sizeof(*c));

    c->base = base;
    c->options = *o;
    c->report = report;
    c->users = xcalloc(o->users, sizeof(*c->users));
    for (unsigned i = 0; i < o->users; i++)
        user_init(&c->users[i], c, target, i);
    return c;
}

void
crowd_free(struct crowd *c)
{
    if (c == NULL)
        return;
    for (unsigned i = 0; i < c->options.users; i++) {
        httpclient_free(c->users[i].client);
        event_free(c->users[i].timer);
        free(c->users[i].name);
    }
    free(c->users);
    free(c);
}

int
crowd_run(struct crowd *c, struct err *err)
{
    for (unsigned i = 0; i < c->options.users; i++)
        schedule(&c->users[i], 0);
    event_base_dispatch(c->base);
    if (c->failed)
        *err = c->err;
    return c->failed ? -1 : 0;
}
