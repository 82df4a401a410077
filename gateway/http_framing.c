#include "http_framing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/util.h>

static bool
is_token(const char *name)
{
    return name[0] != '\0' &&
           name[strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

bool
http_framing_is_unambiguous(struct evhttp_request *ev)
{
    unsigned n_lengths = 0;

    for (const struct evkeyval *h = evhttp_request_get_input_headers(ev)->tqh_first; h;
         h = h->next.tqe_next) {
        if (!is_token(h->key))
            return false;
        if (evutil_ascii_strcasecmp(h->key, "Content-Length") == 0 &&
            (n_lengths++ > 0 || h->value[strspn(h->value, "0123456789")] != '\0'))
            return false;
    }
    return true;
}

/* evhttp goes by these two headers, and by the first of several of a name. */
bool
http_framing_is_within(struct evhttp_request *ev, long long bytes)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(ev);
    const char *length = evhttp_find_header(headers, "Content-Length");

    return evhttp_find_header(headers, "Transfer-Encoding") == NULL &&
           (length == NULL || strtoll(length, NULL, 10) <= bytes);
}

bool
http_framing_has_unread_body(struct evhttp_request *ev)
{
    const enum evhttp_cmd_type method = evhttp_request_get_command(ev);

    return method != EVHTTP_REQ_POST && method != EVHTTP_REQ_PUT && method != EVHTTP_REQ_PATCH &&
           !http_framing_is_within(ev, 0);
}

void
http_framing_refuse_chunks(struct evhttp_request *ev, long long bytes)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(ev);
    char length[32];

    if (evhttp_find_header(headers, "Transfer-Encoding") == NULL)
        return;
    snprintf(length, sizeof(length), "%lld", bytes);
    while (evhttp_remove_header(headers, "Transfer-Encoding") == 0 ||
           evhttp_remove_header(headers, "Content-Length") == 0)
        continue;
    evhttp_add_header(headers, "Content-Length", length);
}
