/* remote.c - see remote.h. */
#include "remote.h"

#include <stdio.h>
#include <string.h>

#include "begin.h"
#include "parse.h"
#include "session.h"
#include "table.h"
#include "terminal.h"

static const char sessions_usage[] =
    "Usage: tci sessions [list]\n"
    "       tci sessions show ID\n"
    "       tci sessions create [--session ID] [--language L | --kernel NAME]\n"
    "       tci sessions delete ID...\n"
    "\n"
    "The sessions of whose token it is; the master token sees all.  create prints the id.\n"
    "\n"
    "  -s, --session ID  the id of the new session (one that the server draws)\n"
    "  -l, --language L  what it speaks ('tci kernels' says what there is)\n"
    "  --kernel NAME     the same by the name of a kernel\n"
    "  --json            the server's answer as it is\n";

static const char kernels_usage[] = "Usage: tci kernels\n"
                                    "\n"
                                    "The kernels that sessions can have.\n"
                                    "\n"
                                    "  --json            the server's answer as it is\n";

static const char status_usage[] = "Usage: tci status\n"
                                   "\n"
                                   "How the server is.\n"
                                   "\n"
                                   "  --json            the server's answer as it is\n";

static const char token_usage[] = "Usage: tci token\n"
                                  "\n"
                                  "Prints the token that the other commands send.  The state "
                                  "directory's is its owner's to read.\n"
                                  "\n"
                                  "  --json            {\"token\"}\n";

/* One command: what it sends, and how its answer is shown. */
struct call {
    const char *command, *method;
    char *path;
    json_t *body;
    void (*show)(const json_t *answer);
};

static const char *
text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "-";
}

static enum exit_status
call(const struct options *o, const struct call *c)
{
    struct err err = ERR_INIT;
    struct client *client = client_open(&o->place, &err);
    json_t *answer = NULL;
    int rc;

    if (client == NULL) {
        json_decref(c->body);
        return terminal_fail(c->command, &err);
    }
    rc = client_call(client, c->method, c->path, c->body, &answer, &err);
    client_free(client);
    if (rc < 0)
        return terminal_fail(c->command, &err);
    if (o->json && answer)
        terminal_json(answer);
    else if (!o->json && c->show)
        c->show(answer);
    json_decref(answer);
    return STATUS_OK;
}

/* --- sessions ----------------------------------------------------------------------------- */

/* "2026-11-22 04:09:53" of the API's time. */
static void
add_time(struct table *t, const char *time)
{
    cleanup_free char *copy = xstrdup(time);

    if (strlen(copy) > 19 && copy[10] == 'T') {
        copy[10] = ' ';
        copy[19] = '\0';
    }
    table_add(t, copy);
}

static void
add_session(struct table *t, const json_t *s)
{
    table_add(t, text(s, "id"));
    table_add(t, text(s, "kernel"));
    table_add(t, text(s, "state"));
    table_add_number(t, json_integer_value(json_object_get(s, "executions")));
    add_time(t, text(s, "last_used_at"));
    table_add(t, json_string_value(json_object_get(s, "key")));
}

static void
print_id(const json_t *session)
{
    terminal_put(stdout, text(session, "id"));
    putchar('\n');
}

/* All pages, as one list. */
static int
get_sessions(struct client *client, json_t *all, struct err *err)
{
    cleanup_free char *path = xstrdup("/v1/sessions?limit=1000");

    while (path) {
        json_t *page;
        const char *cursor;

        if (client_call(client, "GET", path, NULL, &page, err) < 0)
            return -1;
        json_array_extend(all, json_object_get(page, "sessions"));
        cursor = json_string_value(json_object_get(page, "next_cursor"));
        free(path);
        path = cursor && parse_id(cursor) ? xasprintf("/v1/sessions?limit=1000&cursor=%s", cursor)
                                          : NULL;
        json_decref(page);
    }
    return 0;
}

static void
print_sessions(const json_t *all)
{
    static const char *const headings[] = {"ID",        "KERNEL", "STATE", ">RUNS",
                                           "LAST USED", "KEY",    NULL};
    struct table *t = table_new(headings);

    for (size_t i = 0; i < json_array_size(all); i++)
        add_session(t, json_array_get(all, i));
    table_print(t, stdout);
    table_free(t);
}

static enum exit_status
list_sessions(const struct options *o)
{
    struct err err = ERR_INIT;
    struct client *client = client_open(&o->place, &err);
    json_t *all = xnotnull(json_pack("{s:[]}", "sessions"));
    json_t *sessions = json_object_get(all, "sessions");
    enum exit_status status = STATUS_OK;

    if (client == NULL || get_sessions(client, sessions, &err) < 0)
        status = terminal_fail("sessions", &err);
    else if (o->json)
        terminal_json(all);
    else
        print_sessions(sessions);
    client_free(client);
    json_decref(all);
    return status;
}

