/* client.c - see client.h. */
#include "client.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <curl/curl.h>
#include <sodium.h>

#include "interrupt.h"

enum {
    CONNECT_SECONDS = 10,
    SILENCE_MS = 60000, /* of an answer in pieces; in a stream there is a sign of life every 15 s */
    MAX_ANSWER = 256 << 20, /* bytes */
    TURN_MS = 1000,
};

struct client {
    struct place place;
};

/* One request under way. */
struct exchange {
    CURL *curl;
    CURLcode result;
    char reason[CURL_ERROR_SIZE];
    const struct client_request *request;
    struct client_head head;
    bool decided, taken; /* whether the body goes to the request's owner */
    char *text;          /* the answer's body, unless it does */
    size_t len, size;
    int64_t heard; /* now_ms: when something last came; 0: that is not minded yet */
    bool interrupted;
    struct err err; /* of what came, or went */
};

static const struct client_ops no_ops;

static const struct client_ops *
ops_of(const struct client_request *r)
{
    return r->ops ? r->ops : &no_ops;
}

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

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

static bool
is_success(long status)
{
    return status >= 200 && status <= 299;
}

static void
read_head(struct exchange *x)
{
    curl_off_t length = -1;
    const char *type = NULL;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &x->head.status);
    curl_easy_getinfo(x->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(x->curl, CURLINFO_CONTENT_TYPE, &type);
    x->head.length = length;
    x->head.is_events = type && strncasecmp(type, "text/event-stream", 17) == 0;
}

static bool
is_for_owner(struct exchange *x)
{
    const struct client_ops *ops = ops_of(x->request);

    read_head(x);
    return ops->take && is_success(x->head.status) &&
           (ops->wants == NULL || ops->wants(x->request->owner, &x->head));
}

static size_t
on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    int rc;

    if (!x->decided)
        x->taken = is_for_owner(x);
    x->decided = true;
    if (x->taken)
        rc = ops_of(x->request)->take(x->request->owner, bytes, size * n, &x->err);
    else
        rc = keep(x, bytes, size * n);
    x->heard = now_ms(); /* only now, as who takes it may have waited for something, too */
    if (rc < 0 && x->err.code == ERR_NONE)
        x->interrupted = true;
    return rc < 0 ? 0 : size * n; /* 0 ends the transfer */
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const size_t len = size * n;
    size_t end = len, begin = 5;

    x->heard = now_ms();
    if (len < begin || strncasecmp(line, "ETag:", begin) != 0)
        return len;
    while (begin < len && line[begin] == ' ')
        begin++;
    while (end > begin && strchr("\r\n ", line[end - 1]))
        end--;
    if (end - begin < sizeof(x->head.etag))
        snprintf(x->head.etag, sizeof(x->head.etag), "%.*s", (int)(end - begin), line + begin);
    return len;
}

static size_t
on_room(char *room, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const ssize_t len = x->request->ops->give(x->request->owner, room, size * n, &x->err);

    return len < 0 ? CURL_READFUNC_ABORT : (size_t)len;
}

/* --- one request -------------------------------------------------------------------------- */

static void
add(struct curl_slist **list, const char *line)
{
    *list = xnotnull(curl_slist_append(*list, line));
}

/* The caller's. */
static struct curl_slist *
headers_of(const struct client *c, const struct client_request *r)
{
    const bool binary = ops_of(r)->give != NULL;
    struct curl_slist *list = NULL;

    add(&list,
        binary ? "Content-Type: application/octet-stream" : "Content-Type: application/json");
    add(&list, "Expect:"); /* no 100 is waited for */
    if (c->place.token) {
        cleanup_free char *line = xasprintf("X-Auth-Token: %s", c->place.token);

        add(&list, line);
    }
    for (size_t i = 0; i < sizeof(r->headers) / sizeof(r->headers[0]) && r->headers[i]; i++)
        add(&list, r->headers[i]);
    return list;
}

