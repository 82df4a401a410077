/*
 * output.c - text in one growing buffer, pictures and displays as items in order of arrival, and one error.
 *
 * Everything that is kept is paid for from max_bytes, and what is forgotten is paid back.  Work is linear in
 * what comes in, however small the pieces are.
 */
#include "output.h"

#include <assert.h>
#include <string.h>

#include "output_error.h"
#include "output_image.h"
#include "utf8.h"
#include "utf8_decoder.h"

static const char gap_mark[] = OUTPUT_GAP;
static_assert(sizeof(gap_mark) <= OUTPUT_GAP_MAX, "the worker leaves room for it");

struct text {
    char *data;
    size_t len, size;
    bool cut; /* something did not fit: what comes after it would be out of context */
};

/* A display: a picture or a text. */
struct item {
    bool image;
    json_t *data;       /* string: base64 or text */
    json_t *display_id; /* string, NULL = it cannot be updated */
};

struct output {
    size_t max_bytes, kept, seen;
    bool truncated;
    bool gap;         /* the worker left something out before what comes next */
    bool clear_waits; /* the next output replaces what there is */
    struct text text;
    struct item *items;
    size_t n_items, items_size;
    struct utf8_decoder decoders[2]; /* of descriptors 1 and 2 */
    json_t *error;       /* the last one on iopub: {"ename", "evalue", "traceback"}; NULL = none */
    json_t *reply_error; /* the same from the reply, which may come before or after it */
};

struct output *
output_new(size_t max_bytes)
{
    struct output *o = xcalloc(1, sizeof(*o));

    o->max_bytes = max_bytes;
    return o;
}

/* --- keeping --- */

static size_t
room(const struct output *o)
{
    return o->max_bytes - o->kept;
}

static void
text_put(struct text *t, const char *s, size_t len)
{
    if (len == 0)
        return;
    if (t->size - t->len < len) {
        t->size = t->size * 2 > t->len + len ? t->size * 2 : t->len + len;
        t->data = xrealloc(t->data, t->size);
    }
    memcpy(t->data + t->len, s, len);
    t->len += len;
}

/* Ends what was cut off, if something came after all: the last of the output. */
static void
bridge_gap(struct output *o)
{
    o->gap = o->text.cut = false;
    if (room(o) < strlen(gap_mark))
        return;
    text_put(&o->text, gap_mark, strlen(gap_mark));
    o->kept += strlen(gap_mark);
}

/* s is valid UTF-8. */
static void
append(void *output, const char *s, size_t len)
{
    struct output *o = output;
    size_t fits;

    if (o->gap && len > 0)
        bridge_gap(o);
    fits = o->text.cut ? 0 : utf8_cut(s, len, room(o));
    text_put(&o->text, s, fits);
    o->kept += fits;
    if (fits < len)
        o->text.cut = o->truncated = true;
}

static size_t
item_cost(const struct item *item)
{
    return json_string_length(item->data) + json_string_length(item->display_id);
}

static void
item_clear(struct item *item)
{
    json_decref(item->data);
    json_decref(item->display_id);
}

static void
clear(struct output *o)
{
    for (size_t i = 0; i < o->n_items; i++)
        item_clear(&o->items[i]);
    o->n_items = 0;
    o->text.len = 0;
    o->text.cut = o->gap = false;
    json_decref(o->error);
    o->error = NULL;
    o->kept = 0;
    o->clear_waits = false;
}

/* To be called when something to show has come. */
static void
before_output(struct output *o)
{
    if (o->clear_waits)
        clear(o);
}

void
output_free(struct output *o)
{
    if (o == NULL)
        return;
    clear(o);
    json_decref(o->reply_error);
    free(o->items);
    free(o->text.data);
    free(o);
}

/* --- displays --- */

/* What a display's data comes to; false if nothing can be shown of it. */
static bool
item_from(const json_t *data, struct item *item)
{
    json_t *text = json_object_get(data, "text/plain");

    item->data = output_image(data);
    item->image = item->data != NULL;
    if (item->data == NULL && json_is_string(text))
        item->data = json_incref(text);
    return item->data != NULL;
}

static json_t *
display_id_of(const json_t *content)
{
    json_t *id = json_object_get(json_object_get(content, "transient"), "display_id");

    return json_is_string(id) ? id : NULL;
}

/* Takes the item's references. */
static void
add_item(struct output *o, struct item item)
{
    size_t cost = item_cost(&item);

    if (cost > room(o) || o->n_items == OUTPUT_MAX_ITEMS) {
        o->truncated = true;
        item_clear(&item);
        return;
    }
    if (o->n_items == o->items_size) {
        o->items_size = o->items_size ? o->items_size * 2 : 4;
        o->items = xrealloc(o->items, o->items_size * sizeof(*o->items));
    }
    o->items[o->n_items++] = item;
    o->kept += cost;
}

static void
replace_item(struct output *o, struct item *item, const struct item *by)
{
    size_t before = json_string_length(item->data), after = json_string_length(by->data);

    if (after > before && after - before > room(o)) {
        o->truncated = true;
        return;
    }
    o->kept += after - before;
    item->image = by->image;
    json_decref(item->data);
    item->data = json_incref(by->data);
}

static void
on_display(struct output *o, const json_t *content)
{
    struct item item = {0};

    before_output(o);
    if (!item_from(json_object_get(content, "data"), &item))
        return;
    o->seen += json_string_length(item.data);
    item.display_id = json_incref(display_id_of(content));
    add_item(o, item);
}

