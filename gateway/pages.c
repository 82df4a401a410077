/* pages.c - see pages.h. */
#include "pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "filehead.h"
#include "http.h"
#include "http_json.h"

enum { FILE_MAX = 4 << 20, TAG_BYTES = 16 };

#define HTML "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"
#define NOTHING_ELSE "default-src 'none'; base-uri 'none'; form-action 'none'; "

/* Nothing but the page's own files, and calls to where it came from.  What code has shown is never made markup here. */
static const char page_policy[] =
    NOTHING_ELSE "script-src 'self'; style-src 'self'; img-src data: blob:; connect-src 'self'; "
                 "frame-src 'self'; "
                 "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/* The same for a page that is one file. */
static const char docs_policy[] =
    NOTHING_ELSE "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
                 "connect-src 'self'; frame-ancestors 'none'";

/* HTML that code has shown: of no origin, without a network.  Scripts only where the user has asked for them. */
#define FRAME                                                                                      \
    NOTHING_ELSE "sandbox allow-scripts; frame-ancestors 'self'; style-src 'unsafe-inline'; "      \
                 "img-src data: blob:; font-src data:; media-src data: blob:; "
static const char frame_policy[] = FRAME "script-src 'self'";
static const char live_policy[] =
    FRAME "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
          "worker-src blob:; webrtc 'block'";

static const struct file {
    const char *path, *name, *type;
    const char *policy; /* NULL: none */
} files[] = {
    {"/", "page/index.html", HTML, page_policy},
    {"/docs", "docs.html", HTML, docs_policy},
    {"/openapi.json", "openapi.json", "application/json", NULL},
    {"/page/frame.html", "page/frame.html", HTML, frame_policy},
    {"/page/live.html", "page/frame.html", HTML, live_policy},
    {"/page/output.css", "page/output.css", STYLE, NULL},
    {"/page/page.css", "page/page.css", STYLE, NULL},
    {"/page/ansi.js", "page/ansi.js", SCRIPT, NULL},
    {"/page/app.js", "page/app.js", SCRIPT, NULL},
    {"/page/cell.js", "page/cell.js", SCRIPT, NULL},
    {"/page/chart.js", "page/chart.js", SCRIPT, NULL},
    {"/page/code.js", "page/code.js", SCRIPT, NULL},
    {"/page/dom.js", "page/dom.js", SCRIPT, NULL},
    {"/page/editor.js", "page/editor.js", SCRIPT, NULL},
    {"/page/examples.js", "page/examples.js", SCRIPT, NULL},
    {"/page/execution.js", "page/execution.js", SCRIPT, NULL},
    {"/page/files.js", "page/files.js", SCRIPT, NULL},
    {"/page/folder.js", "page/folder.js", SCRIPT, NULL},
    {"/page/frame.js", "page/frame.js", SCRIPT, NULL},
    {"/page/frame_output.js", "page/frame_output.js", SCRIPT, NULL},
    {"/page/markdown.js", "page/markdown.js", SCRIPT, NULL},
    {"/page/math.js", "page/math.js", SCRIPT, NULL},
    {"/page/mime.js", "page/mime.js", SCRIPT, NULL},
    {"/page/outputs.js", "page/outputs.js", SCRIPT, NULL},
    {"/page/packages.js", "page/packages.js", SCRIPT, NULL},
    {"/page/panel.js", "page/panel.js", SCRIPT, NULL},
    {"/page/server.js", "page/server.js", SCRIPT, NULL},
    {"/page/session.js", "page/session.js", SCRIPT, NULL},
    {"/page/tests.js", "page/tests.js", SCRIPT, NULL},
    {"/page/text.js", "page/text.js", SCRIPT, NULL},
    {"/page/theme.js", "page/theme.js", SCRIPT, NULL},
    {"/page/transfers.js", "page/transfers.js", SCRIPT, NULL},
    {"/page/tree.js", "page/tree.js", SCRIPT, NULL},
};

#define N_FILES (sizeof(files) / sizeof(files[0]))

struct page {
    char *text;
    size_t len;
    char tag[2 * TAG_BYTES + 1]; /* its ETag, without quotes */
};

struct pages {
    struct page all[N_FILES]; /* as in files */
};

static int
read_page(struct page *page, const char *dir, const char *name, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/%s", dir, name);
    unsigned char hash[TAG_BYTES];
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return err_sys(err, "cannot open %s", path);
    page->text = xnotnull(malloc(FILE_MAX));
    page->len = fread(page->text, 1, FILE_MAX, file);
    fclose(file);
    if (page->len == 0 || page->len == FILE_MAX)
        return err_set(err, ERR_SYSTEM, "%s: empty, unreadable or too large", path);
    page->text = xrealloc(page->text, page->len);
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)page->text, page->len, NULL, 0);
    sodium_bin2hex(page->tag, sizeof(page->tag), hash, sizeof(hash));
    return 0;
}

struct pages *
pages_new(const char *web_dir, struct err *err)
{
    struct pages *pages = xcalloc(1, sizeof(*pages));

    for (size_t i = 0; i < N_FILES; i++) {
        if (read_page(&pages->all[i], web_dir, files[i].name, err) < 0) {
            pages_free(pages);
            return NULL;
        }
    }
    return pages;
}

void
pages_free(struct pages *pages)
{
    if (pages == NULL)
        return;
    for (size_t i = 0; i < N_FILES; i++)
        free(pages->all[i].text);
    free(pages);
}

static void
reply(const struct page *page, const struct file *file, struct http_request *r)
{
    char tag[sizeof(page->tag) + 2];

    snprintf(tag, sizeof(tag), "\"%s\"", page->tag);
    http_add_header(r, "ETag", tag);
    http_add_header(r, "Cache-Control", "no-cache");
    if (filehead_names(http_header(r, "If-None-Match"), page->tag)) {
        http_reply(r, 304, NULL, "", 0);
        return;
    }
    if (file->policy) {
        http_add_header(r, "Content-Security-Policy", file->policy);
        http_add_header(r, "Referrer-Policy", "no-referrer");
        http_add_header(r, "X-DNS-Prefetch-Control", "off");
    }
    http_reply(r, 200, file->type, page->text, page->len);
}

void
pages_reply(const struct pages *pages, struct http_request *r)
{
    for (size_t i = 0; i < N_FILES; i++) {
        if (strcmp(files[i].path, http_path(r)) == 0) {
            reply(&pages->all[i], &files[i], r);
            return;
        }
    }
    http_reply_status(r, 404, "There is nothing at this path");
}