static void
set_body(struct exchange *x, const char *body)
{
    const struct client_ops *ops = ops_of(x->request);

    if (body) {
        curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(x->curl, CURLOPT_POSTFIELDS, body);
    } else if (ops->give) {
        curl_easy_setopt(x->curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(x->curl, CURLOPT_READFUNCTION, on_room);
        curl_easy_setopt(x->curl, CURLOPT_READDATA, x);
        curl_easy_setopt(x->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->request->length);
        curl_easy_setopt(x->curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    }
    if (ops->take) {
        curl_easy_setopt(x->curl, CURLOPT_BUFFERSIZE, 256L << 10);
        x->heard = x->request->slow_head ? 0 : now_ms();
    }
    if (strcmp(x->request->method, "HEAD") == 0)
        curl_easy_setopt(x->curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(x->curl, CURLOPT_CUSTOMREQUEST, x->request->method);
}

static void
set_up(const struct client *c, struct exchange *x, const char *url, const char *body)
{
    set_body(x, body);
    curl_easy_setopt(x->curl, CURLOPT_URL, url);
    curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "tci/" PACKAGE_VERSION);
    curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* Nothing shares a connection, and where one of HTTP/2 breaks nobody could say so as plainly. */
    curl_easy_setopt(x->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(x->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(x->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(x->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->reason);
    curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x->curl, CURLOPT_HEADERDATA, x);
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

static bool
is_silent(const struct exchange *x)
{
    return ops_of(x->request)->take && x->heard && now_ms() - x->heard > SILENCE_MS;
}

/* One wait for the server, or for Ctrl-C. */
static void
wait_for_more(CURLM *multi, struct exchange *x)
{
    const struct client_ops *ops = ops_of(x->request);
    const int wanted[] = {interrupt_fd(), ops->input_fd ? ops->input_fd(x->request->owner) : -1};
    struct curl_waitfd extra[2];
    unsigned n = 0;

    for (size_t i = 0; i < 2; i++)
        if (wanted[i] >= 0)
            extra[n++] = (struct curl_waitfd){.fd = wanted[i], .events = CURL_WAIT_POLLIN};
    curl_multi_poll(multi, extra, n, TURN_MS, NULL);
    if (interrupt_taken() &&
        (ops->on_interrupt == NULL || ops->on_interrupt(x->request->owner) < 0))
        x->interrupted = true;
}

static void
converse(struct exchange *x)
{
    const struct client_ops *ops = ops_of(x->request);
    CURLM *multi = xnotnull(curl_multi_init());
    int running;

    curl_multi_add_handle(multi, x->curl);
    while (!x->interrupted) {
        const CURLMcode rc = curl_multi_perform(multi, &running);
        const bool silent = is_silent(x); /* on_turn may take its time */

        if (ops->on_turn)
            ops->on_turn(x->request->owner);
        if (is_over(multi, x))
            break;
        if (silent) {
            snprintf(x->reason, sizeof(x->reason), "nothing has come for %d s", SILENCE_MS / 1000);
            x->result = CURLE_OPERATION_TIMEDOUT;
            break;
        }
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

static enum client_loss
loss_of(const struct exchange *x)
{
    if (x->interrupted || x->err.code != ERR_NONE)
        return LOST_NOTHING;
    switch (x->result) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CONNECT_ERROR:
        return LOST_UNREACHED;
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return LOST_MIDWAY;
    default:
        return LOST_NOTHING;
    }
}

static int
explain_transfer(const struct client *c, const struct exchange *x, struct err *err)
{
    const char *why = x->reason[0] ? x->reason : curl_easy_strerror(x->result);

    if (x->interrupted)
        return err_set(err, ERR_NONE, "interrupted");
    if (x->err.code != ERR_NONE) {
        if (err)
            *err = x->err;
        return -1;
    }
    if (x->result == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ERR_TIMEOUT, "%s does not answer: %s", c->place.url, why);
    if (x->head.status)
        return err_set(err, ERR_PEER, "The connection to %s was lost: %s", c->place.url, why);
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
explain_refusal(const struct client *c, long status, const json_t *answer, struct err *err)
{
    const char *code, *sentence = sentence_of(answer, &code);
    const bool late = status == 504 || (code && strcmp(code, "timeout") == 0);

    if (status == 401 && c->place.token == NULL)
        return err_field(err, ERR_FORBIDDEN, "unauthorized",
                         "%s wants a token: give one with TCI_AUTH_TOKEN or --token", c->place.url);
    if (sentence == NULL)
        return err_set(err, ERR_PEER, "%s answers with status %ld", c->place.url, status);
    return err_field(err, late ? ERR_TIMEOUT : ERR_FORBIDDEN, code ? code : "", "%s", sentence);
}

static int
conclude(const struct client *c, struct exchange *x, struct client_answer *answer, struct err *err)
{
    json_t *json = NULL;
    long sent = 0;
    int rc = 0;

    read_head(x);
    answer->head = x->head;
    if (x->result == CURLE_ABORTED_BY_CALLBACK && x->err.code == ERR_NONE)
        x->interrupted = true;
    answer->loss = loss_of(x);
    answer->sent = curl_easy_getinfo(x->curl, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent > 0;
    if (x->interrupted || x->result != CURLE_OK)
        return explain_transfer(c, x, err);
    if (x->len > 0)
        json = json_loadb(x->text, x->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (!is_success(x->head.status))
        rc = explain_refusal(c, x->head.status, json, err);
    else if (x->len > 0 && json == NULL)
        rc = err_set(err, ERR_PEER, "%s answers with what is no JSON", c->place.url);
    if (rc == 0)
        answer->json = json_incref(json);
    json_decref(json);
    return rc;
}

int
client_perform(struct client *c, const struct client_request *r, struct client_answer *answer,
               struct err *err)
{
    cleanup_free char *url = xasprintf("%s%s", c->place.url, r->path);
    cleanup_free char *text = r->body ? xnotnull(json_dumps(r->body, JSON_COMPACT)) : NULL;
    struct exchange x = {.request = r, .err = ERR_INIT};
    struct curl_slist *headers = headers_of(c, r);
    int rc;

    json_decref(r->body);
    memset(answer, 0, sizeof(*answer));
    x.curl = xnotnull(curl_easy_init());
    curl_easy_setopt(x.curl, CURLOPT_HTTPHEADER, headers);
    set_up(c, &x, url, text);
    converse(&x);
    rc = conclude(c, &x, answer, err);
    curl_easy_cleanup(x.curl);
    curl_slist_free_all(headers);
    free(x.text);
    return rc;
}

/* --- the interface ------------------------------------------------------------------------ */

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
    place_clear(&c->place);
    free(c);
    curl_global_cleanup();
}

void
client_draw_key(char line[CLIENT_KEY_SIZE])
{
    unsigned char bytes[16];
    char hex[2 * sizeof(bytes) + 1];

    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2hex(hex, sizeof(hex), bytes, sizeof(bytes));
    snprintf(line, CLIENT_KEY_SIZE, "Idempotency-Key: tci-%s", hex);
}

int
client_call(struct client *c, const char *method, const char *path, json_t *body, json_t **out,
            struct err *err)
{
    const struct client_request request = {.method = method, .path = path, .body = body};
    struct client_answer answer;
    const int rc = client_perform(c, &request, &answer, err);

    if (out)
        *out = json_incref(answer.json);
    json_decref(answer.json);
    return rc;
}
