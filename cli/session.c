/* session.c - see session.h. */
#include "session.h"

#include <string.h>

#include "interrupt.h"
#include "parse.h"
#include "terminal.h"

static char *
text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));

    return xstrdup(text ? text : "");
}

static int
make(struct client *client, const char *key, json_t *body, struct client_answer *answer,
     struct err *err)
{
    const struct client_request r = {
        .method = "POST", .path = "/v1/sessions", .body = json_incref(body), .headers = {key}};

    return client_perform(client, &r, answer, err);
}

/* The one of that key, which may have been made for who does not wait for it: asked for again it says its id. */
static void
take_back(struct client *client, const char *key, json_t *body)
{
    struct client_answer answer;

    if (make(client, key, body, &answer, NULL) == 0) {
        struct session s = {.id = text_of(answer.json, "id"), .is_ours = true};
        cleanup_free char *path = session_path(&s, "");

        if (parse_id(s.id))
            (void)!client_call(client, "DELETE", path, NULL, NULL, NULL);
        free(s.id);
    }
    json_decref(answer.json);
}

/* One of its own does not stay behind, nor is it made twice, when the connection is cut or the wait for it interrupted. */
static int
make_ours(struct client *client, json_t *body, struct client_answer *answer, struct err *err)
{
    char key[CLIENT_KEY_SIZE];
    int rc;

    client_draw_key(key);
    rc = make(client, key, body, answer, err);
    if (rc < 0 && answer->loss == LOST_MIDWAY && answer->sent)
        rc = make(client, key, body, answer, err);
    if (rc < 0 && err->code == ERR_NONE && answer->sent)
        take_back(client, key, body);
    return rc;
}

int
session_take(struct client *client, const struct options *o, struct session *s, struct err *err)
{
    json_t *body = xnotnull(json_pack("{s:s*,s:s*,s:s*}", "user_uuid", o->session, "language",
                                      o->language, "kernel", o->kernel));
    struct client_answer answer;
    int rc;

    memset(s, 0, sizeof(*s));
    rc =
        o->session ? make(client, NULL, body, &answer, err) : make_ours(client, body, &answer, err);
    json_decref(body);
    if (rc < 0)
        return -1;
    s->id = text_of(answer.json, "id");
    s->language = text_of(answer.json, "language");
    s->kernel = text_of(answer.json, "kernel");
    s->is_ours = o->session == NULL;
    json_decref(answer.json);
    return parse_id(s->id) ? 0 : err_set(err, ERR_PEER, "The server made a session without an id");
}

void
session_leave(struct client *client, const struct session *s, const char *command)
{
    cleanup_free char *path = session_path(s, "");
    struct err err = ERR_INIT;

    (void)interrupt_taken(); /* whoever interrupted the code wants its session gone, too */
    if (s->is_ours && client_call(client, "DELETE", path, NULL, NULL, &err) < 0)
        terminal_fail(command, &err);
}

void
session_clear(struct session *s)
{
    free(s->id);
    free(s->language);
    free(s->kernel);
    memset(s, 0, sizeof(*s));
}

char *
session_path(const struct session *s, const char *more)
{
    return xasprintf("/v1/sessions/%s%s", s->id, more);
}
