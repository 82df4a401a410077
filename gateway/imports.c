#include "imports.h"

#include <stdbool.h>
#include <string.h>

#include "scan_lex.h"

/* Sorted by module.  Those that many know by another name. */
static const char *const others[][2] = {
    {"Bio", "biopython"},
    {"Crypto", "pycryptodome"},
    {"Levenshtein", "python-Levenshtein"},
    {"OpenSSL", "pyOpenSSL"},
    {"PIL", "pillow"},
    {"attr", "attrs"},
    {"bs4", "beautifulsoup4"},
    {"cv2", "opencv-python-headless"},
    {"dateutil", "python-dateutil"},
    {"docx", "python-docx"},
    {"dotenv", "python-dotenv"},
    {"fitz", "PyMuPDF"},
    {"git", "GitPython"},
    {"jwt", "PyJWT"},
    {"magic", "python-magic"},
    {"pptx", "python-pptx"},
    {"serial", "pyserial"},
    {"skimage", "scikit-image"},
    {"sklearn", "scikit-learn"},
    {"slugify", "python-slugify"},
    {"umap", "umap-learn"},
    {"usb", "pyusb"},
    {"yaml", "PyYAML"},
    {"zmq", "pyzmq"},
};

struct reading {
    struct scan_lex lex;
    struct scan_token token;
    json_t *names;
};

const char *
imports_distribution(const char *module)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(others[i][0], module) == 0)
            return others[i][1];
    return module;
}

static void
next(struct reading *r)
{
    scan_lex_drop_value(&r->lex);
    scan_lex_next(&r->lex, &r->token);
}

static bool
is_word(const struct scan_token *t, const char *word)
{
    return t->kind == TOKEN_NAME && t->len == strlen(word) && memcmp(t->text, word, t->len) == 0;
}

static bool
is_op(const struct scan_token *t, char op)
{
    return t->kind == TOKEN_OP && t->op == op;
}

/* Letters that need no other encoding: what is asked for goes to a tool, and into code. */
static bool
is_plain(const struct scan_token *t)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

    for (size_t i = 0; i < t->len; i++)
        if (memchr(first, t->text[i], sizeof(first) - 1) == NULL &&
            (i == 0 || t->text[i] < '0' || t->text[i] > '9'))
            return false;
    return t->len > 0 && t->len <= SCAN_NAME_MAX;
}

static void
add(struct reading *r)
{
    json_t *name = is_plain(&r->token) ? json_stringn(r->token.text, r->token.len) : NULL;
    const json_t *item;
    size_t i;

    if (name == NULL || json_array_size(r->names) >= IMPORTS_MAX) {
        json_decref(name);
        return;
    }
    json_array_foreach (r->names, i, item) {
        if (json_equal(item, name)) {
            json_decref(name);
            return;
        }
    }
    json_array_append_new(r->names, name);
}

/* The rest of a.b.c as d; leaves the token behind it. */
static void
skip_module(struct reading *r)
{
    next(r);
    while (is_op(&r->token, '.') || r->token.kind == TOKEN_NAME)
        next(r);
}

static void
read_import(struct reading *r)
{
    do {
        next(r);
        if (r->token.kind != TOKEN_NAME)
            return;
        add(r);
        skip_module(r);
    } while (is_op(&r->token, ','));
}

/* `from .x import y` is no module of its own. */
static void
read_from(struct reading *r)
{
    next(r);
    if (r->token.kind == TOKEN_NAME)
        add(r);
}

json_t *
imports_of(const char *code, size_t len)
{
    struct reading *r = xcalloc(1, sizeof(*r));
    bool begins = true; /* a statement can stand here */
    json_t *names;

    r->names = xnotnull(json_array());
    scan_lex_init(&r->lex, code, len);
    next(r);
    while (r->token.kind != TOKEN_END) {
        if ((begins || r->token.first) && is_word(&r->token, "import"))
            read_import(r);
        else if ((begins || r->token.first) && is_word(&r->token, "from"))
            read_from(r);
        begins = is_op(&r->token, ';') || is_op(&r->token, ':') || r->token.kind == TOKEN_NEWLINE;
        next(r);
    }
    names = r->names;
    free(r);
    return names;
}
