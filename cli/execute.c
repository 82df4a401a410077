/* execute.c - see execute.h. */
#include "execute.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "outlet.h"
#include "retry.h"
#include "stream.h"
#include "terminal.h"

enum { GRACE_SECONDS = 5 };

struct execution {
    struct client *client;
    const char *command;
    const struct session *session;
    struct show *show;
    struct stream *stream;
    bool asking; /* the code's question has no answer yet */
    struct terminal_input input;
    json_t *line; /* what answers it, as it is sent; NULL: none that may not have arrived */
    enum { UNSENT, MAY_HAVE_ARRIVED, IS_WAITED_FOR } line_state;
    struct retry retry; /* of the line */
    bool told;          /* its error has been shown */
    bool cancelled;     /* by Ctrl-C */
    json_t *end;        /* NULL: it has not ended */
};

/* --- its events --------------------------------------------------------------------------- */

static void
drop_line(struct execution *x)
{
    json_decref(x->line);
    x->line = NULL;
}

/* One after another: the one before has its answer. */
static void
on_question(struct execution *x, const json_t *data)
{
    const char *prompt = json_string_value(json_object_get(data, "prompt"));

    drop_line(x);
    terminal_leave(&x->input);
    terminal_ask(&x->input, prompt ? prompt : "", json_is_true(json_object_get(data, "password")));
    x->asking = true;
}

static void
on_event(void *owner, const char *name, const char *text, size_t len)
{
    struct execution *x = owner;
    json_t *data = json_loadb(text, len, JSON_ALLOW_NUL, NULL);

    if (strcmp(name, "stdin") == 0) {
        on_question(x, data);
    } else if (strcmp(name, "end") == 0) {
        json_decref(x->end);
        x->end = json_incref(data);
    } else {
        x->told = x->told || strcmp(name, "error") == 0;
        show_event(x->show, name, data);
    }
    json_decref(data);
}

/* --- what goes the other way -------------------------------------------------------------- */

static void
note(const struct execution *x, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "tci %s: %s\n", x->command, what);
}

static void
send(struct execution *x, const char *verb, json_t *body)
{
    cleanup_free char *more = xasprintf("/executions/%s/%s", stream_id(x->stream), verb);
    cleanup_free char *path = session_path(x->session, more);
    struct err err = ERR_INIT;

    if (client_call(x->client, "POST", path, body, NULL, &err) == 0)
        return;
    if (err.code == ERR_NONE)
        interrupt_put_back(); /* it is for the execution */
    else
        terminal_fail(x->command, &err);
}

/* It stays where its connection breaks, or a proxy has no server. */
static void
send_line(struct execution *x)
{
    cleanup_free char *more = xasprintf("/executions/%s/stdin", stream_id(x->stream));
    cleanup_free char *path = session_path(x->session, more);
    const struct client_request r = {.method = "POST", .path = path, .body = json_incref(x->line)};
    const bool is_first = x->line_state == UNSENT;
    struct client_answer answer;
    struct err err = ERR_INIT;
    const int rc = client_perform(x->client, &r, &answer, &err);

    json_decref(answer.json);
    if (rc < 0 && answer.loss == LOST_UNREACHED && is_first)
        return;
    if (rc < 0 && (answer.loss != LOST_NOTHING || answer.head.status >= 502)) {
        x->line_state = MAY_HAVE_ARRIVED;
        return;
    }
    if (rc < 0 && err.code == ERR_NONE)
        interrupt_put_back(); /* it is for the execution */
    else if (rc < 0 && (is_first || answer.head.status != 409))
        terminal_fail(x->command, &err);
    drop_line(x);
}

/* Whether one that may have arrived has; as long as nobody can tell, that is asked again. */
static void
ask_for_line(struct execution *x)
{
    cleanup_free char *more = xasprintf("/executions/%s", stream_id(x->stream));
    cleanup_free char *path = session_path(x->session, more);
    struct err err = ERR_INIT;
    json_t *answer = NULL;
    const char *state;

    if (client_call(x->client, "GET", path, NULL, &answer, &err) < 0) {
        if (err.code == ERR_NONE)
            interrupt_put_back();
        return;
    }
    state = json_string_value(json_object_get(answer, "state"));
    /* If it waits for the answer to another question, the event of that is here before the next turn. */
    if (state && strcmp(state, "waiting") == 0)
        x->line_state = IS_WAITED_FOR;
    else
        drop_line(x);
    json_decref(answer);
}

static void
send_line_again(struct execution *x)
{
    if (x->line_state == IS_WAITED_FOR) {
        send_line(x);
        return;
    }
    switch (retry_wait(&x->retry)) {
    case RETRY_GIVEN_UP:
        note(x, "the line could not be sent");
        drop_line(x);
        break;
    case RETRY_INTERRUPTED:
        interrupt_put_back();
        drop_line(x);
        break;
    case RETRY_NOW:
        if (x->line_state == MAY_HAVE_ARRIVED)
            ask_for_line(x);
        else
            send_line(x);
        break;
    }
}

