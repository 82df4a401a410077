/* files.c - see files.h. */
#include "files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "begin.h"
#include "interrupt.h"
#include "remotepath.h"
#include "terminal.h"

static const char usage[] =
    "Usage: tci files -s ID [ls] [-r] [PATH]\n"
    "       tci files -s ID get PATH... [LOCAL]\n"
    "       tci files -s ID put LOCAL... [PATH]\n"
    "       tci files -s ID rm [-r] PATH...\n"
    "       tci files -s ID mkdir PATH...\n"
    "       tci files -s ID mv [-f] FROM TO\n"
    "\n"
    "The files of a session.  A PATH is below its workspace, with or without /workspace/ before "
    "it.\n"
    "get and put take directories as well, and several names if the last one is a directory; "
    "without a\n"
    "last one it is the same name.  - is stdout, or stdin.  A get that was cut goes on where it "
    "was.\n"
    "\n"
    "  -s, --session ID  the session\n"
    "  -r, --recursive   of ls: and what is below; of rm: a directory and what is in it\n"
    "  -f, --force       of mv: in place of what is there\n"
    "  -q, --quiet       no progress of long transfers, which is shown on a terminal only\n"
    "  --json            the server's answers, a line for each; of get {\"path\", \"local\", "
    "\"type\", \"bytes\"}\n";

struct work {
    const struct options *o;
    struct transfer_place place;
    int n; /* words after the verb */
    char **words;
};

/* --- listings ----------------------------------------------------------------------------- */

/* Cursors are the server's, and may be any text. */
static char *
page_url(const struct transfer_place *place, const char *path, bool recursive, const char *cursor)
{
    cleanup_free char *base = transfer_url(place, "?path=", path);
    cleanup_free char *encoded = cursor ? remotepath_encode(cursor) : NULL;

    return xasprintf("%s%s%s%s", base, recursive ? "&recursive=true" : "",
                     encoded ? "&cursor=" : "", encoded ? encoded : "");
}

int
files_list(const struct transfer_place *place, const char *path, bool recursive, json_t **list,
           struct err *err)
{
    json_t *all = xnotnull(json_pack("{s:[]}", "files"));
    cleanup_free char *cursor = NULL;

    *list = NULL;
    do {
        cleanup_free char *url = page_url(place, path, recursive, cursor);
        json_t *page;
        const char *next;

        if (client_call(place->client, "GET", url, NULL, &page, err) < 0) {
            json_decref(all);
            return -1;
        }
        json_array_extend(json_object_get(all, "files"), json_object_get(page, "files"));
        next = json_string_value(json_object_get(page, "next_cursor"));
        free(cursor);
        cursor = next ? xstrdup(next) : NULL;
        json_decref(page);
    } while (cursor);
    *list = all;
    return 0;
}

static const char *
text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

static void
print_file(const json_t *file)
{
    const char *type = text(file, "type"), *target = text(file, "target");

    printf("%12lld  ", (long long)json_integer_value(json_object_get(file, "size")));
    terminal_cell(text(file, "modified_at"), 24);
    terminal_put(stdout, text(file, "path"));
    if (strcmp(type, "directory") == 0)
        putchar('/');
    if (target[0]) {
        fputs(" -> ", stdout);
        terminal_put(stdout, target);
    }
    putchar('\n');
}

void
files_print(const json_t *list)
{
    const json_t *files = json_object_get(list, "files");

    for (size_t i = 0; i < json_array_size(files); i++)
        print_file(json_array_get(files, i));
}

static int
ls(const struct work *w, struct err *err)
{
    cleanup_free char *path = remotepath_clean(w->n > 0 ? w->words[0] : "");
    json_t *list;

    if (files_list(&w->place, path, w->o->recursive, &list, err) < 0)
        return -1;
    if (w->o->json)
        terminal_json(list);
    else
        files_print(list);
    json_decref(list);
    return 0;
}

/* --- one after another -------------------------------------------------------------------- */

static void
tell(const struct work *w, json_t *answer)
{
    if (w->o->json && answer)
        terminal_json(answer);
    json_decref(answer);
}

/* A request about a path, or one whose body has it. */
static int
request(const struct work *w, const char *method, const char *url, json_t *body, struct err *err)
{
    json_t *answer;

    if (strcmp(method, "POST") == 0 && body == NULL)
        return err_set(err, ERR_CONFIG, "A path is no UTF-8");
    if (client_call(w->place.client, method, url, body, &answer, err) < 0)
        return -1;
    tell(w, answer);
    return 0;
}

static int
rm(const struct work *w, const char *word, struct err *err)
{
    cleanup_free char *path = remotepath_clean(word);
    cleanup_free char *url = transfer_url(&w->place, "/", path);
    cleanup_free char *all = xasprintf("%s%s", url, w->o->recursive ? "?recursive=true" : "");

    if (path[0] == '\0')
        return err_set(err, ERR_CONFIG, "The workspace itself stays");
    return request(w, "DELETE", all, NULL, err);
}

static int
make(const struct work *w, const char *word, struct err *err)
{
    cleanup_free char *path = remotepath_clean(word);
    cleanup_free char *url = transfer_url(&w->place, ":mkdir", "");

    return request(w, "POST", url, json_pack("{s:s}", "path", path), err);
}

