/* transcript.c - see transcript.h. */
#include "transcript.h"

#include <string.h>

#include "output.h"
#include "utf8.h"

enum {
    OUTPUT_COST = 64, /* bytes that an output counts for beside what is in it */
    MAX_ERRORS = 16,  /* of which each may be large */
};

/* Text of a stream, or an object as shown.h has it. */
struct entry {
    enum shown kind;
    char *text;
    size_t len, size;
    json_t *what;
    size_t cost; /* what it was charged for */
};

struct transcript {
    size_t max_bytes, kept;
    struct entry *entries;
    size_t n, size;
    unsigned n_errors;
    bool truncated;
    bool text_cut;    /* what comes after it would be out of context */
    bool gap;         /* something was left out before what comes next */
    bool clear_waits; /* the next output replaces what there is */
    json_t *reply_error;
};

struct transcript *
transcript_new(size_t max_bytes)
{
    struct transcript *t = xcalloc(1, sizeof(*t));

    t->max_bytes = max_bytes;
    return t;
}

static void
clear(struct transcript *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->entries[i].text);
        json_decref(t->entries[i].what);
    }
    t->n = 0;
    t->kept = 0;
    t->n_errors = 0;
    t->text_cut = t->gap = t->clear_waits = false;
}

void
transcript_free(struct transcript *t)
{
    if (t == NULL)
        return;
    clear(t);
    json_decref(t->reply_error);
    free(t->entries);
    free(t);
}

static size_t
room(const struct transcript *t)
{
    return t->max_bytes - t->kept;
}

/* NULL: there is no room for one of that cost. */
static struct entry *
add_entry(struct transcript *t, enum shown kind, size_t cost)
{
    const bool is_last = kind == SHOWN_RESULT || kind == SHOWN_ERROR;

    if (cost > room(t) || t->n >= (size_t)TRANSCRIPT_MAX_OUTPUTS - !is_last) {
        t->truncated = true;
        return NULL;
    }
    if (t->n == t->size) {
        t->size = t->size ? t->size * 2 : 4;
        t->entries = xrealloc(t->entries, t->size * sizeof(*t->entries));
    }
    t->kept += cost;
    t->entries[t->n] = (struct entry){.kind = kind, .cost = cost};
    return &t->entries[t->n++];
}

/* --- text --------------------------------------------------------------------------------- */

static void
append(struct entry *e, const char *s, size_t len)
{
    if (len == 0)
        return;
    if (e->size - e->len < len) {
        e->size = e->size * 2 > e->len + len ? e->size * 2 : e->len + len;
        e->text = xrealloc(e->text, e->size);
    }
    memcpy(e->text + e->len, s, len);
    e->len += len;
}

static struct entry *
entry_for_text(struct transcript *t, enum shown kind)
{
    if (t->n > 0 && t->entries[t->n - 1].kind == kind)
        return &t->entries[t->n - 1];
    return add_entry(t, kind, OUTPUT_COST);
}

static void
add_characters(struct transcript *t, enum shown kind, const char *s, size_t len)
{
    struct entry *e = t->text_cut ? NULL : entry_for_text(t, kind);
    const size_t fits = e ? utf8_cut(s, len, room(t)) : 0;

    if (fits > 0)
        append(e, s, fits);
    t->kept += fits;
    if (fits < len)
        t->text_cut = t->truncated = true;
}

static void
add_text(struct transcript *t, enum shown kind, const json_t *text)
{
    if (t->gap) {
        t->gap = t->text_cut = false;
        add_characters(t, kind, OUTPUT_GAP, strlen(OUTPUT_GAP));
    }
    add_characters(t, kind, json_string_value(text), json_string_length(text));
}

/* --- objects ------------------------------------------------------------------------------ */

static void
add_object(struct transcript *t, enum shown kind, json_t *what)
{
    struct entry *e = add_entry(t, kind, OUTPUT_COST + shown_size(what));

    if (e)
        e->what = json_incref(what);
}

/* Beside max_bytes, so that output without end does not hide why it ended. */
static void
add_error(struct transcript *t, json_t *what)
{
    struct entry *e = NULL;

    if (t->n_errors == MAX_ERRORS) {
        t->truncated = true;
        return;
    }
    if (t->n == TRANSCRIPT_MAX_OUTPUTS) { /* in the place of the last one */
        e = &t->entries[t->n - 1];
        free(e->text);
        json_decref(e->what);
        t->kept -= e->cost + e->len;
        t->n--;
        t->truncated = true;
    }
    e = add_entry(t, SHOWN_ERROR, 0);
    e->what = json_incref(what);
    t->n_errors++;
}

