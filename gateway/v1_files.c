#include "v1_files.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "api_audit.h"
#include "body.h"
#include "filehead.h"
#include "filework.h"
#include "http_json.h"
#include "target.h"
#include "v1.h"

enum { LIST_MAX = 1000, LIST_STANDARD = 1000 };

/* --- what they share ---------------------------------------------------------------------- */

bool
v1_files_path(struct http_request *r, const char *field, const char *value, bool may_be_empty)
{
    struct err err = ERR_INIT;

    if (value && filehead_is_path(value) && (value[0] || may_be_empty))
        return true;
    err_field(&err, ERR_BAD_REQUEST, field,
              "%s: must be a path below the workspace: relative, without empty, \".\" and \"..\" "
              "components",
              field);
    http_reply_error(r, &err, NULL);
    return false;
}

void
v1_files_nonsense(struct err *err)
{
    err_set(err, ERR_WORKER_DIED, "The file operation answered what is no reply");
}

static bool
is_type(const char *type)
{
    static const char *const types[] = {"directory", "file", "other", "symlink"};

    for (size_t i = 0; type && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

/* What the sandbox says of its files is passed on, if it has the form that it is to have. */
json_t *
v1_files_entry(const json_t *e)
{
    const char *path, *type, *mode, *modified, *etag, *target = NULL;
    json_int_t size;
    int unreachable = 0;
    json_t *entry;

    if (json_unpack((json_t *)e, "{s:s,s:s,s:I,s:s,s:s,s:s,s?s,s?b}", "path", &path, "type", &type,
                    "size", &size, "mode", &mode, "modified_at", &modified, "etag", &etag, "target",
                    &target, "unreachable", &unreachable) < 0 ||
        !is_type(type) || size < 0 || !filehead_is_etag(etag) || strlen(mode) != 4 ||
        strspn(mode, "01234567") != 4 || strlen(modified) != 24 ||
        strspn(modified, "0123456789-:.TZ") != 24)
        return NULL;
    entry = xnotnull(json_pack("{s:s,s:s,s:I,s:s,s:s,s:s,s:s*}", "path", path, "type", type, "size",
                               size, "mode", mode, "modified_at", modified, "etag", etag, "target",
                               target));
    if (unreachable)
        json_object_set_new(entry, "unreachable", json_true());
    return entry;
}

/* --- answers of JSON ---------------------------------------------------------------------- */

static void
answer_entry(struct filework *w, json_t *reply, int status)
{
    json_t *entry = v1_files_entry(json_object_get(reply, "entry"));
    struct err err = ERR_INIT;

    if (entry) {
        filework_end(w, status, entry);
        return;
    }
    v1_files_nonsense(&err);
    filework_fail(w, &err);
}

static void
on_moved(struct filework *w, json_t *reply)
{
    answer_entry(w, reply, 200);
}

static void
on_made(struct filework *w, json_t *reply)
{
    answer_entry(w, reply, json_is_true(json_object_get(reply, "created")) ? 201 : 200);
}

static void
on_deleted(struct filework *w, json_t *reply)
{
    (void)reply;
    filework_end(w, 204, NULL);
}

static json_t *
entries_of(const json_t *reply)
{
    const json_t *list = json_object_get(reply, "entries"), *e;
    json_t *entries = xnotnull(json_array());
    size_t i;

    json_array_foreach (list, i, e) {
        json_t *entry = v1_files_entry(e);

        if (entry == NULL || i >= LIST_MAX) {
            json_decref(entry);
            json_decref(entries);
            return NULL;
        }
        json_array_append_new(entries, entry);
    }
    return entries;
}

static void
on_listed(struct filework *w, json_t *reply)
{
    json_t *entries = entries_of(reply), *next = json_object_get(reply, "next");
    struct err err = ERR_INIT;

    if (entries == NULL) {
        v1_files_nonsense(&err);
        filework_fail(w, &err);
        return;
    }
    filework_end(
        w, 200,
        xnotnull(json_pack("{s:o,s:o,s:b}", "files", entries, "next_cursor",
                           json_is_string(next) ? json_incref(next) : json_null(), "truncated",
                           json_is_true(json_object_get(reply, "truncated")))));
}

static void
on_usage(struct filework *w, json_t *reply)
{
    json_int_t total, unused;
    json_t *files; /* null where the file system does not count them */
    struct err err = ERR_INIT;

    if (json_unpack(reply, "{s:I,s:I,s:o}", "bytes_total", &total, "bytes_free", &unused, "files",
                    &files) == 0 &&
        total >= unused && unused >= 0 &&
        (json_is_null(files) || (json_is_integer(files) && json_integer_value(files) >= 0))) {
        filework_end(w, 200,
                     xnotnull(json_pack("{s:I,s:I,s:O}", "bytes_total", total, "bytes_used",
                                        total - unused, "files", files)));
        return;
    }
    v1_files_nonsense(&err);
    filework_fail(w, &err);
}

static const struct filework_kind listing = {.on_reply = on_listed};
static const struct filework_kind usage = {.on_reply = on_usage};
static const struct filework_kind deletion = {.action = "file_delete", .on_reply = on_deleted};
static const struct filework_kind making = {.action = "file_mkdir", .on_reply = on_made};
static const struct filework_kind moving = {.action = "file_move", .on_reply = on_moved};

/* --- GET and DELETE ----------------------------------------------------------------------- */

static bool
check_cursor(struct http_request *r, const char *cursor)
{
    struct err err = ERR_INIT;

    if (filehead_is_cursor(cursor))
        return true;
    err_field(&err, ERR_BAD_REQUEST, "cursor", "cursor: must be a next_cursor of this session");
    http_reply_error(r, &err, NULL);
    return false;
}

void
v1_files_list(struct api *api, struct http_request *r, const struct caller *who,
              const struct target *target)
{
    static const char *const names[] = {"cursor", "key", "limit", "path", "recursive", NULL};
    const char *path = target_query(target, "path"), *after = target_query(target, "cursor");
    unsigned long long limit;
    bool recursive;
    struct v1_session session;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) ||
        !v1_files_path(r, "path", path ? path : "", true) || !check_cursor(r, after ? after : ""))
        return;
    if (target_only(target, names, &err) < 0 ||
        target_number(target, "limit", 1, LIST_MAX, LIST_STANDARD, &limit, &err) < 0 ||
        target_flag(target, "recursive", &recursive, &err) < 0) {
        http_reply_error(r, &err, NULL);
        return;
    }
    filework_begin(api, r, &session, api_audit_name(who), &listing,
                   xnotnull(json_pack("{s:s,s:s,s:b,s:I,s:s}", "op", "list", "path",
                                      path ? path : "", "recursive", (int)recursive, "limit",
                                      (json_int_t)limit, "after", after ? after : "")),
                   "", NULL);
}