static int
mv(const struct work *w, struct err *err)
{
    cleanup_free char *from = remotepath_clean(w->words[0]);
    cleanup_free char *given = remotepath_clean(w->words[1]);
    cleanup_free char *to = remotepath_is_directory(w->words[1])
                                ? remotepath_join(given, remotepath_name(from))
                                : xstrdup(given);
    cleanup_free char *url = transfer_url(&w->place, ":move", "");

    return request(w, "POST", url,
                   json_pack("{s:s,s:s,s:b}", "from", from, "to", to, "overwrite", w->o->force),
                   err);
}

/* Goes on after what fails; the first failure's status is the command's. */
static enum exit_status
each(const struct work *w, int n, int (*one)(const struct work *, const char *word, struct err *))
{
    enum exit_status status = STATUS_OK;

    for (int i = 0; i < n; i++) {
        struct err err = ERR_INIT;

        if (one(w, w->words[i], &err) == 0)
            continue;
        const enum exit_status failed = terminal_fail("files", &err);

        status = status == STATUS_OK ? failed : status;
        if (failed == STATUS_INTERRUPTED)
            break;
    }
    return status;
}

/* --- transfers ---------------------------------------------------------------------------- */

static bool
is_directory_here(const char *path)
{
    const size_t len = strlen(path);
    struct stat st;

    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode);
    return len > 0 && path[len - 1] == '/';
}

char *
files_local(const char *to, const char *path)
{
    if (strcmp(to, "-") != 0 && is_directory_here(to)) {
        const size_t len = strlen(to);

        return xasprintf("%s%s%s", to, len > 0 && to[len - 1] == '/' ? "" : "/",
                         remotepath_name(path));
    }
    return xstrdup(to);
}

static int
get(const struct work *w, const char *word, struct err *err)
{
    cleanup_free char *path = remotepath_clean(word);
    const char *to = w->n > 1 ? w->words[w->n - 1] : ".";
    cleanup_free char *local = files_local(to, path);
    json_t *told = NULL;

    if (w->n > 2 && strcmp(to, "-") != 0 && !is_directory_here(to))
        return err_set(err, ERR_CONFIG, "%s is no directory", to);
    if (transfer_get(&w->place, path, local, &told, err) < 0)
        return -1;
    if (strcmp(local, "-") == 0)
        json_decref(told); /* the file itself is there */
    else
        tell(w, told);
    return 0;
}

/* "dir" and "dir/" have the same name. */
static char *
name_here(const char *local)
{
    cleanup_free char *copy = xstrdup(local);
    const char *slash;

    for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
        copy[n - 1] = '\0';
    slash = strrchr(copy, '/');
    return xstrdup(slash && slash[1] ? slash + 1 : copy);
}

char *
files_remote(const char *to, const char *local, bool several)
{
    cleanup_free char *given = remotepath_clean(to);
    cleanup_free char *name = name_here(local);

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) /* what is in it */
        return mem_steal(&given);
    return several || remotepath_is_directory(to) ? remotepath_join(given, name)
                                                  : mem_steal(&given);
}

static int
put(const struct work *w, const char *local, struct err *err)
{
    const char *to = w->n > 1 ? w->words[w->n - 1] : "";
    cleanup_free char *path = files_remote(to, local, w->n > 2);
    json_t *told = NULL;

    if (strcmp(local, "-") == 0 && (w->n > 2 || remotepath_is_directory(to)))
        return err_set(err, ERR_CONFIG, "What comes from stdin has no name: say which PATH");
    if (transfer_put(&w->place, local, path, &told, err) < 0) {
        json_decref(told);
        return -1;
    }
    tell(w, told);
    return 0;
}

/* --- the command -------------------------------------------------------------------------- */

static enum exit_status
status_of(int rc, const struct err *err)
{
    return rc < 0 ? terminal_fail("files", err) : STATUS_OK;
}

/* What is done with each of the words but the last, which is where to, if there is more than one; or with each of them. */
static const struct {
    const char *verb;
    int (*one)(const struct work *, const char *word, struct err *);
    bool last_is_place;
} verbs[] = {{"get", get, true}, {"put", put, true}, {"rm", rm, false}, {"mkdir", make, false}};

/* *status: the verb's outcome.  False: there is no such verb, or not with so many words. */
static bool
obey(const struct work *w, const char *verb, enum exit_status *status)
{
    struct err err = ERR_INIT;

    for (size_t i = 0; w->n > 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verb, verbs[i].verb) == 0) {
            *status = each(w, w->n - (verbs[i].last_is_place && w->n > 1), verbs[i].one);
            return true;
        }
    if (strcmp(verb, "ls") == 0 && w->n <= 1)
        *status = status_of(ls(w, &err), &err);
    else if (strcmp(verb, "mv") == 0 && w->n == 2)
        *status = status_of(mv(w, &err), &err);
    else
        return false;
    return true;
}

enum exit_status
files_command(int argc, char *argv[])
{
    struct options o;
    struct work w = {.o = &o};
    struct err err = ERR_INIT;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON | TAKES_ID | TAKES_FILES | TAKES_QUIET, usage, &o, &status))
        return status;
    if (o.session == NULL)
        return terminal_misused("files", "say whose: --session ID");
    w.n = o.n_words > 0 ? o.n_words - 1 : 0;
    w.words = o.words + 1;
    w.place = (struct transfer_place){NULL, o.session, o.quiet || o.json};
    w.place.client = client_open(&o.place, &err);
    if (w.place.client == NULL)
        return terminal_fail("files", &err);
    interrupt_catch();
    if (!obey(&w, o.n_words > 0 ? o.words[0] : "ls", &status))
        status = terminal_misused("files", "say ls, get, put, rm, mkdir or mv, and of what");
    client_free(w.place.client);
    return status;
}
