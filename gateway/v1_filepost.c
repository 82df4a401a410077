/*
 * v1_filepost.c - POST /v1/sessions/{id}/files: several files of a form (multipart/form-data), or one in JSON.  Part of v1_files.h.
 *
 * The files of a form are written one after the other, as they come; those that were written before something went wrong stay.
 */
#include "v1_files.h"

#include <stdio.h>
#include <string.h>
#include <event2/buffer.h>
#include <sodium.h>

#include "api_audit.h"
#include "body.h"
#include "filehead.h"
#include "filework.h"
#include "http_json.h"
#include "multipart.h"
#include "target.h"
#include "transfer.h"
#include "v1.h"

enum { MAX_FILES = 1000, JSON_MAX = 8 << 20 /* bytes of a body of JSON */ };

/* --- what both have ----------------------------------------------------------------------- */

static json_t *
write_request(const char *path)
{
    return xnotnull(json_pack("{s:s,s:s,s:b}", "op", "write", "path", path, "if_none_match", 0));
}

static void
fail(struct filework *w, const char *field, const char *message)
{
    struct err err = ERR_INIT;

    if (field)
        err_field(&err, ERR_BAD_REQUEST, field, "%s: %s", field, message);
    else
        err_set(&err, ERR_BAD_REQUEST, "%s", message);
    filework_fail(w, &err);
}

static void
fail_as_nonsense(struct filework *w)
{
    struct err err = ERR_INIT;

    v1_files_nonsense(&err);
    filework_fail(w, &err);
}

/* An entry of the answer, a new object; NULL: the work has failed. */
static json_t *
take_entry(struct filework *w, const json_t *reply)
{
    json_t *entry = v1_files_entry(json_object_get(reply, "entry"));

    if (entry == NULL)
        fail_as_nonsense(w);
    return entry;
}

/* --- a form ------------------------------------------------------------------------------- */

struct form {
    struct multipart parser;
    char *directory; /* that files go into; "" = the workspace */
    json_t *entries; /* written */
    char field[MULTIPART_NAME];
    size_t n_field;
    enum { BETWEEN, IN_FILE, IN_FIELD, COMMITTING, OVER } state;
    bool begun; /* there is a worker */
};

static void
form_free(void *state)
{
    struct form *f = state;

    free(f->directory);
    json_decref(f->entries);
    free(f);
}

/* -1: the work has failed. */
static int
begin_part(struct filework *w)
{
    struct form *f = w->state;

    if (!f->parser.has_filename) {
        f->n_field = 0;
        f->state = IN_FIELD;
        if (strcmp(f->parser.name, "path") == 0)
            return 0;
        fail(w, NULL, "The form has a field that is neither a file nor named path");
        return -1;
    }
    cleanup_free char *path =
        xasprintf("%s%s%s", f->directory, f->directory[0] ? "/" : "", f->parser.filename);

    if (f->parser.filename[0] == '\0' || !filehead_is_path(path) ||
        json_array_size(f->entries) >= MAX_FILES) {
        fail(w, "filename", "must be a path below the directory, of at most 1000 files");
        return -1;
    }
    f->state = IN_FILE;
    return filework_next(w, write_request(path));
}

static int
end_field(struct filework *w)
{
    struct form *f = w->state;

    f->field[f->n_field] = '\0';
    f->state = BETWEEN;
    if (strlen(f->field) != f->n_field || !filehead_is_path(f->field)) {
        fail(w, "path", "must be a path below the workspace");
        return -1;
    }
    free(f->directory);
    f->directory = xstrdup(f->field);
    return 0;
}

/* None where the operation is over. */
static size_t
room_of_file(const struct filework *w)
{
    return w->transfer ? transfer_room(w->transfer) : 0;
}

/* -1: the work has failed. */
static int
take_bytes(struct filework *w, const char *bytes, size_t n)
{
    struct form *f = w->state;
    struct err err = ERR_INIT;

    if (f->state == IN_FILE) {
        if (transfer_send(w->transfer, bytes, n, &err) == 0)
            return 0;
        filework_fail(w, &err);
        return -1;
    }
    if (f->n_field + n >= sizeof(f->field)) {
        fail(w, "path", "is too long");
        return -1;
    }
    memcpy(f->field + f->n_field, bytes, n);
    f->n_field += n;
    return 0;
}