static enum exit_status
with_session(const struct options *o, const char *id, const char *method)
{
    cleanup_free char *path = xasprintf("/v1/sessions/%s", id);
    const struct call c = {"sessions", method, path, NULL, terminal_fields};

    return parse_id(id) ? call(o, &c)
                        : terminal_misused("sessions", "an ID is 1 to 128 characters of A-Z a-z "
                                                       "0-9 . _ : @ -");
}

static enum exit_status
create_session(const struct options *o)
{
    const struct call c = {"sessions", "POST", (char *)"/v1/sessions",
                           xnotnull(json_pack("{s:s*,s:s*,s:s*}", "user_uuid", o->session,
                                              "language", o->language, "kernel", o->kernel)),
                           print_id};

    return call(o, &c);
}

static enum exit_status
delete_sessions(const struct options *o)
{
    enum exit_status status = STATUS_OK;

    for (int i = 1; i < o->n_words; i++) {
        const enum exit_status one = with_session(o, o->words[i], "DELETE");

        status = one != STATUS_OK ? one : status;
    }
    return status;
}

enum exit_status
sessions_command(int argc, char *argv[])
{
    struct options o;
    enum exit_status status;
    const char *verb;
    bool creating;

    if (!begin(argc, argv, TAKES_JSON | TAKES_SESSION, sessions_usage, &o, &status))
        return status;
    verb = o.n_words > 0 ? o.words[0] : "list";
    creating = strcmp(verb, "create") == 0;
    if ((o.session || o.language || o.kernel) && !creating)
        return terminal_misused("sessions", "only create takes an id, a language or a kernel");
    if (strcmp(verb, "list") == 0 && o.n_words <= 1)
        return list_sessions(&o);
    if (creating && o.n_words == 1)
        return create_session(&o);
    if (strcmp(verb, "show") == 0 && o.n_words == 2)
        return with_session(&o, o.words[1], "GET");
    if (strcmp(verb, "delete") == 0 && o.n_words >= 2)
        return delete_sessions(&o);
    return terminal_misused("sessions", "say list, show ID, create, or delete ID...");
}

/* --- kernels, status ---------------------------------------------------------------------- */

static void
print_kernels(const json_t *answer)
{
    static const char *const headings[] = {"KERNEL", "LANGUAGE", ">WARM", "NOTE", NULL};
    const json_t *kernels = json_object_get(answer, "kernels"), *kernel;
    struct table *t = table_new(headings);
    size_t i;

    json_array_foreach (kernels, i, kernel) {
        table_add(t, text(kernel, "name"));
        table_add(t, text(kernel, "language"));
        table_add_number(t, json_integer_value(json_object_get(kernel, "warm")));
        if (!json_is_true(json_object_get(kernel, "available")))
            table_add(t, text(kernel, "why_not"));
        else
            table_add(t, json_is_true(json_object_get(kernel, "default")) ? "the default" : "");
    }
    table_print(t, stdout);
    table_free(t);
}

static enum exit_status
simple(int argc, char *argv[], const char *usage, struct call *c)
{
    struct options o;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON, usage, &o, &status))
        return status;
    if (o.n_words > 0)
        return terminal_misused(argv[0], "there is a word too many");
    return call(&o, c);
}

enum exit_status
kernels_command(int argc, char *argv[])
{
    struct call c = {"kernels", "GET", (char *)"/v1/kernels", NULL, print_kernels};

    return simple(argc, argv, kernels_usage, &c);
}

enum exit_status
status_command(int argc, char *argv[])
{
    struct call c = {"status", "GET", (char *)"/status", NULL, terminal_fields};

    return simple(argc, argv, status_usage, &c);
}

/* --- token -------------------------------------------------------------------------------- */

static void
print_token(const char *token, bool as_json)
{
    json_t *object = as_json ? json_pack("{s:s}", "token", token) : NULL;

    if (object)
        terminal_json(object);
    else
        puts(token);
    json_decref(object);
}

enum exit_status
token_command(int argc, char *argv[])
{
    struct options o;
    struct place place;
    struct err err = ERR_INIT;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON, token_usage, &o, &status))
        return status;
    if (o.n_words > 0)
        return terminal_misused("token", "there is a word too many");
    if (place_find(&o.place, &place, &err) < 0)
        status = terminal_fail("token", &err);
    else if (place.token)
        print_token(place.token, o.json);
    else {
        err_set(&err, ERR_SYSTEM, "There is none, or it is not yours to read");
        status = terminal_fail("token", &err);
    }
    place_clear(&place);
    return status;
}
