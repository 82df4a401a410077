/*
 * v1_filedata.c - the bytes of files, down and up.  Part of v1_files.h.
 *
 * What comes from the sandbox goes on no further than the client takes it: bytes are granted when they have left, so that no more
 * of a transfer is ever here than its window.  What comes from the client is taken from its connection when the sandbox has room
 * for it.
 */
#include "v1_files.h"

#include <stdio.h>
#include <string.h>

#include "api_audit.h"
#include "config.h"
#include "filehead.h"
#include "filework.h"
#include "http_json.h"
#include "http_stream.h"
#include "sse.h"
#include "target.h"
#include "transfer.h"
#include "v1.h"

enum {
    UNSENT_ENOUGH =
        256 << 10 /* bytes that wait for the client, from which on no more are asked for */
};

static void
fail_as_nonsense(struct filework *w)
{
    struct err err = ERR_INIT;

    v1_files_nonsense(&err);
    filework_fail(w, &err);
}

/* --- down --------------------------------------------------------------------------------- */

struct download {
    json_int_t left; /* bytes; -1: nobody knows */
    size_t untaken;  /* bytes that have been given to the stream, and not been granted again */
    char *if_match, *if_none_match, *name; /* NULL: absent */
    bool head;
};

static void
download_free(void *state)
{
    struct download *d = state;

    free(d->if_match);
    free(d->if_none_match);
    free(d->name);
    free(d);
}

static void
grant(struct filework *w)
{
    struct download *d = w->state;
    const size_t n = d->untaken;

    d->untaken = 0;
    if (w->transfer && n > 0)
        transfer_taken(w->transfer, n);
}

static void
on_drained(void *owner)
{
    grant(owner);
}

static void
on_stream_gone(void *owner)
{
    struct filework *w = owner;

    w->stream = NULL;
    filework_done(w, 0);
}

static const struct http_stream_ops stream_ops = {on_drained, on_stream_gone};

static void
finish_download(struct filework *w)
{
    struct http_stream *stream = w->stream;

    w->stream = NULL;
    http_stream_end(stream);
    filework_done(w, 200);
}

static void
start_stream(struct filework *w, int status, const char *type)
{
    struct http_request *r = w->request;

    w->request = NULL;
    http_on_gone(r, NULL, NULL);
    w->stream = http_stream_start(r, status, type, &stream_ops, w);
}

static void
add_range(struct filework *w, json_int_t first, json_int_t length, json_int_t size)
{
    cleanup_free char *text = xasprintf("bytes %lld-%lld/%lld", (long long)first,
                                        (long long)(first + length - 1), (long long)size);

    http_add_header(w->request, "Content-Range", text);
}