/* 1: go on.  0: wait.  -1: the work is over. */
static int
take_event(struct filework *w, enum multipart_event event, const char *bytes, size_t n,
           const struct err *err)
{
    struct form *f = w->state;

    switch (event) {
    case MULTIPART_MORE:
        return 1;
    case MULTIPART_PART:
        return begin_part(w) < 0 ? -1 : 1;
    case MULTIPART_DATA:
        return take_bytes(w, bytes, n) < 0 ? -1 : 1;
    case MULTIPART_PART_END:
        if (f->state == IN_FIELD)
            return end_field(w) < 0 ? -1 : 1;
        f->state = COMMITTING;
        transfer_finish(w->transfer);
        return 0;
    case MULTIPART_END:
        f->state = OVER;
        return 1;
    case MULTIPART_BAD:
        break;
    }
    filework_fail(w, err);
    return -1;
}

/* The body has been read to its end. */
static void
finish_form(struct filework *w)
{
    struct form *f = w->state;

    if (f->state != OVER)
        fail(w, NULL, "The body is no multipart/form-data: it ends early");
    else
        filework_end(w, 201, xnotnull(json_pack("{s:O}", "files", f->entries)));
}

/* -1: the work is over; 0: no more of it now. */
static int
take_piece(struct filework *w, const char *data, size_t len)
{
    struct form *f = w->state;
    /* Of a file no more than there is room for, and than a delimiter that turns out to be none may add. */
    const size_t room = f->state == IN_FILE ? room_of_file(w) : len + sizeof(f->parser.delimiter);
    const char *bytes = NULL;
    size_t used, n = 0;
    struct err err = ERR_INIT;
    enum multipart_event event;
    int rc;

    if (room <= sizeof(f->parser.delimiter))
        return 0;
    if (len > room - sizeof(f->parser.delimiter))
        len = room - sizeof(f->parser.delimiter);
    event = multipart_next(&f->parser, data, len, &used, &bytes, &n, &err);
    rc = take_event(w, event, bytes, n, &err);
    if (rc >= 0)
        http_take_body(w->request, used);
    return rc;
}

static void
pump_form(void *owner)
{
    struct filework *w = owner;
    const struct form *f = w->state;
    const char *data;
    size_t len;

    while (f->begun && f->state != COMMITTING && (len = http_peek_body(w->request, &data)) > 0)
        if (take_piece(w, data, len) <= 0)
            return;
    if (f->begun && f->state != COMMITTING && http_body_has_ended(w->request))
        finish_form(w);
}

static void
on_form_room(struct filework *w)
{
    pump_form(w);
}

static void
on_form_begun(struct filework *w)
{
    ((struct form *)w->state)->begun = true;
    pump_form(w);
}

/* Before the file's end only an impostor answers, and then there is no operation to take the rest. */
static void
on_form_reply(struct filework *w, json_t *reply)
{
    struct form *f = w->state;
    json_t *entry;

    if (f->state != COMMITTING) {
        fail_as_nonsense(w);
        return;
    }
    entry = take_entry(w, reply);
    if (entry == NULL)
        return;
    json_array_append_new(f->entries, entry);
    f->state = BETWEEN;
    pump_form(w);
}

/* The operation of a file that has been had already is nobody's concern. */
static void
on_form_over(struct filework *w)
{
    const struct form *f = w->state;
    struct err err = ERR_INIT;

    if (f->state != IN_FILE && f->state != COMMITTING)
        return;
    err_set(&err, ERR_WORKER_DIED, "The file operation ended early");
    filework_fail(w, &err);
}

static const struct filework_kind form_kind = {
    .action = "file_write",
    .on_begun = on_form_begun,
    .on_reply = on_form_reply,
    .on_room = on_form_room,
    .on_over = on_form_over,
    .free = form_free,
};

/* --- JSON --------------------------------------------------------------------------------- */

/* The body is read whole before anything is done. */
struct note {
    struct evbuffer *body;
    char *content; /* of the file; NULL: the body is not here yet */
    size_t len, sent;
    bool begun;
};

static void
note_free(void *state)
{
    struct note *n = state;

    evbuffer_free(n->body);
    free(n->content);
    free(n);
}