static bool
has_id(const struct entry *e, const json_t *id)
{
    const json_t *own = json_object_get(e->what, "display_id");

    return e->kind == SHOWN_DISPLAY && json_is_string(own) && json_equal(own, id);
}

static void
replace(struct transcript *t, struct entry *e, const json_t *by)
{
    json_t *what = xnotnull(json_copy(e->what));
    size_t cost;

    json_object_set(what, "data", json_object_get(by, "data"));
    json_object_set(what, "metadata", json_object_get(by, "metadata"));
    cost = OUTPUT_COST + shown_size(what);
    if (cost > e->cost && cost - e->cost > room(t)) {
        t->truncated = true;
        json_decref(what);
        return;
    }
    t->kept += cost - e->cost;
    e->cost = cost;
    json_decref(e->what);
    e->what = what;
}

/* Not an output of its own: what waits for one waits on. */
static void
update(struct transcript *t, const json_t *by)
{
    const json_t *id = json_object_get(by, "display_id");

    for (size_t i = 0; json_is_string(id) && i < t->n; i++)
        if (has_id(&t->entries[i], id))
            replace(t, &t->entries[i], by);
}

/* --- input -------------------------------------------------------------------------------- */

void
transcript_add(struct transcript *t, enum shown kind, json_t *what)
{
    if (t->clear_waits && kind != SHOWN_CLEAR && kind != SHOWN_UPDATE && kind != SHOWN_NOTHING)
        clear(t);
    switch (kind) {
    case SHOWN_NOTHING:
        break;
    case SHOWN_STDOUT:
    case SHOWN_STDERR:
        add_text(t, kind, json_object_get(what, "text"));
        break;
    case SHOWN_RESULT:
    case SHOWN_DISPLAY:
        add_object(t, kind, what);
        break;
    case SHOWN_UPDATE:
        update(t, what);
        break;
    case SHOWN_CLEAR:
        if (json_is_true(json_object_get(what, "wait")))
            t->clear_waits = true;
        else
            clear(t);
        break;
    case SHOWN_ERROR:
        add_error(t, what);
        break;
    }
}

void
transcript_mark_truncated(struct transcript *t, bool gap)
{
    t->truncated = true;
    t->gap |= gap;
}

void
transcript_set_error(struct transcript *t, json_t *error)
{
    json_decref(t->reply_error);
    t->reply_error = error;
}

static const json_t *
last_of(const struct transcript *t, enum shown kind)
{
    for (size_t i = t->n; i > 0; i--)
        if (t->entries[i - 1].kind == kind)
            return t->entries[i - 1].what;
    return NULL;
}

bool
transcript_has_error(const struct transcript *t)
{
    return t->reply_error != NULL || last_of(t, SHOWN_ERROR) != NULL;
}

/* --- the answer --------------------------------------------------------------------------- */

static json_t *
join(const struct transcript *t, enum shown kind)
{
    struct entry all = {.kind = kind};
    json_t *text;

    for (size_t i = 0; i < t->n; i++)
        if (t->entries[i].kind == kind)
            append(&all, t->entries[i].text ? t->entries[i].text : "", t->entries[i].len);
    text = xnotnull(json_stringn_nocheck(all.text ? all.text : "", all.len));
    free(all.text);
    return text;
}

static json_t *
entry_json(const struct entry *e)
{
    json_t *object =
        e->what ? xnotnull(json_copy(e->what)) : shown_text(e->text ? e->text : "", e->len);

    json_object_set_new(object, "type", json_string(shown_name(e->kind)));
    return object;
}

static json_t *
result_json(const struct transcript *t)
{
    const json_t *result = last_of(t, SHOWN_RESULT);
    json_t *value = json_object_get(result, "value"), *object;

    if (result == NULL)
        return json_null();
    object = xnotnull(json_pack("{s:O}", "text", json_object_get(result, "text")));
    if (value)
        json_object_set(object, "value", value);
    return object;
}

void
transcript_take(struct transcript *t, json_t *into)
{
    json_t *outputs = xnotnull(json_array()), *error;

    if (t->reply_error && last_of(t, SHOWN_ERROR) == NULL)
        transcript_add(t, SHOWN_ERROR, t->reply_error);
    error = json_incref((json_t *)last_of(t, SHOWN_ERROR));
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(outputs, entry_json(&t->entries[i]));
    json_object_set_new(into, "stdout", join(t, SHOWN_STDOUT));
    json_object_set_new(into, "stderr", join(t, SHOWN_STDERR));
    json_object_set_new(into, "result", result_json(t));
    json_object_set_new(into, "outputs", outputs);
    json_object_set_new(into, "error", error ? error : json_null());
    json_object_set_new(into, "truncated", json_boolean(t->truncated));
    clear(t);
    json_decref(t->reply_error);
    t->reply_error = NULL;
}
