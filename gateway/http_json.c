#include "http_json.h"

#include <stdio.h>
#include <string.h>

void
http_reply_json(struct http_request *r, int status, json_t *body)
{
    char *text = xnotnull(json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(12)));

    http_reply(r, status, "application/json", text, strlen(text));
    free(text);
    json_decref(body);
}

void
http_reply_status(struct http_request *r, int status, const char *detail)
{
    http_reply_json(r, status, xnotnull(json_pack("{s:s}", "detail", detail)));
}

void
http_retry_after(struct http_request *r, unsigned seconds)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", seconds);
    http_add_header(r, "Retry-After", text);
}

int
http_status_of(enum err_code code)
{
    switch (code) {
    case ERR_BAD_REQUEST:
        return 400;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_FORBIDDEN:
        return 403;
    case ERR_CONFLICT:
        return 409;
    case ERR_BUSY:
    case ERR_QUOTA:
        return 429;
    case ERR_NO_WORKER:
    case ERR_PEER:
    case ERR_WORKER_DIED:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    case ERR_NONE:
    case ERR_CONFIG:
    case ERR_SYSTEM:
        break;
    }
    return 500;
}

void
http_reply_error(struct http_request *r, const struct err *err, json_t *more)
{
    json_t *body = xnotnull(json_pack("{s:s}", "detail", err->msg));

    if (err->field[0])
        json_object_set_new(body, "field", json_string(err->field));
    if (more)
        json_object_update_new(body, more);
    if (err->code == ERR_BUSY)
        http_retry_after(r, 1);
    else if (err->code == ERR_NO_WORKER || err->code == ERR_QUOTA)
        http_retry_after(r, 5);
    http_reply_json(r, http_status_of(err->code), body);
}