/* Not an output of its own: what waits for one waits on. */
static void
on_update(struct output *o, const json_t *content)
{
    const json_t *id = display_id_of(content);
    struct item by = {0};

    if (id == NULL || !item_from(json_object_get(content, "data"), &by))
        return;
    o->seen += json_string_length(by.data);
    for (size_t i = 0; i < o->n_items; i++)
        if (o->items[i].display_id && json_equal(o->items[i].display_id, id))
            replace_item(o, &o->items[i], &by);
    item_clear(&by);
}

/* A string, or nothing at all. */
static void
append_string(struct output *o, const json_t *string)
{
    o->seen += json_string_length(string);
    append(o, json_string_value(string), json_string_length(string));
}

static void
on_result(struct output *o, const json_t *content)
{
    const json_t *data = json_object_get(content, "data");
    struct item item = {0};

    before_output(o);
    append_string(o, json_object_get(data, "text/plain"));
    item.data = output_image(data);
    if (item.data == NULL)
        return;
    item.image = true;
    item.display_id = json_incref(display_id_of(content));
    o->seen += json_string_length(item.data);
    add_item(o, item);
}

static void
on_stream(struct output *o, const json_t *content)
{
    before_output(o);
    append_string(o, json_object_get(content, "text"));
}

static void
on_clear(struct output *o, const json_t *content)
{
    if (json_is_true(json_object_get(content, "wait")))
        o->clear_waits = true;
    else
        clear(o);
}

/* --- errors --- */

/* Whether something stands in the line that comes next. */
static bool
is_in_line(const struct text *t)
{
    return t->len > 0 && t->data[t->len - 1] != '\n';
}

/* An error that another one follows, as when code shows a traceback and goes on: it stays as text. */
static void
move_error_to_text(struct output *o)
{
    cleanup_free char *plain = NULL;
    size_t len;

    if (o->error == NULL)
        return;
    plain = output_error_text(o->error, &len);
    if (is_in_line(&o->text))
        append(o, "\n", 1);
    append(o, plain, len);
    append(o, "\n", 1);
    json_decref(o->error);
    o->error = NULL;
}

static void
on_error(struct output *o, const json_t *content)
{
    if (!json_is_string(json_object_get(content, "ename")))
        return;
    before_output(o);
    move_error_to_text(o);
    o->error = output_error_new(content, &o->seen, &o->truncated);
}

void
output_set_error(struct output *o, const json_t *reply_content)
{
    if (o->reply_error)
        return;
    o->reply_error = json_is_string(json_object_get(reply_content, "ename"))
                         ? output_error_new(reply_content, &o->seen, &o->truncated)
                         : output_error_refusal();
}

/* Without an error on iopub, the reply's is the next thing to show. */
static void
settle_error(struct output *o)
{
    if (o->error || o->reply_error == NULL)
        return;
    before_output(o);
    o->error = json_incref(o->reply_error);
}

/* --- input --- */

void
output_message(struct output *o, const char *msg_type, const json_t *content)
{
    static const struct {
        const char *type;
        void (*on_message)(struct output *, const json_t *content);
    } types[] = {
        {"clear_output", on_clear}, {"display_data", on_display},
        {"error", on_error},        {"execute_result", on_result},
        {"stream", on_stream},      {"update_display_data", on_update},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].type, msg_type) == 0)
            types[i].on_message(o, content);
}

void
output_raw(struct output *o, int fd, const void *data, size_t len)
{
    if (len == 0)
        return;
    before_output(o);
    o->seen += len;
    utf8_decode(&o->decoders[fd == 2], data, len, append, o);
}

void
output_mark_truncated(struct output *o)
{
    o->truncated = o->gap = true;
}

bool
output_is_truncated(const struct output *o)
{
    return o->truncated;
}

size_t
output_bytes(const struct output *o)
{
    return o->seen;
}

/* --- the answer --- */

/* On a line of its own, and beside max_bytes: an error has a bound of its own. */
static void
put_error(struct text *t, const json_t *error)
{
    size_t len;
    cleanup_free char *plain = output_error_text(error, &len);

    if (is_in_line(t))
        text_put(t, "\n", 1);
    text_put(t, plain, len);
}

static json_t *
take_text(struct output *o)
{
    json_t *text = json_null();

    utf8_decode_end(&o->decoders[0], append, o);
    utf8_decode_end(&o->decoders[1], append, o);
    settle_error(o);
    if (o->error)
        put_error(&o->text, o->error);
    if (o->text.len > 0)
        text = xnotnull(json_stringn_nocheck(o->text.data, o->text.len));
    free(o->text.data); /* before the rest of the answer is made */
    o->text = (struct text){0};
    return text;
}

static json_t *
make_image(json_t *data)
{
    return xnotnull(json_pack("{s:s, s:O}", "type", "image/png", "data", data));
}

json_t *
output_take(struct output *o)
{
    json_t *images = xnotnull(json_array()), *displays = xnotnull(json_array()), *last = NULL;
    json_t *text = take_text(o), *answer;

    for (size_t i = 0; i < o->n_items; i++) {
        if (o->items[i].image) {
            last = o->items[i].data;
            json_array_append_new(images, make_image(last));
        } else
            json_array_append(displays, o->items[i].data);
    }
    answer = xnotnull(json_pack("{s:o, s:O?, s:o, s:o, s:b, s:O?}", "result_text", text,
                                "result_base64", last, "images", images, "displays", displays,
                                "truncated", o->truncated, "error", o->error));
    clear(o);
    json_decref(o->reply_error);
    o->reply_error = NULL;
    return answer;
}
