#include "target.h"

#include <errno.h>
#include <stdint.h>

#include "utf8.h"

enum { NAME_MAX_CHARS = 40 };

/* --- patterns ----------------------------------------------------------------------------- */

static bool
is_rest(const char *pattern)
{
    size_t len = strcspn(pattern, "}");

    return len >= 4 && strncmp(pattern + len - 3, "...", 3) == 0;
}

bool
target_matches(const char *pattern, const char *path)
{
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (is_rest(pattern))
            return true;
        if (len == 0)
            return false;
        path += len;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *path == '\0';
}

/* --- decoding ----------------------------------------------------------------------------- */

/* Where the next decoded string goes: room for all of the target is there. */
struct writer {
    char *to;
};

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* len bytes from `from`, and a NUL behind them; NULL: they stand for no text. */
static const char *
decode(struct writer *w, const char *from, size_t len, bool plus_is_space)
{
    const char *const start = w->to;

    for (size_t i = 0; i < len; i++) {
        char c = from[i];

        if (c == '%') {
            int high = i + 2 < len ? hex_digit(from[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(from[i + 2]);

            if (low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return NULL;
        *w->to++ = c;
    }
    if (utf8_valid_prefix(start, (size_t)(w->to - start)) != (size_t)(w->to - start))
        return NULL;
    *w->to++ = '\0';
    return start;
}

/* A name out of a pattern. */
static const char *
copy(struct writer *w, const char *from, size_t len)
{
    const char *const start = w->to;

    memcpy(w->to, from, len);
    w->to[len] = '\0';
    w->to += len + 1;
    return start;
}

/* --- the target --------------------------------------------------------------------------- */

static int
take_params(const char *pattern, const char *path, struct writer *w, struct target *out,
            struct err *err)
{
    while (*pattern != '\0' && out->n_params < TARGET_PARAMS) {
        if (*pattern != '{') {
            pattern++;
            path++;
            continue;
        }
        const bool rest = is_rest(pattern);
        const size_t name = strcspn(pattern, "}") - 1,
                     len = rest ? strlen(path) : strcspn(path, "/");
        struct target_pair *pair = &out->params[out->n_params++];

        pair->name = copy(w, pattern + 1, rest ? name - 3 : name);
        pair->value = decode(w, path, len, false);
        if (pair->value == NULL)
            return err_set(err, ERR_BAD_REQUEST,
                           "The path is not percent-encoded UTF-8 without NUL");
        pattern += name + 2;
        path += len;
    }
    return 0;
}

static int
take_pair(const char *text, size_t len, struct writer *w, struct target *out, struct err *err)
{
    const char *equals = memchr(text, '=', len);
    const size_t name = equals ? (size_t)(equals - text) : len;
    struct target_pair *pair = &out->query[out->n_query];

    pair->name = decode(w, text, name, true);
    pair->value = pair->name ? decode(w, text + name + 1, equals ? len - name - 1 : 0, true) : NULL;
    if (pair->value == NULL)
        return err_set(err, ERR_BAD_REQUEST, "The query is not percent-encoded UTF-8 without NUL");
    if (target_query(out, pair->name))
        return err_set(err, ERR_BAD_REQUEST, "The query has a parameter twice");
    out->n_query++;
    return 0;
}

static int
take_query(const char *query, struct writer *w, struct target *out, struct err *err)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&");

        if (len > 0 && out->n_query == TARGET_QUERY)
            return err_set(err, ERR_BAD_REQUEST, "The query has more than %d parameters",
                           TARGET_QUERY);
        if (len > 0 && take_pair(query, len, w, out, err) < 0)
            return -1;
        query += len + (query[len] == '&');
    }
    return 0;
}

int
target_parse(const char *pattern, const char *path, const char *query, struct target *out,
             struct err *err)
{
    const bool has_params = strchr(pattern, '{') != NULL;
    struct writer w;

    memset(out, 0, sizeof(*out));
    if (query == NULL)
        query = "";
    if (!has_params && query[0] == '\0')
        return 0;
    if (strlen(query) > TARGET_QUERY_MAX)
        return err_set(err, ERR_BAD_REQUEST, "The query has more than %d bytes", TARGET_QUERY_MAX);
    /* Of each name and each value a NUL more than what was sent, but for `=` and `&`. */
    out->text = w.to = xcalloc(1, strlen(pattern) + strlen(path) + strlen(query) +
                                      2 * (TARGET_PARAMS + TARGET_QUERY));
    if (take_params(pattern, path, &w, out, err) == 0 && take_query(query, &w, out, err) == 0)
        return 0;
    target_clear(out);
    return -1;
}

void
target_clear(struct target *t)
{
    free(t->text);
    memset(t, 0, sizeof(*t));
}

/* --- what is in it ------------------------------------------------------------------------ */

static const char *
find(const struct target_pair *pairs, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

const char *
target_param(const struct target *t, const char *name)
{
    return find(t->params, t->n_params, name);
}

const char *
target_query(const struct target *t, const char *name)
{
    return find(t->query, t->n_query, name);
}

/* The name comes from the client: only a harmless one is repeated. */
static int
refuse_name(const char *name, struct err *err)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.";
    size_t len = strlen(name);

    if (len == 0 || len > NAME_MAX_CHARS || strspn(name, harmless) != len)
        return err_set(err, ERR_BAD_REQUEST, "The query has an unknown parameter");
    return err_field(err, ERR_BAD_REQUEST, name, "%s: unknown query parameter", name);
}

int
target_only(const struct target *t, const char *const names[], struct err *err)
{
    for (unsigned i = 0; i < t->n_query; i++) {
        size_t k = 0;

        while (names[k] && strcmp(names[k], t->query[i].name) != 0)
            k++;
        if (names[k] == NULL)
            return refuse_name(t->query[i].name, err);
    }
    return 0;
}

int
target_number(const struct target *t, const char *name, unsigned long long min,
              unsigned long long max, unsigned long long standard, unsigned long long *out,
              struct err *err)
{
    const char *text = target_query(t, name);

    *out = standard;
    if (text == NULL)
        return 0;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0 && *out >= min &&
        *out <= max)
        return 0;
    return err_field(err, ERR_BAD_REQUEST, name, "%s: must be a whole number, %llu to %llu", name,
                     min, max);
}

int
target_flag(const struct target *t, const char *name, bool *out, struct err *err)
{
    const char *text = target_query(t, name);

    *out = text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || text[0] == '\0');
    if (text == NULL || *out || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return 0;
    return err_field(err, ERR_BAD_REQUEST, name, "%s: must be true or false", name);
}