/* True: content has been made of it; else field and message tell. */
static bool
decode_content(struct note *n, const json_t *text, const json_t *base64)
{
    const json_t *said = text ? text : base64;
    const size_t len = json_string_length(said);

    n->content = xnotnull(malloc(len + 1));
    n->len = len;
    if (text)
        memcpy(n->content, json_string_value(text), len);
    return text ||
           sodium_base642bin((unsigned char *)n->content, len + 1, json_string_value(base64), len,
                             "\r\n ", &n->len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
}

static void
send_note(struct filework *w)
{
    struct note *n = w->state;
    size_t room;
    struct err err = ERR_INIT;

    if (w->transfer == NULL || n->content == NULL)
        return;
    while ((room = transfer_room(w->transfer)) > 0 && n->sent < n->len) {
        room = room < n->len - n->sent ? room : n->len - n->sent;
        if (transfer_send(w->transfer, n->content + n->sent, room, &err) < 0) {
            filework_fail(w, &err);
            return;
        }
        n->sent += room;
    }
    if (n->sent == n->len)
        transfer_finish(w->transfer);
}

static void
take_note(struct filework *w)
{
    struct note *n = w->state;
    const size_t len = evbuffer_get_length(n->body);
    struct err err = ERR_INIT;
    json_auto_t *body =
        body_object(len ? (const char *)evbuffer_pullup(n->body, -1) : "", len, &err);
    json_t *path = NULL, *text = NULL, *base64 = NULL;

    if (body == NULL)
        filework_fail(w, &err);
    else if (json_unpack_ex(body, NULL, JSON_STRICT, "{s:o,s?o,s?o}", "path", &path, "content",
                            &text, "content_base64", &base64) < 0)
        fail(w, NULL, "The body must be a JSON object of path, and content or content_base64");
    else if (!json_is_string(path) || strlen(json_string_value(path)) != json_string_length(path) ||
             path == NULL || !filehead_is_path(json_string_value(path)) ||
             json_string_length(path) == 0)
        fail(w, "path", "must be a path below the workspace");
    else if (text ? !json_is_string(text) || base64 : !json_is_string(base64))
        fail(w, "content", "there must be a string of it, or one of content_base64");
    else if (!decode_content(n, text, base64))
        fail(w, "content_base64", "is no base64");
    else if (filework_next(w, write_request(json_string_value(path))) == 0)
        send_note(w);
}

static void
pump_note(void *owner)
{
    struct filework *w = owner;
    struct note *n = w->state;
    const char *data;
    size_t len;

    if (!n->begun || n->content)
        return;
    while ((len = http_peek_body(w->request, &data)) > 0) {
        if (evbuffer_get_length(n->body) + len > JSON_MAX) {
            struct err err = ERR_INIT;

            err_set(&err, ERR_TOO_LARGE, "JSON may have 8 MiB; send the file itself by PUT");
            filework_fail(w, &err);
            return;
        }
        evbuffer_add(n->body, data, len);
        http_take_body(w->request, len);
    }
    if (http_body_has_ended(w->request))
        take_note(w);
}

static void
on_note_begun(struct filework *w)
{
    ((struct note *)w->state)->begun = true;
    pump_note(w);
}

static void
on_note_reply(struct filework *w, json_t *reply)
{
    json_t *entry = take_entry(w, reply);

    if (entry)
        filework_end(w, 201, xnotnull(json_pack("{s:[o]}", "files", entry)));
}

static const struct filework_kind note_kind = {
    .action = "file_write",
    .on_begun = on_note_begun,
    .on_reply = on_note_reply,
    .on_room = send_note,
    .free = note_free,
};

/* --- either ------------------------------------------------------------------------------- */

static struct form *
form_new(const struct multipart *parser, const char *path)
{
    struct form *f = xcalloc(1, sizeof(*f));

    f->parser = *parser;
    f->directory = xstrdup(path);
    f->entries = xnotnull(json_array());
    return f;
}

static struct note *
note_new(void)
{
    struct note *n = xcalloc(1, sizeof(*n));

    n->body = xnotnull(evbuffer_new());
    return n;
}

void
v1_files_post(struct api *api, struct http_request *r, const struct caller *who,
              const struct target *target)
{
    static const char *const names[] = {"key", "path", NULL};
    const char *path = target_query(target, "path");
    struct multipart parser;
    struct v1_session session;
    struct filework *w;
    struct err err = ERR_INIT;
    int rc;

    if (!v1_find_session(api, r, who, target, &session) ||
        !v1_files_path(r, "path", path ? path : "", true))
        return;
    rc = multipart_init(&parser, http_header(r, "Content-Type"));
    if (rc < 0)
        err_set(&err, ERR_BAD_REQUEST,
                "Content-Type: multipart/form-data without a usable boundary");
    if (rc < 0 || target_only(target, names, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    w = filework_begin(api, r, &session, api_audit_name(who), rc ? &form_kind : &note_kind, NULL,
                       path ? path : "",
                       rc ? (void *)form_new(&parser, path ? path : "") : (void *)note_new());
    if (w)
        http_read_body(r, rc ? pump_form : pump_note, w);
}
