/*
 * serve.c - see serve.h.
 *
 * One request of the shell channel is answered at a time.  While a cell runs, `wait` serves what cannot wait: signals, the
 * control channel, answers to a question for input, and heartbeats.
 */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sodium.h>

#include "reader.h"
#include "runner.h"

enum {
    MAX_LINE = 64 << 10, /* bytes of input at a time: what a pipe holds */
    MAX_IMAGE = 8 << 20, /* bytes */
};

struct serve {
    struct client *client;
    const struct language *language;
    int signals;
    struct attendant attendant;
    struct runner *runner;
    const struct request *running; /* NULL: no cell runs */
    char *line;                    /* the client's answer; NULL: none yet */
    bool asked;
    bool waits;       /* a message does, for a place on iopub */
    int missed;       /* events that came meanwhile */
    bool interrupted; /* the cell that runs */
    char *version;    /* of the language */
    json_int_t count; /* execution_count */
    bool quit;
};

typedef void handler(struct serve *, const struct request *);

/* --- small answers -------------------------------------------------------------------------- */

static void
publish_state(struct serve *s, const struct request *r, const char *state)
{
    json_auto_t *content = json_pack("{s:s}", "execution_state", state);

    client_publish(s->client, r, "status", xnotnull(content));
}

static void
reply(struct serve *s, const struct request *r, const char *type, json_t *content_taken)
{
    client_reply(s->client, r, type, xnotnull(content_taken));
    json_decref(content_taken);
}

static void
on_kernel_info(struct serve *s, const struct request *r)
{
    const struct language *l = s->language;

    if (s->version == NULL && s->running == NULL)
        s->version = runner_version(s->runner);
    reply(s, r, "kernel_info_reply",
          json_pack("{s:s,s:s,s:s,s:s,s:s,s:[],s:{s:s,s:s,s:s,s:s}}", /**/
                    "status", "ok", "protocol_version", "5.3",        /**/
                    "implementation", "tci-kernel", "implementation_version", PACKAGE_VERSION,
                    "banner", l->title, "help_links", "language_info", "name", l->name, "version",
                    s->version ? s->version : "", "mimetype", l->mimetype, "file_extension",
                    language_suffix(l)));
}

static void
on_comm_info(struct serve *s, const struct request *r)
{
    reply(s, r, "comm_info_reply", json_pack("{s:s,s:{}}", "status", "ok", "comms"));
}

static void
on_history(struct serve *s, const struct request *r)
{
    reply(s, r, "history_reply", json_pack("{s:s,s:[]}", "status", "ok", "history"));
}

static void
on_inspect(struct serve *s, const struct request *r)
{
    reply(s, r, "inspect_reply",
          json_pack("{s:s,s:b,s:{},s:{}}", "status", "ok", "found", 0, "data", "metadata"));
}

/* What runs is told where control is served; here nothing runs. */
static void
on_interrupt(struct serve *s, const struct request *r)
{
    reply(s, r, "interrupt_reply", json_pack("{s:s}", "status", "ok"));
}

static void
on_shutdown(struct serve *s, const struct request *r)
{
    const int restart = json_is_true(json_object_get(r->msg.content, "restart"));

    s->quit = true;
    reply(s, r, "shutdown_reply", json_pack("{s:s,s:b}", "status", "ok", "restart", restart));
}

/* --- code ----------------------------------------------------------------------------------- */

struct code {
    const char *text;
    size_t len;
};

static struct code
code_of(const struct request *r)
{
    const json_t *code = json_object_get(r->msg.content, "code");

    if (!json_is_string(code))
        return (struct code){"", 0};
    return (struct code){json_string_value(code), json_string_length(code)};
}

static bool
flag(const struct request *r, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(r->msg.content, name);

    return value == NULL ? otherwise : json_is_true(value);
}

static void
on_is_complete(struct serve *s, const struct request *r)
{
    const struct code code = code_of(r);
    const char *status = runner_check(s->runner, code.text, code.len);

    reply(s, r, "is_complete_reply",
          strcmp(status, "incomplete") == 0 ? json_pack("{s:s,s:s}", "status", status, "indent", "")
                                            : json_pack("{s:s}", "status", status));
}

