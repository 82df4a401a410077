/*
 * output.c - text in one growing buffer, pictures and displays as items in order of arrival, and one error.
 *
 * Everything that is kept is paid for from max_bytes, and what is forgotten is paid back.  Work is linear in
 * what comes in, however small the pieces are.
 */
#include "output.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "mem.h"
#include "utf8.h"

static const char gap_mark[] = "\n[… output left out …]\n";
static_assert(sizeof(gap_mark) <= OUTPUT_GAP_MAX, "the worker leaves room for it");

/* The parts of an error; together OUTPUT_MAX_ERROR bytes. */
enum {
    ENAME_MAX = 1024,
    EVALUE_MAX = OUTPUT_MAX_ERROR / 4,
};

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

struct decoder {     /* of a descriptor's bytes */
    uint8_t held[4]; /* the beginning of a character */
    size_t n_held;
};

struct output {
    size_t max_bytes, kept, seen;
    bool truncated;
    bool gap;         /* the worker left something out before what comes next */
    bool clear_waits; /* the next output replaces what there is */
    struct text text;
    struct item *items;
    size_t n_items, items_size;
    struct decoder decoders[2];
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
append(struct output *o, const char *s, size_t len)
{
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

/* --- base64 --- */

static bool
is_base64_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool
is_line_space(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

static bool
is_base64(const char *s, size_t len)
{
    size_t end = len;

    if (len == 0 || len % 4 != 0)
        return false;
    while (end > len - 2 && s[end - 1] == '=')
        end--;
    for (size_t i = 0; i < end; i++)
        if (!is_base64_char(s[i]))
            return false;
    return true;
}

static json_t *
without_space(const char *s, size_t len)
{
    char *copy = xnotnull(malloc(len + 1));
    size_t n = 0;
    json_t *string;

    for (size_t i = 0; i < len; i++)
        if (!is_line_space(s[i]))
            copy[n++] = s[i];
    string = xnotnull(json_stringn_nocheck(copy, n));
    free(copy);
    return string;
}

/* A reference to the picture's base64 on one line; NULL if it is none. */
static json_t *
image_data(const json_t *data)
{
    json_t *png = json_object_get(data, "image/png");
    const char *s = json_string_value(png);
    size_t len = json_string_length(png);
    json_t *string;

    if (s == NULL)
        return NULL;
    if (is_base64(s, len))
        return json_incref(png);
    string = without_space(s, len);
    if (is_base64(json_string_value(string), json_string_length(string)))
        return string;
    json_decref(string);
    return NULL;
}

/* --- displays --- */

/* What a display's data comes to; false if nothing can be shown of it. */
static bool
item_from(const json_t *data, struct item *item)
{
    json_t *text = json_object_get(data, "text/plain");

    item->data = image_data(data);
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
    item.data = image_data(data);
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

/* Copies at most max bytes of a string, "" of anything else; *budget, which has as many, pays. */
static json_t *
cut_string(struct output *o, const json_t *string, size_t max, size_t *budget)
{
    const char *s = json_is_string(string) ? json_string_value(string) : "";
    size_t len = json_string_length(string);
    size_t fits = utf8_cut(s, len, max);

    o->seen += len;
    *budget -= fits;
    if (fits < len)
        o->truncated = true;
    return xnotnull(json_stringn_nocheck(s, fits));
}

static json_t *
cut_traceback(struct output *o, const json_t *lines, size_t *budget)
{
    json_t *out = xnotnull(json_array()), *line;
    size_t i;

    json_array_foreach ((json_t *)lines, i, line) {
        if (!json_is_string(line))
            continue;
        if (*budget == 0) {
            o->truncated = true;
            break;
        }
        --*budget; /* the line break: empty lines must cost something */
        json_array_append_new(out, cut_string(o, line, *budget, budget));
    }
    return out;
}

static json_t *
make_error(struct output *o, const json_t *content)
{
    size_t budget = OUTPUT_MAX_ERROR;
    json_t *error = xnotnull(json_object());

    json_object_set_new(error, "ename",
                        cut_string(o, json_object_get(content, "ename"), ENAME_MAX, &budget));
    json_object_set_new(error, "evalue",
                        cut_string(o, json_object_get(content, "evalue"), EVALUE_MAX, &budget));
    json_object_set_new(error, "traceback",
                        cut_traceback(o, json_object_get(content, "traceback"), &budget));
    return error;
}

/* A terminal's control sequence at s, which begins with ESC: its bytes (ECMA-48, 5.3, 5.4, 5.6). */
static size_t
escape_length(const char *s, size_t len)
{
    static const char strings[] = {']', 'P', 'X', '^', '_'};
    size_t i = 2;

    if (len < 2)
        return len;
    if (s[1] == '[') {
        while (i < len && s[i] >= 0x20 && s[i] <= 0x3f)
            i++;
        return i < len && s[i] >= 0x40 && s[i] <= 0x7e ? i + 1 : i;
    }
    /* A string; one without an end must not take the rest with it. */
    if (memchr(strings, s[1], sizeof(strings))) {
        while (i < len && s[i] != '\a' && s[i] != '\n' && s[i] != '\033')
            i++;
        if (i + 1 < len && s[i] == '\033' && s[i + 1] == '\\')
            return i + 2;
        return i < len && s[i] == '\a' ? i + 1 : i;
    }
    for (i = 1; i < len && s[i] >= 0x20 && s[i] <= 0x2f;)
        i++;
    return i < len && s[i] >= 0x30 && s[i] <= 0x7e ? i + 1 : i;
}

/* Appends a string without its control sequences. */
static void
put_plain(struct text *t, const json_t *string)
{
    const char *s = json_string_value(string);
    size_t len = json_string_length(string), i = 0;

    while (i < len) {
        const char *escape = memchr(s + i, '\033', len - i);
        size_t end = escape ? (size_t)(escape - s) : len;

        text_put(t, s + i, end - i);
        i = end;
        if (i < len)
            i += escape_length(s + i, len - i);
    }
}

static void
put_headline(struct text *t, const json_t *error)
{
    const json_t *evalue = json_object_get(error, "evalue");

    put_plain(t, json_object_get(error, "ename"));
    if (json_string_length(evalue) > 0) {
        text_put(t, ": ", 2);
        put_plain(t, evalue);
    }
}

/* The error as plain text, on a line of its own behind what is in t. */
static void
put_error(struct text *t, const json_t *error)
{
    const json_t *lines = json_object_get(error, "traceback");

    if (t->len > 0 && t->data[t->len - 1] != '\n')
        text_put(t, "\n", 1);
    if (json_array_size(lines) == 0)
        put_headline(t, error);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        if (i > 0)
            text_put(t, "\n", 1);
        put_plain(t, json_array_get(lines, i));
    }
}

/* An error that another one follows, as when code shows a traceback and goes on: it stays as text. */
static void
move_error_to_text(struct output *o)
{
    struct text plain = {0};

    if (o->error == NULL)
        return;
    if (o->text.len > 0 && o->text.data[o->text.len - 1] != '\n')
        append(o, "\n", 1);
    put_error(&plain, o->error);
    append(o, plain.data, plain.len);
    append(o, "\n", 1);
    free(plain.data);
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
    o->error = make_error(o, content);
}

/* A kernel that refuses to run the code has no exception to tell of. */
static json_t *
refusal(void)
{
    return xnotnull(json_pack("{s:s, s:s, s:[]}", "ename", "KernelError", "evalue",
                              "the kernel did not run the code", "traceback"));
}

void
output_set_error(struct output *o, const json_t *reply_content)
{
    if (o->reply_error)
        return;
    o->reply_error = json_is_string(json_object_get(reply_content, "ename"))
                         ? make_error(o, reply_content)
                         : refusal();
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

static void
append_replacement(struct output *o)
{
    append(o, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
}

/* Completes the character that an earlier call began; the number of bytes that took. */
static size_t
finish_held(struct output *o, struct decoder *d, const uint8_t *p, size_t len)
{
    size_t done = 0, used;

    while (d->n_held > 0 && done < len) {
        d->held[d->n_held] = p[done];
        switch (utf8_next(d->held, d->n_held + 1, &used)) {
        case UTF8_PARTIAL:
            d->n_held++;
            done++;
            break;
        case UTF8_CHAR:
            append(o, (const char *)d->held, used);
            d->n_held = 0;
            done++;
            break;
        case UTF8_INVALID: /* the new byte is not one of it */
            append_replacement(o);
            d->n_held = 0;
            break;
        }
    }
    return done;
}

static void
decode(struct output *o, struct decoder *d, const uint8_t *p, size_t len)
{
    size_t i = finish_held(o, d, p, len), n, used;

    while (i < len) {
        n = utf8_valid_prefix(p + i, len - i);
        append(o, (const char *)p + i, n);
        i += n;
        if (i == len)
            return;
        if (utf8_next(p + i, len - i, &used) == UTF8_PARTIAL) {
            memcpy(d->held, p + i, used);
            d->n_held = used;
        } else
            append_replacement(o);
        i += used;
    }
}

void
output_raw(struct output *o, int fd, const void *data, size_t len)
{
    if (len == 0)
        return;
    before_output(o);
    o->seen += len;
    decode(o, &o->decoders[fd == 2], data, len);
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

static void
give_up_held(struct output *o, struct decoder *d)
{
    if (d->n_held > 0)
        append_replacement(o);
    d->n_held = 0;
}

static json_t *
take_text(struct output *o)
{
    json_t *text = json_null();

    give_up_held(o, &o->decoders[0]);
    give_up_held(o, &o->decoders[1]);
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