static void
answer(struct execution *x, const char *line, size_t len)
{
    json_t *text = line ? json_stringn(line, len) : NULL;

    x->asking = false;
    if (line && text == NULL)
        fprintf(stderr, "tci %s: the line is no UTF-8\n", x->command);
    x->line = xnotnull(text ? json_pack("{s:o}", "text", text) : json_pack("{s:b}", "eof", 1));
    x->line_state = UNSENT;
    retry_begin(&x->retry);
    send_line(x);
}

/* Of a question that came before anybody could say whose it is, the answer waits. */
static bool
may_answer(const struct execution *x)
{
    return x->asking && stream_id(x->stream) && x->end == NULL;
}

/* A Ctrl-C in place of a line is for on_interrupt, which comes next. */
static void
on_turn(void *owner)
{
    struct execution *x = owner;
    cleanup_free char *line = NULL;
    enum terminal_read rc;
    size_t len;

    if (x->line && x->end == NULL)
        send_line_again(x);
    if (!may_answer(x))
        return;
    rc = terminal_read(&x->input, false, &line, &len);
    if (rc == TERMINAL_LINE || rc == TERMINAL_END)
        answer(x, line, len);
    else if (rc == TERMINAL_INTERRUPT)
        x->asking = false;
}

static int
input_fd(void *owner)
{
    const struct execution *x = owner;

    return may_answer(x) ? STDIN_FILENO : -1;
}

/* The first asks the code to end, and has it ended soon; who leaves before it has begun takes it back. */
static int
on_interrupt(void *owner)
{
    struct execution *x = owner;

    if (stream_id(x->stream) == NULL || x->cancelled || interrupt_is_final())
        return -1;
    x->cancelled = true;
    send(x, "interrupt", xnotnull(json_pack("{s:i}", "grace", GRACE_SECONDS)));
    return 0;
}

static void
on_trouble(void *owner, const char *what)
{
    const struct execution *x = owner;

    note(x, what);
}

/* --- its end ------------------------------------------------------------------------------ */

enum exit_status
execute_status(const char *ended)
{
    static const struct {
        const char *ended;
        enum exit_status status;
    } table[] = {
        {"ok", STATUS_OK},
        {"error", STATUS_FAILED},
        {"timeout", STATUS_TIMEOUT},
    };

    for (size_t i = 0; ended && i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].ended, ended) == 0)
            return table[i].status;
    return STATUS_DIED;
}

static enum exit_status
conclude(struct execution *x)
{
    const char *ended = json_string_value(json_object_get(x->end, "status"));
    const json_t *error = json_object_get(x->end, "error");
    bool cut;

    if (json_is_object(error) && !x->told)
        show_event(x->show, "error", error);
    cut = outlet_was_cut();
    if (cut || json_is_true(json_object_get(x->end, "truncated")))
        note(x, "not all output is here");
    if (json_is_true(json_object_get(x->end, "restarted")))
        note(x, "the session's earlier state was lost, and this is a new one");
    if (cut && interrupt_is_final())
        return STATUS_INTERRUPTED;
    if (x->cancelled && ended && strcmp(ended, "ok") != 0)
        return STATUS_INTERRUPTED;
    return execute_status(ended);
}

enum exit_status
execute(struct client *client, const char *command, const struct session *session, json_t *body,
        struct show *show)
{
    static const struct stream_ops ops = {on_event, on_turn, input_fd, on_interrupt, on_trouble};
    cleanup_free char *path = session_path(session, "/executions");
    struct execution x = {.client = client, .command = command, .session = session, .show = show};
    struct err err = ERR_INIT;
    enum exit_status status;

    x.stream = stream_new(client, path, body, &ops, &x);
    if (stream_run(x.stream, &err) == 0) {
        status = conclude(&x);
    } else {
        status = terminal_fail(command, &err);
        /* If it was interrupted already, that may not have arrived. */
        if (err.code == ERR_NONE && !stream_cancel(x.stream))
            note(&x, "the code may still run");
    }
    stream_free(x.stream);
    terminal_leave(&x.input);
    drop_line(&x);
    json_decref(x.end);
    return status;
}

enum exit_status
execute_in_json(struct client *client, const char *command, const struct session *session,
                json_t *body)
{
    cleanup_free char *path = session_path(session, "/executions");
    struct err err = ERR_INIT;
    enum exit_status status;
    json_t *answer;

    if (client_call(client, "POST", path, body, &answer, &err) < 0)
        return terminal_fail(command, &err);
    terminal_json(answer);
    status = execute_status(json_string_value(json_object_get(answer, "status")));
    json_decref(answer);
    return status;
}
