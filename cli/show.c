/* show.c - see show.h. */
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sodium.h>

#include "gateway/mem.h"
#include "graphics.h"
#include "outlet.h"
#include "sift.h"
#include "terminal.h"

enum { MAX_PICTURES = 10000 }; /* names that are tried */

struct show {
    const char *dir;
    bool in_terminal;     /* pictures, if it can */
    unsigned last;        /* number in the last picture's name */
    struct sift out, err; /* of this execution */
};

struct show *
show_new(const char *picture_dir)
{
    struct show *s = xcalloc(1, sizeof(*s));

    s->dir = picture_dir ? picture_dir : ".";
    s->in_terminal = picture_dir == NULL;
    return s;
}

void
show_free(struct show *s)
{
    free(s);
}

/* --- pictures ----------------------------------------------------------------------------- */

static const struct {
    const char *type, *suffix;
    bool is_text;
} kinds[] = {
    {"image/png", "png", false},
    {"image/jpeg", "jpg", false},
    {"image/gif", "gif", false},
    {"image/svg+xml", "svg", true},
};

/* A new file tci-N.SUFFIX; its path, a new string, or NULL. */
static char *
make_file(struct show *s, const char *suffix, int *fd)
{
    while (s->last < MAX_PICTURES) {
        char *path = xasprintf("%s/tci-%u.%s", s->dir, ++s->last, suffix);

        *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (*fd >= 0)
            return path;
        free(path);
        if (errno != EEXIST)
            return NULL;
    }
    return NULL;
}

static bool
write_all(int fd, const unsigned char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            bytes += n, len -= (size_t)n;
    }
    return true;
}

/* Half a picture does not stay. */
static bool
write_file(const char *path, int fd, const unsigned char *bytes, size_t len)
{
    bool done = write_all(fd, bytes, len);
    int why = errno;

    if (close(fd) < 0 && done) {
        done = false;
        why = errno;
    }
    if (!done)
        unlink(path);
    errno = why;
    return done;
}

static void
save(struct show *s, const char *suffix, const unsigned char *bytes, size_t len)
{
    int fd = -1;
    cleanup_free char *path = make_file(s, suffix, &fd);

    if (path && write_file(path, fd, bytes, len))
        fprintf(stderr, "[image: %s]\n", path);
    else
        fprintf(stderr, "[an image could not be written to %s: %s]\n", s->dir, strerror(errno));
}

static void
show_base64(struct show *s, size_t kind, const char *text, size_t len)
{
    cleanup_free unsigned char *bytes = xcalloc(len + 1, 1);
    size_t n;

    if (sodium_base642bin(bytes, len + 1, text, len, "\r\n ", &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        fputs("[an image that is no base64]\n", stderr);
    else if (!s->in_terminal || !graphics_show(kinds[kind].type, bytes, n))
        save(s, kinds[kind].suffix, bytes, n);
}

/* The first kind that the bundle has; false: it has none. */
static bool
show_picture(struct show *s, const json_t *bundle)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const json_t *value = json_object_get(bundle, kinds[i].type);
        const char *text = json_string_value(value);

        if (text == NULL)
            continue;
        fflush(stdout);
        if (kinds[i].is_text)
            save(s, kinds[i].suffix, (const unsigned char *)text, json_string_length(value));
        else
            show_base64(s, i, text, json_string_length(value));
        return true;
    }
    return false;
}

/* --- text --------------------------------------------------------------------------------- */

static void
show_text(struct sift *sift, FILE *file, const json_t *text, const char *end)
{
    if (!json_is_string(text))
        return;
    sift_write(sift, json_string_value(text), json_string_length(text), file);
    outlet_put(file, end, strlen(end));
}

/* Text that is whole: no sequence has begun before it. */
static void
show_whole(FILE *file, const json_t *text)
{
    struct sift sift = {0};

    show_text(&sift, file, text, "\n");
}

/* What a terminal can show of a bundle: the first of these. */
static void
show_bundle(struct show *s, const json_t *bundle)
{
    static const char *const types[] = {"text/plain", "text/markdown", "text/latex", "text/html"};

    if (show_picture(s, bundle))
        return;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (json_object_get(bundle, types[i])) {
            show_whole(stdout, json_object_get(bundle, types[i]));
            return;
        }
}

static void
show_line(struct sift *sift, const char *line, bool colours)
{
    cleanup_free char *text = line ? xstrdup(line) : NULL;

    if (text == NULL)
        return;
    if (!colours)
        terminal_strip(text);
    sift_write(sift, text, strlen(text), stderr);
    outlet_put(stderr, "\n", 1);
}

/* Some kernels have no traceback. */
static void
show_error(const json_t *data)
{
    struct sift sift = {0};
    const json_t *lines = json_object_get(data, "traceback");
    const char *name = json_string_value(json_object_get(data, "ename"));
    const char *value = json_string_value(json_object_get(data, "evalue"));
    const bool colours = terminal_has_colours(stderr);

    fflush(stdout);
    for (size_t i = 0; i < json_array_size(lines); i++)
        show_line(&sift, json_string_value(json_array_get(lines, i)), colours);
    if (json_array_size(lines) == 0) {
        cleanup_free char *line = xasprintf("%s: %s", name ? name : "Error", value ? value : "");

        show_line(&sift, line, colours);
    }
}

void
show_event(struct show *s, const char *name, const json_t *data)
{
    if (strcmp(name, "start") == 0) {
        s->out = s->err = (struct sift){0};
    } else if (strcmp(name, "stdout") == 0) {
        show_text(&s->out, stdout, json_object_get(data, "text"), "");
    } else if (strcmp(name, "stderr") == 0) {
        fflush(stdout);
        show_text(&s->err, stderr, json_object_get(data, "text"), "");
    } else if (strcmp(name, "error") == 0) {
        show_error(data);
    } else if (strcmp(name, "result") == 0 || strcmp(name, "display") == 0 ||
               strcmp(name, "update_display") == 0) {
        show_bundle(s, json_object_get(data, "data"));
    }
}