/* Bytes of the first n characters. */
static size_t
prefix(const struct code *code, json_int_t n)
{
    size_t i = 0;

    while (i < code->len && (n > 0 || ((unsigned char)code->text[i] & 0xc0) == 0x80))
        n -= ((unsigned char)code->text[i++] & 0xc0) != 0x80;
    return i;
}

static void
on_complete(struct serve *s, const struct request *r)
{
    const struct code code = code_of(r);
    const json_int_t cursor = json_integer_value(json_object_get(r->msg.content, "cursor_pos"));
    int word;
    json_t *matches = runner_complete(s->runner, code.text, prefix(&code, cursor), &word);

    reply(s, r, "complete_reply",
          json_pack("{s:s,s:o,s:I,s:I,s:{}}", "status", "ok", "matches", matches, "cursor_start",
                    word < cursor ? cursor - word : 0, "cursor_end", cursor, "metadata"));
}

/* --- execution ------------------------------------------------------------------------------ */

static json_t *
traceback(const struct outcome *o)
{
    json_t *lines = xnotnull(json_array());
    const char *p = o->text == NULL ? "" : o->text;

    while (*p != '\0') {
        const size_t n = strcspn(p, "\n");
        json_t *line = json_stringn(p, n);

        json_array_append_new(lines, line ? line : json_string("(a line that is no UTF-8)"));
        p += n + (p[n] == '\n');
    }
    json_array_append_new(lines, json_sprintf("%s: %s", o->ename, o->evalue));
    return lines;
}

static void
answer_failure(struct serve *s, const struct request *r, const struct outcome *o)
{
    json_t *error = xnotnull(json_pack("{s:s,s:s,s:o}", "ename", o->ename, "evalue", o->evalue,
                                       "traceback", traceback(o)));

    client_publish(s->client, r, "error", error);
    json_object_set_new(error, "status", json_string("error"));
    json_object_set_new(error, "execution_count", json_integer(s->count));
    reply(s, r, "execute_reply", error);
}

static void
answer_success(struct serve *s, const struct request *r)
{
    reply(s, r, "execute_reply",
          json_pack("{s:s,s:I,s:[],s:{}}", "status", "ok", "execution_count", s->count, "payload",
                    "user_expressions"));
}

/* What was sent behind code that failed was meant for it to go well. */
static void
abort_queued(struct serve *s)
{
    struct request r;

    while (client_receive(s->client, CLIENT_SHELL, &r)) {
        publish_state(s, &r, "busy");
        if (strcmp(request_type(&r), "execute_request") == 0)
            reply(s, &r, "execute_reply", json_pack("{s:s}", "status", "aborted"));
        publish_state(s, &r, "idle");
        request_clear(&r);
    }
}

static void
announce(struct serve *s, const struct request *r, const struct code *code)
{
    json_auto_t *content =
        json_pack("{s:s%,s:I}", "code", code->text, code->len, "execution_count", s->count);

    client_publish(s->client, r, "execute_input", xnotnull(content));
}

/* Code of nothing but blanks does nothing, not even build a program. */
static bool
is_blank(const struct code *code)
{
    for (size_t i = 0; i < code->len; i++)
        if (code->text[i] == '\0' || strchr(" \t\r\n", code->text[i]) == NULL)
            return false;
    return true;
}

static void
run(struct serve *s, const struct request *r, const struct code *code)
{
    struct outcome outcome = {0};

    s->running = r;
    if (!is_blank(code))
        runner_run(s->runner, code->text, code->len, flag(r, "allow_stdin", true), &outcome);
    s->running = NULL;
    s->asked = false;
    if (outcome.failed)
        answer_failure(s, r, &outcome);
    else
        answer_success(s, r);
    if (outcome.failed && flag(r, "stop_on_error", true))
        abort_queued(s);
    outcome_clear(&outcome);
}

static void
on_execute(struct serve *s, const struct request *r)
{
    const struct code code = code_of(r);
    const bool silent = flag(r, "silent", false);

    if (!silent && flag(r, "store_history", true) && !is_blank(&code))
        s->count++;
    if (!silent)
        announce(s, r, &code);
    run(s, r, &code);
}