/* Bytes of RFC 8187's attr-char stay. */
static char *
encode_name(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$&+-.^_`|~";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *out = xcalloc(1, 3 * strlen(name) + 1), *p = out;

    for (; *name; name++)
        p += sprintf(p, strchr(plain, *name) ? "%c" : "%%%02X", (unsigned char)*name);
    return out;
}

/* What the sandbox wrote is not to be run in this origin by a browser, whatever its type. */
static void
add_headers(struct filework *w, const char *etag)
{
    const struct download *d = w->state;
    cleanup_free char *quoted = xasprintf("\"%s\"", etag);

    http_add_header(w->request, "ETag", quoted);
    http_add_header(w->request, "Accept-Ranges", "bytes");
    http_add_header(w->request, "Cache-Control", "private, no-cache");
    http_add_header(w->request, "Content-Security-Policy", "sandbox; default-src 'none'");
    if (d->name) {
        cleanup_free char *name = encode_name(d->name);
        cleanup_free char *text = xasprintf("attachment; filename*=UTF-8''%s", name);

        http_add_header(w->request, "Content-Disposition", text);
    }
}

/* True: the request has been answered by its conditions. */
static bool
is_settled(struct filework *w, const char *etag)
{
    const struct download *d = w->state;
    struct err err = ERR_INIT;

    if (d->if_match && strcmp(d->if_match, "*") != 0 && !filehead_names(d->if_match, etag)) {
        err_set(&err, ERR_PRECONDITION, "The file has changed");
        filework_fail(w, &err);
        return true;
    }
    if (!filehead_names(d->if_none_match, etag))
        return false;
    add_headers(w, etag);
    filework_end(w, 304, NULL);
    return true;
}

static void
on_file(struct filework *w, json_t *reply)
{
    struct download *d = w->state;
    json_auto_t *entry = v1_files_entry(json_object_get(reply, "entry"));
    const char *etag = json_string_value(json_object_get(entry, "etag"));
    const char *path = json_string_value(json_object_get(entry, "path"));
    const json_int_t size = json_integer_value(json_object_get(entry, "size"));
    json_int_t first, length;
    int partial;

    if (entry == NULL ||
        json_unpack(reply, "{s:I,s:I,s:b}", "first", &first, "length", &length, "partial",
                    &partial) < 0 ||
        first < 0 || length < 0 || first > size || length > size - first) {
        fail_as_nonsense(w);
        return;
    }
    if (is_settled(w, etag))
        return;
    cleanup_free char *text = xasprintf("%lld", (long long)length);

    add_headers(w, etag);
    if (partial)
        add_range(w, first, length, size);
    if (d->head) {
        struct http_request *r = w->request;

        w->request = NULL;
        http_on_gone(r, NULL, NULL);
        http_reply(r, partial ? 206 : 200, filehead_type(path), "", (size_t)length);
        filework_done(w, 200);
        return;
    }
    http_add_header(w->request, "Content-Length", text);
    start_stream(w, partial ? 206 : 200, filehead_type(path));
    d->left = length;
    if (length == 0)
        finish_download(w);
}

/* The conditions come first (RFC 9110, 13.2.2).  The workers of earlier gateways do not tell the entry. */
static void
on_no_range(struct filework *w, json_t *reply, const struct err *err)
{
    json_auto_t *entry = v1_files_entry(json_object_get(reply, "entry"));
    const json_int_t size = json_integer_value(json_object_get(reply, "size"));
    cleanup_free char *text = xasprintf("bytes */%lld", (long long)size);

    if (entry && is_settled(w, json_string_value(json_object_get(entry, "etag"))))
        return;
    if (size >= 0)
        http_add_header(w->request, "Content-Range", text);
    filework_fail(w, err);
}

/* More than was announced would be taken for another answer. */
static void
on_file_data(struct filework *w, const void *data, size_t len)
{
    struct download *d = w->state;

    if (w->stream == NULL || (d->left >= 0 && (json_int_t)len > d->left)) {
        fail_as_nonsense(w);
        return;
    }
    http_stream_write(w->stream, data, len);
    d->untaken += len;
    if (d->left >= 0)
        d->left -= (json_int_t)len;
    if (d->left == 0)
        finish_download(w);
    else if (http_stream_unsent(w->stream) < UNSENT_ENOUGH)
        grant(w);
}

static const struct filework_kind download = {.on_reply = on_file,
                                              .on_no_range = on_no_range,
                                              .on_data = on_file_data,
                                              .free = download_free};

static char *
copy_of(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

void
v1_files_get(struct api *api, struct http_request *r, const struct caller *who,
             const struct target *target)
{
    static const char *const names[] = {"download", "key", NULL};
    const char *path = target_param(target, "path");
    bool attachment;
    struct v1_session session;
    struct download *d;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) || !v1_files_path(r, "path", path, false))
        return;
    if (target_only(target, names, &err) < 0 ||
        target_flag(target, "download", &attachment, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    d = xcalloc(1, sizeof(*d));
    d->head = http_is_head(r);
    d->if_match = copy_of(http_header(r, "If-Match"));
    d->if_none_match = copy_of(http_header(r, "If-None-Match"));
    d->name = attachment ? xstrdup(path) : NULL;
    filework_begin(
        api, r, &session, api_audit_name(who), &download,
        xnotnull(json_pack("{s:s,s:s,s:o*,s:o*,s:b}", "op", "read", "path", path, "range",
                           filehead_range(http_header(r, "Range")), "if_range",
                           filehead_if_range(http_header(r, "If-Range")), "head", (int)d->head)),
        path, d);
}

/* --- an archive, down --------------------------------------------------------------------- */

static const struct {
    const char *name, *type;
} formats[] = {
    {"tar", "application/x-tar"}, {"tar.gz", "application/gzip"}, {"zip", "application/zip"}};

static const char *
type_of_format(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].type;
    return NULL;
}

static void
on_archive(struct filework *w, json_t *reply)
{
    struct download *d = w->state;
    cleanup_free char *text = xasprintf("attachment; filename=\"files.%s\"", d->name);

    (void)reply;
    d->left = -1;
    http_add_header(w->request, "Content-Disposition", text);
    start_stream(w, 200, type_of_format(d->name));
}

static void
on_archived(struct filework *w)
{
    finish_download(w);
}

static const struct filework_kind archiving = {
    .on_reply = on_archive, .on_data = on_file_data, .on_over = on_archived, .free = download_free};

void
v1_files_archive(struct api *api, struct http_request *r, const struct caller *who,
                 const struct target *target)
{
    static const char *const names[] = {"format", "key", "path", NULL};
    const char *path = target_query(target, "path"), *format = target_query(target, "format");
    struct v1_session session;
    struct download *d;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) ||
        !v1_files_path(r, "path", path ? path : "", true))
        return;
    if (format == NULL)
        format = "tar";
    if (type_of_format(format) == NULL)
        err_field(&err, ERR_BAD_REQUEST, "format", "format: must be tar, tar.gz or zip");
    if (err.code != ERR_NONE || target_only(target, names, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    d = xcalloc(1, sizeof(*d));
    d->name = xstrdup(format);
    filework_begin(api, r, &session, api_audit_name(who), &archiving,
                   xnotnull(json_pack("{s:s,s:s,s:s}", "op", "archive", "path", path ? path : "",
                                      "format", format)),
                   path ? path : "", d);
}

/* --- up ----------------------------------------------------------------------------------- */

/* What the operation has room for of what the client has sent. */
static void
pump(void *owner)
{
    struct filework *w = owner;
    const char *data;
    size_t n, room;
    struct err err = ERR_INIT;

    if (w->transfer == NULL || w->request == NULL)
        return;
    while ((room = transfer_room(w->transfer)) > 0 && (n = http_peek_body(w->request, &data)) > 0) {
        n = n < room ? n : room;
        if (transfer_send(w->transfer, data, n, &err) < 0) {
            filework_fail(w, &err);
            return;
        }
        http_take_body(w->request, n);
    }
    if (http_body_has_ended(w->request))
        transfer_finish(w->transfer);
}

static void
on_upload_room(struct filework *w)
{
    pump(w);
}

static void
on_written(struct filework *w, json_t *reply)
{
    json_t *entry = v1_files_entry(json_object_get(reply, "entry"));

    if (entry == NULL) {
        fail_as_nonsense(w);
        return;
    }
    cleanup_free char *etag =
        xasprintf("\"%s\"", json_string_value(json_object_get(entry, "etag")));

    http_add_header(w->request, "ETag", etag);
    filework_end(w, json_is_true(json_object_get(reply, "created")) ? 201 : 200, entry);
}

static const struct filework_kind upload = {.action = "file_write",
                                            .on_begun = on_upload_room,
                                            .on_reply = on_written,
                                            .on_room = on_upload_room};

/* If-Match and If-None-Match of a file to be written.  The latter can only say that there must be none. */
static int
take_conditions(const struct http_request *r, json_t *ask, struct err *err)
{
    const char *none = http_header(r, "If-None-Match");
    bool ok;
    json_t *match = filehead_match(http_header(r, "If-Match"), &ok);

    if (match)
        json_object_set_new(ask, "if_match", match);
    if (!ok)
        return err_set(err, ERR_BAD_REQUEST, "If-Match: must be * or a list of entity tags");
    if (none && strcmp(none, "*") != 0)
        return err_set(err, ERR_BAD_REQUEST, "If-None-Match: must be * here");
    json_object_set_new(ask, "if_none_match", json_boolean(none != NULL));
    return 0;
}

void
v1_files_put(struct api *api, struct http_request *r, const struct caller *who,
             const struct target *target)
{
    static const char *const names[] = {"key", NULL};
    const char *path = target_param(target, "path");
    struct v1_session session;
    struct filework *w;
    struct err err = ERR_INIT;
    json_t *ask;

    if (!v1_find_session(api, r, who, target, &session) || !v1_files_path(r, "path", path, false))
        return;
    ask = xnotnull(json_pack("{s:s,s:s}", "op", "write", "path", path));
    if (http_body_length(r) >= 0)
        json_object_set_new(ask, "length", json_integer(http_body_length(r)));
    if (take_conditions(r, ask, &err) < 0 || target_only(target, names, &err) < 0) {
        json_decref(ask);
        http_reply_error(r, &err, NULL);
        return;
    }
    w = filework_begin(api, r, &session, api_audit_name(who), &upload, ask, path, NULL);
    if (w)
        http_read_body(r, pump, w);
}

/* --- an archive, up ----------------------------------------------------------------------- */

static void
on_extracted(struct filework *w, json_t *reply)
{
    json_int_t files, directories, skipped, bytes;

    if (json_unpack(reply, "{s:I,s:I,s:I,s:I}", "files", &files, "directories", &directories,
                    "skipped", &skipped, "bytes", &bytes) < 0 ||
        files < 0 || directories < 0 || skipped < 0 || bytes < 0) {
        fail_as_nonsense(w);
        return;
    }
    filework_end(w, 200,
                 xnotnull(json_pack("{s:I,s:I,s:I,s:I}", "files", files, "directories", directories,
                                    "skipped", skipped, "bytes", bytes)));
}

static const struct filework_kind extraction = {.action = "file_extract",
                                                .on_begun = on_upload_room,
                                                .on_reply = on_extracted,
                                                .on_room = on_upload_room};

void
v1_files_extract(struct api *api, struct http_request *r, const struct caller *who,
                 const struct target *target)
{
    static const char *const names[] = {"key", "path", NULL};
    const char *path = target_query(target, "path");
    struct v1_session session;
    struct filework *w;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) ||
        !v1_files_path(r, "path", path ? path : "", true))
        return;
    if (target_only(target, names, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    w = filework_begin(api, r, &session, api_audit_name(who), &extraction,
                       xnotnull(json_pack("{s:s,s:s}", "op", "extract", "path", path ? path : "")),
                       path ? path : "", NULL);
    if (w)
        http_read_body(r, pump, w);
}

/* --- what changes ------------------------------------------------------------------------- */

enum { UNSENT_TOO_MUCH = 512 << 10 /* bytes of events that a client has not taken: it is cut */ };

struct watching {
    struct sse *sse; /* NULL: not yet, or it has gone */
    uint64_t n;      /* events */
};

static void
watching_free(void *state)
{
    struct watching *watch = state;

    if (watch->sse)
        sse_abort(watch->sse);
    free(watch);
}

static void
on_watch_drained(void *owner)
{
    (void)owner;
}

static void
on_watch_gone(void *owner)
{
    struct filework *w = owner;

    ((struct watching *)w->state)->sse = NULL;
    filework_done(w, 200);
}

static const struct http_stream_ops watch_ops = {on_watch_drained, on_watch_gone};

static void
begin_watch(struct filework *w)
{
    struct watching *watch = w->state;
    struct http_request *r = w->request;
    struct event_base *base = http_base(r);

    w->request = NULL;
    http_on_gone(r, NULL, NULL);
    watch->sse = sse_start(base, r, &watch_ops, w);
    sse_let_last(watch->sse);
}

/* The event's name, of those that there are; NULL: it is none. */
static const char *
name_of_event(const json_t *reply)
{
    static const char *const names[] = {"changed", "created", "deleted", "overflow"};
    const char *name = json_string_value(json_object_get(reply, "event"));

    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

/* The first reply is no event: it says what is watched. */
static void
on_event(struct filework *w, json_t *reply)
{
    struct watching *watch = w->state;
    const char *name = watch->sse ? name_of_event(reply) : "start";
    json_auto_t *data = watch->sse
                            ? json_pack("{s:O*,s:O*}", "path", json_object_get(reply, "path"),
                                        "type", json_object_get(reply, "type"))
                            : json_pack("{s:O*,s:O*}", "files", json_object_get(reply, "files"),
                                        "truncated", json_object_get(reply, "truncated"));
    cleanup_free char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;

    if (name == NULL || text == NULL) {
        fail_as_nonsense(w);
        return;
    }
    if (watch->sse == NULL)
        begin_watch(w);
    if (sse_unsent(watch->sse) > UNSENT_TOO_MUCH)
        filework_done(w, 200);
    else
        sse_send(watch->sse, ++watch->n, name, text, strlen(text));
}

static const struct filework_kind watching_kind = {
    .events = true, .on_reply = on_event, .free = watching_free};

void
v1_files_watch(struct api *api, struct http_request *r, const struct caller *who,
               const struct target *target)
{
    static const char *const names[] = {"key", "path", "recursive", NULL};
    const char *path = target_query(target, "path");
    bool recursive;
    struct v1_session session;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) ||
        !v1_files_path(r, "path", path ? path : "", true))
        return;
    if (target_only(target, names, &err) < 0 ||
        target_flag(target, "recursive", &recursive, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    if (http_is_head(r)) { /* of events that nobody gets there would be no end */
        sse_end(sse_start(http_base(r), r, &watch_ops, NULL));
        return;
    }
    filework_begin(api, r, &session, api_audit_name(who), &watching_kind,
                   xnotnull(json_pack("{s:s,s:s,s:b}", "op", "watch", "path", path ? path : "",
                                      "recursive", (int)recursive)),
                   "", xcalloc(1, sizeof(struct watching)));
}
