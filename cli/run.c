/* run.c - see run.h. */
#include "run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "begin.h"
#include "execute.h"
#include "interrupt.h"
#include "terminal.h"

enum { MAX_FILE = 64 << 20 }; /* bytes; the server has a limit of its own */

#define SESSION_HELP                                                                               \
    "  -s, --session ID  the session, which stays; without, one is made and deleted afterwards\n"  \
    "  -l, --language L  what a new session speaks: python, bash ... ('tci kernels' says)\n"       \
    "  --kernel NAME     the same by the name of a kernel\n"                                       \
    "  --timeout S       seconds that the code may run\n"                                          \
    "  --images DIR      where images are written to, as tci-N.png ... (shown in the terminal\n"   \
    "                    if it can, else .)\n"                                                     \
    "  --json            the server's answer, at the end, in place of what the code shows\n"

static const char exec_usage[] =
    "Usage: tci exec [OPTION]... -c CODE\n"
    "\n"
    "Runs code.  What it prints appears as it comes; what it asks for is read from stdin.  "
    "Ctrl-C\n"
    "interrupts it, and a second one leaves it.\n"
    "\n"
    "  -c, --code CODE   the code; - reads it from stdin\n" SESSION_HELP;

static const char run_usage[] =
    "Usage: tci run [OPTION]... FILE [ARG]...\n"
    "\n"
    "Runs a file, as tci exec does; - is stdin.  A new session speaks what the name's end says\n"
    "(.py .js .ts .sh .r .rb .pl .lua .go .c .m).  Words after it are sys.argv[1:] in Python.\n"
    "\n" SESSION_HELP;

struct job {
    const char *command;
    const struct options *o;
    char *code;
    size_t len;
};

/* --- files -------------------------------------------------------------------------------- */

static char *
read_all(FILE *file, size_t *len, struct err *err)
{
    char *text = NULL;
    size_t size = 0, n;

    *len = 0;
    do {
        if (*len + 1 >= size) {
            size = size ? 2 * size : 65536;
            text = xrealloc(text, size);
        }
        n = fread(text + *len, 1, size - *len - 1, file);
        *len += n;
    } while (n > 0 && *len <= MAX_FILE);
    text[*len] = '\0';
    if (!ferror(file) && *len <= MAX_FILE)
        return text;
    if (ferror(file))
        err_sys(err, "cannot be read");
    else
        err_set(err, ERR_SYSTEM, "has more than %d MiB", MAX_FILE >> 20);
    free(text);
    return NULL;
}

static char *
read_file(const char *path, size_t *len, struct err *err)
{
    struct err why = ERR_INIT;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text;

    if (file == NULL) {
        err_sys(err, "%s", path);
        return NULL;
    }
    text = read_all(file, len, &why);
    if (text == NULL)
        err_set(err, ERR_SYSTEM, "%s: %s", path, why.msg);
    if (file != stdin)
        fclose(file);
    return text;
}

/* A new session speaks what the file's name says, where no option does. */
static void
wish_for(const char *path, struct options *o)
{
    static const struct {
        const char *suffix, *language, *kernel;
    } table[] = {
        {".py", "python", NULL},     {".js", "javascript", NULL}, {".mjs", "javascript", NULL},
        {".ts", NULL, "typescript"}, /* to its kernel that is JavaScript, too */
        {".sh", "bash", NULL},       {".r", "R", NULL},           {".rb", "ruby", NULL},
        {".pl", "perl", NULL},       {".lua", "lua", NULL},       {".go", "go", NULL},
        {".c", "c", NULL},           {".m", "octave", NULL},
    };
    const char *end = strrchr(path, '.');

    if (end == NULL || o->session || o->language || o->kernel)
        return;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcasecmp(end, table[i].suffix) == 0) {
            o->language = table[i].language;
            o->kernel = table[i].kernel;
        }
}

/* --- execution ---------------------------------------------------------------------------- */

static json_t *
request(const struct job *job)
{
    json_t *code = json_stringn(job->code, job->len);
    json_t *body = code ? xnotnull(json_pack("{s:o}", "code", code)) : NULL;

    if (body && job->o->timeout > 0)
        json_object_set_new(body, "timeout", json_real(job->o->timeout));
    if (body)
        json_object_set_new(body, "stdin", json_boolean(!job->o->json));
    return body;
}