/* --- dispatch ------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    handler *handle;
} handlers[] = {
    {"comm_info_request", on_comm_info},     {"complete_request", on_complete},
    {"execute_request", on_execute},         {"history_request", on_history},
    {"inspect_request", on_inspect},         {"interrupt_request", on_interrupt},
    {"is_complete_request", on_is_complete}, {"kernel_info_request", on_kernel_info},
    {"shutdown_request", on_shutdown},
};

static void
dispatch(struct serve *s, const struct request *r)
{
    publish_state(s, r, "busy");
    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
        if (strcmp(request_type(r), handlers[i].type) == 0)
            handlers[i].handle(s, r);
    publish_state(s, r, "idle");
}

/* --- while a cell runs ---------------------------------------------------------------------- */

static int
read_signals(struct serve *s)
{
    struct signalfd_siginfo info;
    int events = 0;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGINT)
            events |= ATTENDANT_INTERRUPT;
        if (info.ssi_signo == SIGTERM) {
            events |= ATTENDANT_SHUTDOWN;
            s->quit = true;
        }
    }
    return events;
}

/* What needs neither the runner nor its turn. */
static const char *const on_control[] = {"interrupt_request", "kernel_info_request",
                                         "shutdown_request"};

static int
serve_control(struct serve *s)
{
    struct request r;
    int events = 0;

    while (client_receive(s->client, CLIENT_CONTROL, &r)) {
        if (strcmp(request_type(&r), "interrupt_request") == 0)
            events |= ATTENDANT_INTERRUPT;
        for (size_t i = 0; i < sizeof(on_control) / sizeof(*on_control); i++)
            if (strcmp(request_type(&r), on_control[i]) == 0)
                dispatch(s, &r);
        request_clear(&r);
    }
    return s->quit ? events | ATTENDANT_SHUTDOWN : events;
}

/* An answer that nobody has asked for is dropped. */
static void
serve_stdin(struct serve *s)
{
    struct request r;

    while (client_receive(s->client, CLIENT_STDIN, &r)) {
        const char *value = json_string_value(json_object_get(r.msg.content, "value"));

        if (s->asked && value != NULL && strlen(value) < MAX_LINE) {
            free(s->line);
            s->line = xasprintf("%s\n", value);
            s->asked = false;
        }
        request_clear(&r);
    }
}

static int
listen_to(struct serve *s, int fd, int timeout_ms)
{
    zmq_pollitem_t items[] = {
        {s->client->sockets[CLIENT_CONTROL], 0, ZMQ_POLLIN, 0},
        {s->client->sockets[CLIENT_STDIN], 0, ZMQ_POLLIN, 0},
        {s->client->sockets[CLIENT_HB], 0, ZMQ_POLLIN, 0},
        {NULL, s->signals, ZMQ_POLLIN, 0},
        {NULL, fd, ZMQ_POLLIN, 0},
    };
    int events = 0;

    if (zmq_poll(items, fd < 0 ? 4 : 5, timeout_ms) <= 0)
        return 0;
    if (items[0].revents)
        events |= serve_control(s);
    if (items[1].revents)
        serve_stdin(s);
    if (items[2].revents)
        client_beat(s->client);
    if (items[3].revents)
        events |= read_signals(s);
    if (fd >= 0 && items[4].revents)
        events |= ATTENDANT_READABLE;
    s->interrupted |= (events & ATTENDANT_INTERRUPT) != 0;
    return events;
}

static int
attend(void *owner, int fd, int timeout_ms)
{
    struct serve *s = owner;
    const int missed = s->missed;

    s->missed = 0;
    return missed | listen_to(s, fd, missed != 0 ? 0 : timeout_ms);
}

/*
 * What an interrupted cell shows is dropped then, or its interpreter would wait here and could not heed the interrupt; so
 * is the state of a request that is served in here.
 */
static bool
keeps_waiting(void *owner)
{
    struct serve *s = owner;

    if (s->waits)
        return false;
    s->waits = true;
    s->missed |= listen_to(s, -1, 0);
    s->waits = false;
    return !s->quit && !(s->interrupted && s->running != NULL);
}

static bool
ask(void *owner)
{
    struct serve *s = owner;
    json_auto_t *content = json_pack("{s:s,s:b}", "prompt", "", "password", 0);

    free(s->line);
    s->line = NULL;
    s->asked = client_ask(s->client, s->running, xnotnull(content));
    return s->asked;
}

