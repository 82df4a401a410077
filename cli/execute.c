/* execute.c - see execute.h. */
#include "execute.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "terminal.h"

enum { GRACE_SECONDS = 5 };

struct execution {
    struct client *client;
    const char *command;
    const struct session *session;
    struct show *show;
    char *id;       /* NULL: it has not begun */
    json_t *asked;  /* the code's question that has no answer yet, or NULL */
    bool told;      /* its error has been shown */
    bool cancelled; /* by Ctrl-C */
    json_t *end;    /* NULL: it has not ended */
};

/* --- its events --------------------------------------------------------------------------- */

static void
on_start(struct execution *x, const json_t *data)
{
    const char *id = json_string_value(json_object_get(data, "id"));

    if (x->id == NULL && id && parse_id(id))
        x->id = xstrdup(id);
}

static void
on_event(void *owner, const char *name, const char *text, size_t len)
{
    struct execution *x = owner;
    json_t *data = json_loadb(text, len, JSON_ALLOW_NUL, NULL);

    if (strcmp(name, "start") == 0) {
        on_start(x, data);
    } else if (strcmp(name, "stdin") == 0) {
        json_decref(x->asked);
        x->asked = json_incref(data);
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
send(struct execution *x, const char *verb, json_t *body)
{
    cleanup_free char *more = xasprintf("/executions/%s/%s", x->id, verb);
    cleanup_free char *path = session_path(x->session, more);
    struct err err = ERR_INIT;

    if (client_call(x->client, "POST", path, body, NULL, &err) < 0 && err.code != ERR_NONE)
        terminal_fail(x->command, &err);
}

/* A Ctrl-C in place of a line is for on_interrupt, which comes next. */
static void
on_turn(void *owner)
{
    struct execution *x = owner;
    json_t *asked = x->asked;
    const char *prompt = json_string_value(json_object_get(asked, "prompt"));
    cleanup_free char *line = NULL;
    json_t *text;

    if (asked == NULL || x->end)
        return;
    x->asked = NULL;
    line = terminal_ask(prompt ? prompt : "", json_is_true(json_object_get(asked, "password")));
    text = line ? json_string(line) : NULL;
    json_decref(asked);
    if (line && text == NULL)
        fprintf(stderr, "tci %s: the line is no UTF-8\n", x->command);
    if (x->id && (text || errno != EINTR))
        send(x, "stdin",
             xnotnull(text ? json_pack("{s:o}", "text", text) : json_pack("{s:b}", "eof", 1)));
}

static int
on_interrupt(void *owner)
{
    struct execution *x = owner;

    if (x->id == NULL || x->cancelled)
        return -1;
    x->cancelled = true;
    send(x, "interrupt", xnotnull(json_pack("{s:i}", "grace", GRACE_SECONDS)));
    return 0;
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

static void
note(const struct execution *x, const char *what)
{
    fflush(stdout);
    fprintf(stderr, "tci %s: %s\n", x->command, what);
}

static enum exit_status
conclude(struct execution *x)
{
    const char *ended = json_string_value(json_object_get(x->end, "status"));
    const json_t *error = json_object_get(x->end, "error");

    if (json_is_object(error) && !x->told)
        show_event(x->show, "error", error);
    if (json_is_true(json_object_get(x->end, "truncated")))
        note(x, "not all output is here");
    if (json_is_true(json_object_get(x->end, "restarted")))
        note(x, "the session's earlier state was lost, and this is a new one");
    if (x->cancelled && ended && strcmp(ended, "ok") != 0)
        return STATUS_INTERRUPTED;
    return execute_status(ended);
}

enum exit_status
execute(struct client *client, const char *command, const struct session *session, json_t *body,
        struct show *show)
{
    static const struct client_stream_ops ops = {on_event, on_turn, on_interrupt};
    cleanup_free char *path = session_path(session, "/executions");
    struct execution x = {.client = client, .command = command, .session = session, .show = show};
    struct err err = ERR_INIT;
    enum exit_status status;

    json_object_set_new(body, "stream", json_true());
    if (client_stream(client, path, body, &ops, &x, &err) == 0 && x.end == NULL)
        err_set(&err, ERR_PEER, "The connection was lost before the code ended");
    if (x.end)
        status = conclude(&x);
    else
        status = terminal_fail(command, &err);
    free(x.id);
    json_decref(x.asked);
    json_decref(x.end);
    return status;
}
