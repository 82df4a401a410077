/* client.c - see client.h. */
#include "client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <curl/curl.h>

#include "interrupt.h"

enum {
    CONNECT_SECONDS = 10,
    SILENCE_SECONDS = 60,   /* of a stream, in which there is a sign of life every 15 s */
    MAX_ANSWER = 256 << 20, /* bytes */
    MAX_EVENT = 64 << 20,   /* bytes */
    TURN_MS = 1000,
};

struct client {
    struct place place;
    struct curl_slist *headers;
};

/* One request under way. */
struct exchange {
    CURL *curl;
    CURLcode result;
    char reason[CURL_ERROR_SIZE];
    char *text; /* the answer's body, unless it is events */
    size_t len, size;
    struct events *events; /* NULL: none are wanted */
    const struct client_stream_ops *ops;
    void *owner;
    bool interrupted;
    struct err err; /* of what came */
};

/* --- what comes --------------------------------------------------------------------------- */

static int
keep(struct exchange *x, const char *bytes, size_t len)
{
    if (len > MAX_ANSWER - x->len)
        return err_set(&x->err, ERR_PEER, "The server's answer has more than %d MiB",
                       MAX_ANSWER >> 20);
    if (x->len + len + 1 > x->size) {
        x->size = 2 * (x->len + len + 1);
        x->text = xrealloc(x->text, x->size);
    }
    memcpy(x->text + x->len, bytes, len);
    x->len += len;
    return 0;
}

static long
status_of(const struct exchange *x)
{
    long status = 0;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t
on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    int rc;

    if (x->events && status_of(x) == 200)
        rc = events_feed(x->events, bytes, size * n, &x->err);
    else
        rc = keep(x, bytes, size * n);
    return rc < 0 ? 0 : size * n; /* 0 ends the transfer */
}

/* --- one request -------------------------------------------------------------------------- */