void
v1_files_usage(struct api *api, struct http_request *r, const struct caller *who,
               const struct target *target)
{
    struct v1_session session;

    if (v1_find_session(api, r, who, target, &session))
        filework_begin(api, r, &session, api_audit_name(who), &usage,
                       xnotnull(json_pack("{s:s}", "op", "usage")), "", NULL);
}

void
v1_files_delete(struct api *api, struct http_request *r, const struct caller *who,
                const struct target *target)
{
    static const char *const names[] = {"key", "recursive", NULL};
    const char *path = target_param(target, "path");
    bool recursive, ok;
    json_t *match;
    struct v1_session session;
    struct err err = ERR_INIT;

    if (!v1_find_session(api, r, who, target, &session) || !v1_files_path(r, "path", path, false))
        return;
    match = filehead_match(http_header(r, "If-Match"), &ok);
    if (!ok)
        err_set(&err, ERR_BAD_REQUEST, "If-Match: must be * or a list of entity tags");
    if (!ok || target_only(target, names, &err) < 0 ||
        target_flag(target, "recursive", &recursive, &err) < 0) {
        json_decref(match);
        http_reply_error(r, &err, NULL);
        return;
    }
    filework_begin(api, r, &session, api_audit_name(who), &deletion,
                   xnotnull(json_pack("{s:s,s:s,s:b,s:o*}", "op", "delete", "path", path,
                                      "recursive", (int)recursive, "if_match", match)),
                   path, NULL);
}

/* --- POST --------------------------------------------------------------------------------- */

/* A member of the body; the first that is wrong is told. */
struct member {
    const char *name;
    const char **text; /* a path */
    int *flag;         /* may be missing */
};

static int
take_member(const struct member *members, const char *name, const json_t *value, struct err *err)
{
    for (; members->name; members++) {
        if (strcmp(members->name, name) != 0)
            continue;
        if (members->flag && json_is_boolean(value)) {
            *members->flag = json_is_true(value);
            return 0;
        }
        if (members->flag)
            return err_field(err, ERR_BAD_REQUEST, name, "%s: must be true or false", name);
        *members->text = json_string_value(value);
        if (*members->text && strlen(*members->text) == json_string_length(value))
            return 0;
        return err_field(err, ERR_BAD_REQUEST, members->name, "%s: must be a path", members->name);
    }
    return err_set(err, ERR_BAD_REQUEST, "The body has an unknown member");
}

/* The body's JSON, whose the texts are; NULL: it has been answered. */
static json_t *
take_body(struct http_request *r, const struct member *members)
{
    struct err err = ERR_INIT;
    size_t len;
    const char *text = http_body(r, &len), *name;
    json_t *body = body_object(text, len, &err), *value;

    json_object_foreach (body, name, value)
        if (err.code == ERR_NONE)
            (void)!take_member(members, name, value, &err);
    if (err.code == ERR_NONE)
        return body;
    json_decref(body);
    http_reply_error(r, &err, NULL);
    return NULL;
}

void
v1_files_mkdir(struct api *api, struct http_request *r, const struct caller *who,
               const struct target *target)
{
    const char *path = NULL;
    int parents = 1;
    const struct member members[] = {{"path", &path, NULL}, {"parents", NULL, &parents}, {0}};
    struct v1_session session;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    json_auto_t *body = take_body(r, members);

    if (body == NULL || !v1_files_path(r, "path", path, false))
        return;
    filework_begin(
        api, r, &session, api_audit_name(who), &making,
        xnotnull(json_pack("{s:s,s:s,s:b}", "op", "mkdir", "path", path, "parents", parents)), path,
        NULL);
}

void
v1_files_move(struct api *api, struct http_request *r, const struct caller *who,
              const struct target *target)
{
    const char *from = NULL, *to = NULL;
    int overwrite = 0, parents = 1;
    const struct member members[] = {{"from", &from, NULL},
                                     {"to", &to, NULL},
                                     {"overwrite", NULL, &overwrite},
                                     {"parents", NULL, &parents},
                                     {0}};
    struct v1_session session;

    if (!v1_find_session(api, r, who, target, &session))
        return;
    json_auto_t *body = take_body(r, members);

    if (body == NULL || !v1_files_path(r, "from", from, false) ||
        !v1_files_path(r, "to", to, false))
        return;
    filework_begin(api, r, &session, api_audit_name(who), &moving,
                   xnotnull(json_pack("{s:s,s:s,s:s,s:b,s:b}", "op", "move", "from", from, "to", to,
                                      "overwrite", overwrite, "parents", parents)),
                   from, NULL);
}
