#include "http_json.h"

#include <stdio.h>
#include <string.h>

/* What each error is answered with. */
static const struct answer {
    int status;
    const char *code;
} answers[] = {
    [ERR_NONE] = {500, "internal"},           [ERR_BAD_REQUEST] = {400, "invalid_request"},
    [ERR_BUSY] = {429, "queue_full"},         [ERR_CONFIG] = {500, "internal"},
    [ERR_CONFLICT] = {409, "conflict"},       [ERR_FORBIDDEN] = {403, "forbidden"},
    [ERR_NOT_FOUND] = {404, "not_found"},     [ERR_NO_WORKER] = {503, "capacity"},
    [ERR_PEER] = {503, "worker_died"},        [ERR_QUOTA] = {429, "quota_exceeded"},
    [ERR_SYSTEM] = {500, "internal"},         [ERR_TIMEOUT] = {504, "timeout"},
    [ERR_TOO_LARGE] = {413, "too_large"},     [ERR_UNSUPPORTED] = {422, "unsupported"},
    [ERR_WORKER_DIED] = {503, "worker_died"}, [ERR_PRECONDITION] = {412, "precondition_failed"},
    [ERR_NO_SPACE] = {507, "no_space"},       [ERR_RANGE] = {416, "range_not_satisfiable"},
    [ERR_INSTALL] = {422, "install_failed"},
};

/* The code of an error of which nothing is known but its status. */
static const struct answer by_status[] = {
    {400, "invalid_request"},
    {401, "unauthorized"},
    {403, "forbidden"},
    {404, "not_found"},
    {409, "conflict"},
    {405, "method_not_allowed"},
    {412, "precondition_failed"},
    {413, "too_large"},
    {416, "range_not_satisfiable"},
    {422, "blocked"},
    {429, "rate_limited"},
    {501, "method_not_allowed"},
    {503, "capacity"},
    {504, "timeout"},
};

static const char *
code_of(int status)
{
    for (size_t i = 0; i < sizeof(by_status) / sizeof(by_status[0]); i++)
        if (by_status[i].status == status)
            return by_status[i].code;
    return status < 500 ? "invalid_request" : "internal";
}

int
http_status_of(enum err_code code)
{
    return answers[code].status;
}

const char *
http_code_of(enum err_code code)
{
    return answers[code].code;
}

static bool
is_v1(const char *path)
{
    return strncmp(path, "/v1", 3) == 0 && (path[3] == '/' || path[3] == '\0' || path[3] == '?');
}

/* Takes more. */
static json_t *
envelope(const char *code, const char *detail, const char *field, const char *session, json_t *more)
{
    json_t *error = xnotnull(json_pack("{s:s,s:s}", "code", code, "message", detail));

    if (field[0])
        json_object_set_new(error, "field", json_string(field));
    if (session)
        json_object_set_new(error, "session_id", json_string(session));
    if (more)
        json_object_update_new(error, more);
    return xnotnull(json_pack("{s:o}", "error", error));
}

/* Takes more. */
static json_t *
plain(const char *detail, const char *field, json_t *more)
{
    json_t *body = xnotnull(json_pack("{s:s}", "detail", detail));

    if (field[0])
        json_object_set_new(body, "field", json_string(field));
    if (more)
        json_object_update_new(body, more);
    return body;
}

void
http_reply_json(struct http_request *r, int status, json_t *body)
{
    char *text = xnotnull(json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(12)));

    http_reply(r, status, "application/json", text, strlen(text));
    free(text);
    json_decref(body);
}

static void
reply(struct http_request *r, const struct answer *answer, const char *detail, const char *field,
      json_t *more)
{
    http_reply_json(r, answer->status,
                    is_v1(http_path(r))
                        ? envelope(answer->code, detail, field, http_session(r), more)
                        : plain(detail, field, more));
}

void
http_reply_status(struct http_request *r, int status, const char *detail)
{
    http_reply_code(r, status, code_of(status), detail, NULL);
}

void
http_reply_code(struct http_request *r, int status, const char *code, const char *detail,
                json_t *more)
{
    const struct answer answer = {status, code};

    reply(r, &answer, detail, "", more);
}

void
http_retry_after(struct http_request *r, unsigned seconds)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", seconds);
    http_add_header(r, "Retry-After", text);
}

void
http_reply_error(struct http_request *r, const struct err *err, json_t *more)
{
    if (err->code == ERR_BUSY)
        http_retry_after(r, 1);
    else if (err->code == ERR_NO_WORKER || err->code == ERR_QUOTA)
        http_retry_after(r, 5);
    reply(r, &answers[err->code], err->msg, err->field, more);
}

char *
http_error_text(const char *target, int status, const char *detail)
{
    json_auto_t *body = target && is_v1(target) ? envelope(code_of(status), detail, "", NULL, NULL)
                                                : plain(detail, "", NULL);

    return xnotnull(json_dumps(body, JSON_COMPACT));
}