static void
set_up(const struct client *c, struct exchange *x, const char *method, const char *url,
       const char *body)
{
    curl_easy_setopt(x->curl, CURLOPT_URL, url);
    curl_easy_setopt(x->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "tci/" PACKAGE_VERSION);
    curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(x->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(x->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->reason);
    curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
    if (body) {
        curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(x->curl, CURLOPT_POSTFIELDS, body);
    }
    if (x->events) {
        curl_easy_setopt(x->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(x->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
    }
    if (c->place.is_local)
        curl_easy_setopt(x->curl, CURLOPT_PROXY, "");
    if (c->place.ca_file)
        curl_easy_setopt(x->curl, CURLOPT_CAINFO, c->place.ca_file);
}

static bool
is_over(CURLM *multi, struct exchange *x)
{
    const CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE) {
            x->result = m->data.result;
            return true;
        }
    return false;
}

/* One wait for the server, or for Ctrl-C. */
static void
wait_for_more(CURLM *multi, struct exchange *x)
{
    const int wanted[] = {interrupt_fd(), x->ops ? x->ops->input_fd(x->owner) : -1};
    struct curl_waitfd extra[2];
    unsigned n = 0;

    for (size_t i = 0; i < 2; i++)
        if (wanted[i] >= 0)
            extra[n++] = (struct curl_waitfd){.fd = wanted[i], .events = CURL_WAIT_POLLIN};
    curl_multi_poll(multi, extra, n, TURN_MS, NULL);
    if (interrupt_taken() && (x->ops == NULL || x->ops->on_interrupt(x->owner) < 0))
        x->interrupted = true;
}

static void
perform(struct exchange *x)
{
    CURLM *multi = xnotnull(curl_multi_init());
    int running;

    curl_multi_add_handle(multi, x->curl);
    while (!x->interrupted) {
        const CURLMcode rc = curl_multi_perform(multi, &running);

        if (x->ops)
            x->ops->on_turn(x->owner);
        if (is_over(multi, x))
            break;
        if (rc != CURLM_OK) {
            x->result = CURLE_FAILED_INIT;
            break;
        }
        wait_for_more(multi, x);
    }
    curl_multi_remove_handle(multi, x->curl);
    curl_multi_cleanup(multi);
}

/* --- what came of it ---------------------------------------------------------------------- */

static int
explain_transfer(const struct client *c, const struct exchange *x, struct err *err)
{
    const char *why = x->reason[0] ? x->reason : curl_easy_strerror(x->result);

    if (x->interrupted)
        return err_set(err, ERR_NONE, "interrupted");
    if (x->err.code != ERR_NONE) {
        *err = x->err;
        return -1;
    }
    if (x->result == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_TIMEOUT, "%s does not answer: %s", c->place.url, why);
    return err_set(err, ERR_PEER, "%s cannot be reached: %s", c->place.url, why);
}

/* The sentence in an error of the API; NULL: there is none. */
static const char *
sentence_of(const json_t *answer, const char **code)
{
    const json_t *error = json_object_get(answer, "error");
    const char *detail = json_string_value(json_object_get(answer, "detail"));

    *code = json_string_value(json_object_get(error, "code"));
    return detail ? detail : json_string_value(json_object_get(error, "message"));
}

static int
explain_refusal(const struct client *c, const struct exchange *x, const json_t *answer,
                struct err *err)
{
    const long status = status_of(x);
    const char *code, *sentence = sentence_of(answer, &code);
    const bool late = status == 504 || (code && strcmp(code, "timeout") == 0);

    if (status == 401 && c->place.token == NULL)
        return err_set(err, ERR_FORBIDDEN,
                       "%s wants a token: give one with TCI_AUTH_TOKEN or --token", c->place.url);
    if (sentence == NULL)
        return err_set(err, ERR_PEER, "%s answers with status %ld", c->place.url, status);
    return err_set(err, late ? ERR_TIMEOUT : ERR_FORBIDDEN, "%s", sentence);
}

/* Takes the exchange's end apart; *answer, if wanted, is the caller's. */
static int
conclude(const struct client *c, struct exchange *x, json_t **answer, struct err *err)
{
    const long status = status_of(x);
    json_t *json = NULL;
    int rc = 0;

    if (x->interrupted || x->result != CURLE_OK)
        return explain_transfer(c, x, err);
    if (x->len > 0)
        json = json_loadb(x->text, x->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (status < 200 || status > 299)
        rc = explain_refusal(c, x, json, err);
    else if (x->len > 0 && json == NULL)
        rc = err_set(err, ERR_PEER, "%s answers with what is no JSON", c->place.url);
    if (rc == 0 && answer)
        *answer = json_incref(json);
    json_decref(json);
    return rc;
}

static int
request(struct client *c, const char *method, const char *path, json_t *body, struct exchange *x,
        json_t **answer, struct err *err)
{
    cleanup_free char *url = xasprintf("%s%s", c->place.url, path);
    cleanup_free char *text = body ? xnotnull(json_dumps(body, JSON_COMPACT)) : NULL;
    int rc;

    json_decref(body);
    if (answer)
        *answer = NULL;
    x->curl = xnotnull(curl_easy_init());
    set_up(c, x, method, url, text);
    perform(x);
    rc = conclude(c, x, answer, err);
    curl_easy_cleanup(x->curl);
    free(x->text);
    return rc;
}

/* --- the interface ------------------------------------------------------------------------ */

static void
add_header(struct client *c, const char *line)
{
    c->headers = xnotnull(curl_slist_append(c->headers, line));
}

struct client *
client_new(const struct place *place, struct err *err)
{
    struct client *c;

    if (place->token && strpbrk(place->token, "\r\n")) {
        err_set(err, ERR_CONFIG, "The token has a line break in it");
        return NULL;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        err_set(err, ERR_SYSTEM, "libcurl cannot be initialised");
        return NULL;
    }
    c = xcalloc(1, sizeof(*c));
    c->place.url = xstrdup(place->url);
    c->place.token = place->token ? xstrdup(place->token) : NULL;
    c->place.ca_file = place->ca_file ? xstrdup(place->ca_file) : NULL;
    c->place.is_local = place->is_local;
    add_header(c, "Content-Type: application/json");
    add_header(c, "Expect:"); /* no 100 is waited for */
    if (c->place.token) {
        cleanup_free char *line = xasprintf("X-Auth-Token: %s", c->place.token);

        add_header(c, line);
    }
    return c;
}

struct client *
client_open(const struct place_options *o, struct err *err)
{
    struct place place;
    struct client *c = NULL;

    if (place_find(o, &place, err) == 0)
        c = client_new(&place, err);
    place_clear(&place);
    return c;
}

void
client_free(struct client *c)
{
    if (c == NULL)
        return;
    curl_slist_free_all(c->headers);
    place_clear(&c->place);
    free(c);
    curl_global_cleanup();
}

int
client_call(struct client *c, const char *method, const char *path, json_t *body, json_t **answer,
            struct err *err)
{
    struct exchange x = {.err = ERR_INIT};

    return request(c, method, path, body, &x, answer, err);
}

int
client_stream(struct client *c, const char *path, json_t *body, const struct client_stream_ops *ops,
              void *owner, struct err *err)
{
    struct exchange x = {.ops = ops, .owner = owner, .err = ERR_INIT};
    int rc;

    x.events = events_new(MAX_EVENT, ops->on_event, owner);
    rc = request(c, "POST", path, body, &x, NULL, err);
    events_free(x.events);
    return rc;
}
