/*
 * v1_kernel.c - see v1_kernel.h.  A question waits in the session's queue like code, because a kernel that runs code answers
 * nothing; one that takes too long is interrupted.
 */
#include "v1_kernel.h"

#include <string.h>

#include "body_run.h"
#include "config.h"
#include "http_json.h"
#include "pool.h"
#include "session.h"
#include "target.h"
#include "v1.h"
#include "v1_variables.h"

enum {
    QUESTION_MS = 10000,
    QUESTION_MAX_OUTPUT = 1 << 20, /* bytes */
};

struct question {
    struct http_request *request;
    struct job *job;
    bool variables; /* the answer is displayed; else it is the reply */
    json_t *answer; /* an object; NULL: not there yet */
};

/* --- what the kernel says ----------------------------------------------------------------- */

static void
on_message(void *owner, const char *msg_type, const json_t *content)
{
    struct question *q = owner;

    if (q->variables && q->answer == NULL && strcmp(msg_type, "display_data") == 0)
        q->answer = json_incref(v1_variables_of(content));
}

static void
on_reply(void *owner, const json_t *content)
{
    struct question *q = owner;

    if (!q->variables && q->answer == NULL)
        q->answer = json_incref((json_t *)content);
}

static const struct execution_sink sink = {.on_message = on_message, .on_reply = on_reply};

/* --- the answer --------------------------------------------------------------------------- */

static void
question_free(struct question *q)
{
    json_decref(q->answer);
    free(q);
}

static void
on_job_done(void *owner, const struct job_result *result)
{
    struct question *q = owner;
    struct err err = ERR_INIT;

    if (result->err == NULL && q->answer == NULL)
        err_set(&err, ERR_UNSUPPORTED, "The kernel has no answer to this");
    if (result->err || q->answer == NULL)
        http_reply_error(q->request, result->err ? result->err : &err, NULL);
    else
        http_reply_json(q->request, 200, json_incref(q->answer));
    question_free(q);
}

static void
on_client_gone(void *owner)
{
    struct question *q = owner;

    job_cancel(q->job);
    question_free(q);
}

static void
ask(struct api *api, struct http_request *r, const struct v1_session *session, bool variables,
    struct execution_spec *spec)
{
    const struct api_parts *parts = api_parts(api);
    const struct job_spec job = {.execution = spec, .aside = true};
    struct question *q = xcalloc(1, sizeof(*q));
    struct err err = ERR_INIT;

    q->request = r;
    q->variables = variables;
    spec->timeout_ms = (unsigned)(parts->config->exec_timeout * 1000);
    spec->interrupt_ms = QUESTION_MS < spec->timeout_ms ? QUESTION_MS : spec->timeout_ms;
    spec->max_output = QUESTION_MAX_OUTPUT;
    spec->silent = spec->no_history = true;
    spec->sink = &sink;
    spec->sink_owner = q;
    q->job = pool_submit(parts->pool, &session->owner, session->id, &job, on_job_done, q, &err);
    if (q->job == NULL) {
        http_reply_error(r, &err, NULL);
        question_free(q);
        return;
    }
    http_drop_body(r);
    http_on_gone(r, on_client_gone, q);
}

/* --- questions ---------------------------------------------------------------------------- */

/* Characters of valid UTF-8. */
static json_int_t
count_characters(const char *s, size_t len)
{
    json_int_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* The request's content: what the body says, and where the cursor is: behind the code, if it does not say. */
static json_t *
content_of(const struct body *body, bool cursor, bool detail)
{
    const json_t *position = json_object_get(body->json, "cursor_pos");
    const json_t *level = json_object_get(body->json, "detail_level");
    json_t *content = xnotnull(json_pack("{s:s%}", "code", body->code, body->code_len));

    if (cursor)
        json_object_set_new(content, "cursor_pos",
                            json_is_integer(position)
                                ? json_incref((json_t *)position)
                                : json_integer(count_characters(body->code, body->code_len)));
    if (detail)
        json_object_set_new(content, "detail_level", json_integer(json_integer_value(level)));
    return content;
}

static void
ask_about_code(struct api *api, struct http_request *r, const struct caller *who,
               const struct target *target, const char *request)
{
    const bool cursor = strcmp(request, "is_complete") != 0;
    const bool detail = strcmp(request, "inspect") == 0;
    struct execution_spec spec = {.code = "", .request = request};
    struct v1_session session;
    struct body body;
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len);

    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (body_parse_question(text, len, api_parts(api)->config->max_code_bytes, &body, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    spec.content = content_of(&body, cursor, detail);
    body_clear(&body);
    ask(api, r, &session, false, &spec);
    json_decref(spec.content);
}

void
v1_kernel_complete(struct api *api, struct http_request *r, const struct caller *who,
                   const struct target *target)
{
    ask_about_code(api, r, who, target, "complete");
}

void
v1_kernel_inspect(struct api *api, struct http_request *r, const struct caller *who,
                  const struct target *target)
{
    ask_about_code(api, r, who, target, "inspect");
}

void
v1_kernel_is_complete(struct api *api, struct http_request *r, const struct caller *who,
                      const struct target *target)
{
    ask_about_code(api, r, who, target, "is_complete");
}

void
v1_kernel_variables(struct api *api, struct http_request *r, const struct caller *who,
                    const struct target *target)
{
    struct execution_spec spec = {.code = v1_variables_code};
    struct v1_session session;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    if (!pool_is_python(api_parts(api)->pool, &session.owner, session.id)) {
        err_set(&err, ERR_UNSUPPORTED, "Only Python's variables can be listed");
        http_reply_error(r, &err, NULL);
        return;
    }
    spec.code_len = strlen(spec.code);
    ask(api, r, &session, true, &spec);
}
