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

int
session_take(struct client *client, const struct options *o, struct session *s, struct err *err)
{
    json_t *body = xnotnull(json_pack("{s:s*,s:s*,s:s*}", "user_uuid", o->session, "language",
                                      o->language, "kernel", o->kernel));
    json_t *answer;

    memset(s, 0, sizeof(*s));
    if (client_call(client, "POST", "/v1/sessions", body, &answer, err) < 0)
        return -1;
    s->id = text_of(answer, "id");
    s->language = text_of(answer, "language");
    s->kernel = text_of(answer, "kernel");
    s->is_ours = o->session == NULL;
    json_decref(answer);
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