/* As JSON, which is Python, too: but for what ASCII would make of characters beyond its 16 bits. */
static json_t *
arguments(const struct job *job)
{
    json_t *words = xnotnull(json_array());
    cleanup_free char *list = NULL, *text = NULL;

    for (int i = 0; i < job->o->n_words; i++)
        if (json_array_append_new(words, json_string(job->o->words[i])) < 0) {
            json_decref(words);
            return NULL; /* no UTF-8 */
        }
    list = xnotnull(json_dumps(words, 0));
    json_decref(words);
    text = xasprintf("import sys as _sys\n_sys.argv[:] = %s\ndel _sys", list);
    return xnotnull(json_pack("{s:s,s:b,s:b}", "code", text, "silent", 1, "store_history", 0));
}

static enum exit_status
execute_here(struct client *client, const struct job *job, const struct session *session,
             json_t *body)
{
    struct show *show;
    enum exit_status status;

    if (job->o->json)
        return execute_in_json(client, job->command, session, body);
    show = show_new(job->o->images);
    status = execute(client, job->command, session, body, show);
    show_free(show);
    return status;
}

/* What the file finds in sys.argv; only Python has that. */
static enum exit_status
give_arguments(struct client *client, const struct job *job, const struct session *session)
{
    cleanup_free char *path = session_path(session, "/executions");
    const bool python = strcasecmp(session->language, "python") == 0;
    struct err err = ERR_INIT;
    json_t *body;

    if (!python && job->o->n_words == 1)
        return STATUS_OK;
    if (!python)
        return terminal_misused(job->command, "only Python takes words after the file");
    body = arguments(job);
    if (body == NULL)
        return terminal_misused(job->command, "a word after the file is no UTF-8");
    return client_call(client, "POST", path, body, NULL, &err) < 0
               ? terminal_fail(job->command, &err)
               : STATUS_OK;
}

static enum exit_status
run_in(struct client *client, const struct job *job)
{
    json_t *body = request(job);
    struct session session;
    struct err err = ERR_INIT;
    enum exit_status status = STATUS_OK;

    if (body == NULL)
        return terminal_misused(job->command, "the code is no UTF-8");
    if (session_take(client, job->o, &session, &err) < 0) {
        json_decref(body);
        session_clear(&session);
        return terminal_fail(job->command, &err);
    }
    if (job->o->n_words > 0)
        status = give_arguments(client, job, &session);
    if (status == STATUS_OK)
        status = execute_here(client, job, &session, json_incref(body));
    json_decref(body);
    session_leave(client, &session, job->command);
    session_clear(&session);
    return status;
}

static enum exit_status
run(const struct job *job)
{
    struct err err = ERR_INIT;
    struct client *client = client_open(&job->o->place, &err);
    enum exit_status status;

    if (client == NULL)
        return terminal_fail(job->command, &err);
    interrupt_catch();
    interrupt_catch_pipe();
    status = run_in(client, job);
    client_free(client);
    return status;
}

enum exit_status
exec_command(int argc, char *argv[])
{
    cleanup_free char *code = NULL;
    struct options o;
    struct job job = {.command = argv[0], .o = &o};
    struct err err = ERR_INIT;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON | TAKES_SESSION | TAKES_RUN | TAKES_CODE, exec_usage, &o,
               &status))
        return status;
    if (o.code == NULL)
        return terminal_misused(argv[0], "say what to run: -c CODE");
    if (o.n_words > 0)
        return terminal_misused(argv[0], "there is a word too many");
    if (strcmp(o.code, "-") == 0)
        code = read_file("-", &job.len, &err);
    else
        code = xstrdup(o.code), job.len = strlen(o.code);
    if (code == NULL)
        return terminal_fail(argv[0], &err);
    job.code = code;
    return run(&job);
}

enum exit_status
run_command(int argc, char *argv[])
{
    cleanup_free char *code = NULL;
    struct options o;
    struct job job = {.command = argv[0], .o = &o};
    struct err err = ERR_INIT;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON | TAKES_SESSION | TAKES_RUN | STOPS_AT_WORD, run_usage, &o,
               &status))
        return status;
    if (o.n_words == 0)
        return terminal_misused(argv[0], "say which file");
    code = read_file(o.words[0], &job.len, &err);
    if (code == NULL)
        return terminal_fail(argv[0], &err);
    job.code = code;
    wish_for(o.words[0], &o);
    return run(&job);
}
