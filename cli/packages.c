/* packages.c - see packages.h. */
#include "packages.h"

#include <stdio.h>
#include <string.h>

#include "begin.h"
#include "events.h"
#include "interrupt.h"
#include "session.h"
#include "terminal.h"

enum { MAX_EVENT = 1 << 20 /* bytes */ };

static const char usage[] =
    "Usage: tci packages -s ID [-q] NAME...\n"
    "\n"
    "Has packages installed in a session, by its language's own tool, such as six or "
    "'pandas==2.1'.\n"
    "What the tool says appears as it comes, on stderr.  What is there already costs nothing.\n"
    "\n"
    "  -s, --session ID  the session\n"
    "  -q, --quiet       not what the tool says\n"
    "  --json            the server's answer, when it is over\n";

/* One request, as it is followed. */
struct install {
    struct events *events;
    bool quiet;
    json_t *end; /* NULL: it has not ended */
};

static void
on_event(void *owner, const char *name, const char *data, size_t len)
{
    struct install *x = owner;
    json_t *json = json_loadb(data, len, JSON_ALLOW_NUL, NULL);
    const char *text = json_string_value(json_object_get(json, "text"));

    if (strcmp(name, "end") == 0) {
        json_decref(x->end);
        x->end = json_incref(json);
    } else if (!x->quiet && text && strncmp(name, "dependency_", 11) == 0) {
        terminal_put_lines(stderr, text);
    }
    json_decref(json);
}

static bool
wants(void *owner, const struct client_head *head)
{
    (void)owner;
    return head->is_events;
}

static int
take(void *owner, const char *bytes, size_t len, struct err *err)
{
    const struct install *x = owner;

    return events_feed(x->events, bytes, len, err);
}

/* How the stream has ended: 0, or the error that its last event tells. */
static int
conclude(const struct install *x, struct err *err)
{
    const json_t *error = json_object_get(x->end, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    if (x->end == NULL)
        return err_set(err, ERR_PEER, "The connection was lost before the packages were there");
    if (error == NULL)
        return 0;
    return err_field(err, ERR_FORBIDDEN, code ? code : "", "%s",
                     message ? message : "They could not be installed");
}

static int
install(struct client *client, const char *path, json_t *body, bool quiet, struct err *err)
{
    static const struct client_ops ops = {.wants = wants, .take = take};
    struct install x = {.quiet = quiet};
    const struct client_request r = {
        .method = "POST", .path = path, .body = body, .ops = &ops, .owner = &x};
    struct client_answer answer;
    int rc;

    json_object_set_new(body, "stream", json_true());
    x.events = events_new(MAX_EVENT, on_event, &x);
    rc = client_perform(client, &r, &answer, err);
    if (rc == 0)
        rc = conclude(&x, err);
    events_free(x.events);
    json_decref(answer.json);
    json_decref(x.end);
    return rc;
}

static int
install_in_json(struct client *client, const char *path, json_t *body, struct err *err)
{
    json_t *answer;
    const int rc = client_call(client, "POST", path, body, &answer, err);

    if (rc == 0 && answer)
        terminal_json(answer);
    json_decref(answer);
    return rc;
}

/* NULL: a name is no UTF-8. */
static json_t *
request(const struct options *o)
{
    json_t *names = xnotnull(json_array());

    for (int i = 0; i < o->n_words; i++)
        if (json_array_append_new(names, json_string(o->words[i])) < 0) {
            json_decref(names);
            return NULL;
        }
    return xnotnull(json_pack("{s:o}", "packages", names));
}

enum exit_status
packages_command(int argc, char *argv[])
{
    struct options o;
    struct err err = ERR_INIT;
    enum exit_status status;
    struct client *client;
    json_t *body;
    int rc;

    if (!begin(argc, argv, TAKES_JSON | TAKES_ID | TAKES_QUIET, usage, &o, &status))
        return status;
    if (o.session == NULL || o.n_words == 0)
        return terminal_misused("packages", "say whose, and which: --session ID NAME...");
    cleanup_free char *path = xasprintf("/v1/sessions/%s/packages", o.session);

    body = request(&o);
    if (body == NULL)
        return terminal_misused("packages", "a name is no UTF-8");
    client = client_open(&o.place, &err);
    if (client == NULL) {
        json_decref(body);
        return terminal_fail("packages", &err);
    }
    interrupt_catch();
    rc = o.json ? install_in_json(client, path, body, &err)
                : install(client, path, body, o.quiet, &err);
    client_free(client);
    return rc < 0 ? terminal_fail("packages", &err) : STATUS_OK;
}