/* A file's bytes: new, and *len of them; NULL: there are none, or too many for a message. */
static void *
read_shown(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    void *data = NULL;
    struct stat st;

    if (file != NULL && fstat(fileno(file), &st) == 0 && st.st_size > 0 && st.st_size < MAX_IMAGE) {
        data = xnotnull(malloc((size_t)st.st_size));
        *len = fread(data, 1, (size_t)st.st_size, file);
    }
    if (file != NULL)
        fclose(file);
    return data;
}

static char *
read_base64(const char *path)
{
    size_t n, size;
    cleanup_free unsigned char *data = read_shown(path, &n);
    char *text;

    if (data == NULL)
        return NULL;
    size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    text = xnotnull(malloc(size));
    sodium_bin2base64(text, size, data, n, sodium_base64_VARIANT_ORIGINAL);
    return text;
}

/* As others read what kernels send: what user code can do to it, as with half a character, is mended. */
static json_t *
read_bundle(const char *path)
{
    struct err err = ERR_INIT;
    size_t n;
    cleanup_free char *text = read_shown(path, &n);

    return text == NULL ? NULL : reader_object(text, n, "what is shown", &err);
}

/* What is no file, or too large for a message, is not shown. */
static void
show_image(void *owner, const char *path)
{
    struct serve *s = owner;
    cleanup_free char *data = read_base64(path);
    json_auto_t *content = NULL;

    if (data == NULL || s->running == NULL)
        return;
    content = json_pack("{s:{s:s,s:s},s:{},s:{}}", "data", "image/png", data, "text/plain",
                        "<a picture>", "metadata", "transient");
    client_publish(s->client, s->running, "display_data", xnotnull(content));
}

static void
show(void *owner, const char *path, bool is_result)
{
    struct serve *s = owner;
    json_t *data = read_bundle(path);
    json_auto_t *content = NULL;

    unlink(path); /* a cell may show more than there is room for */
    if (data == NULL || s->running == NULL) {
        json_decref(data);
        return;
    }
    content = xnotnull(json_pack("{s:o,s:{}}", "data", data, "metadata"));
    if (is_result)
        json_object_set_new(content, "execution_count", json_integer(s->count));
    client_publish(s->client, s->running, is_result ? "execute_result" : "display_data", content);
}

static char *
take_line(void *owner)
{
    struct serve *s = owner;
    char *line = s->line;

    s->line = NULL;
    return line;
}

/* --- in between ----------------------------------------------------------------------------- */

static void
serve_shell(struct serve *s)
{
    struct request r;

    if (!client_receive(s->client, CLIENT_SHELL, &r))
        return;
    s->missed = 0;
    s->interrupted = false;
    dispatch(s, &r);
    request_clear(&r);
}

static void
turn(struct serve *s)
{
    zmq_pollitem_t items[] = {
        {s->client->sockets[CLIENT_SHELL], 0, ZMQ_POLLIN, 0},
        {s->client->sockets[CLIENT_CONTROL], 0, ZMQ_POLLIN, 0},
        {s->client->sockets[CLIENT_HB], 0, ZMQ_POLLIN, 0},
        {NULL, s->signals, ZMQ_POLLIN, 0},
    };

    if (zmq_poll(items, 4, -1) < 0)
        return;
    if (items[3].revents)
        (void)read_signals(s); /* an interrupt finds nothing to end */
    if (items[2].revents)
        client_beat(s->client);
    if (items[1].revents)
        (void)serve_control(s);
    if (items[0].revents && !s->quit)
        serve_shell(s);
}

int
serve_run(struct client *client, const struct language *language, int signals, struct err *err)
{
    struct serve s = {.client = client,
                      .language = language,
                      .signals = signals,
                      .attendant = {&s, attend, ask, show_image, show, take_line}};

    s.runner = runner_new(language, &s.attendant, err);
    if (s.runner == NULL)
        return -1;
    client->keeps_waiting = keeps_waiting;
    client->owner = &s;
    publish_state(&s, NULL, "starting");
    while (!s.quit)
        turn(&s);
    client->keeps_waiting = NULL;
    client->owner = NULL;
    runner_free(s.runner);
    free(s.version);
    free(s.line);
    return 0;
}
