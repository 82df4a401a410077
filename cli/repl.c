/* repl.c - see repl.h. */
#include "repl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "begin.h"
#include "colon.h"
#include "execute.h"
#include "interrupt.h"
#include "line.h"
#include "terminal.h"

enum { MAX_CODE = 1 << 20, MAX_INDENT = 40 }; /* bytes; characters */

static const char usage[] =
    "Usage: tci repl [OPTION]...\n"
    "\n"
    "A conversation with a session.  Lines are edited as in Emacs, Tab asks the kernel for what "
    "comes\n"
    "next, the arrows recall earlier lines, which are kept in $XDG_STATE_HOME/tci/history\n"
    "(~/.local/state).  Where the kernel says that more is to come, there is another line.  "
    "Ctrl-C\n"
    "interrupts what runs, or drops what is typed; Ctrl-D leaves, and a block that is not\n"
    "finished is not run.\n"
    "\n"
    "  :files [PATH]     what is in the session's workspace\n"
    "  :upload FILE [PATH]\n"
    "                    a file or directory of this machine to the session\n"
    "  :download PATH [FILE]\n"
    "                    the other way round\n"
    "  :vars             the variables of a Python session\n"
    "  :info             the session, and what it uses\n"
    "  :history [N]      the last N lines that were typed (50)\n"
    "  :reset            a new kernel; files stay\n"
    "  :quit             leave; so does :q\n"
    "  :help             these\n"
    "\n"
    "  -s, --session ID  the session, which stays; without, one is made and deleted afterwards\n"
    "  -l, --language L  what a new session speaks: python, bash ... ('tci kernels' says)\n"
    "  --kernel NAME     the same by the name of a kernel\n"
    "  --timeout S       seconds that code may run\n"
    "  --images DIR      where images are written to, as tci-N.png ... (shown in the terminal\n"
    "                    if it can, else .)\n"
    "  -q, --quiet       no progress of :upload and :download\n"
    "  --json            the server's answers, a line for each, in place of what code shows\n";

struct repl {
    struct client *client;
    struct options *o;
    struct session session;
    struct show *show;
    struct line *line;
    struct colon colon;          /* those lines that begin with one */
    bool at_terminal;            /* stdin was one at the start; one that has gone is none */
    char *code;                  /* the lines before the one that is typed; "" at first */
    char indent[MAX_INDENT + 1]; /* what the next line begins with */
    enum exit_status last;       /* of what has run */
};

/* --- what the kernel says ----------------------------------------------------------------- */

/* Its answer to a question about code; NULL: it has none, or err is told. */
static json_t *
ask(const struct repl *r, const char *verb, const char *code, struct err *err)
{
    cleanup_free char *path = session_path(&r->session, verb);
    json_t *body = json_pack("{s:s}", "code", code);
    json_t *answer = NULL;

    if (body == NULL)
        err_set(err, ERR_CONFIG, "The code is no UTF-8");
    else if (client_call(r->client, "POST", path, body, &answer, err) < 0)
        return NULL;
    return answer;
}

static size_t
characters(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static json_t *
complete(void *owner, const char *text, size_t *replaces)
{
    const struct repl *r = owner;

    if (r->code[0] == '\0' && text[0] == ':')
        return colon_complete(text, replaces);
    cleanup_free char *code = xasprintf("%s%s%s", r->code, r->code[0] ? "\n" : "", text);
    struct err err = ERR_INIT;
    json_t *answer = ask(r, "/complete", code, &err);
    json_t *matches = json_incref(json_object_get(answer, "matches"));
    const json_int_t start = json_integer_value(json_object_get(answer, "cursor_start"));
    const size_t end = characters(code), typed = characters(text);

    json_decref(answer);
    *replaces = start >= 0 && (size_t)start <= end ? end - (size_t)start : 0;
    if (json_is_array(matches) && *replaces <= typed)
        return matches;
    json_decref(matches);
    return NULL;
}

/*
 * Whether more lines are to come: 1, which sets the indent of the next, or 0, also when the kernel cannot tell; -1: it was not asked,
 * or its answer has not come, and what may be half of something is not to be run.
 */
static int
wants_more(struct repl *r, struct err *err)
{
    json_t *answer = ask(r, "/is_complete", r->code, err);
    const char *status = json_string_value(json_object_get(answer, "status"));
    const char *indent = json_string_value(json_object_get(answer, "indent"));
    const bool more = status && strcmp(status, "incomplete") == 0;

    if (more && indent && strspn(indent, " \t") == strlen(indent))
        snprintf(r->indent, sizeof(r->indent), "%s", indent);
    if (answer == NULL && err->field[0] == '\0' && err->code != ERR_CONFIG)
        return -1; /* no refusal of the server's, which has a code, and not what nobody could send */
    json_decref(answer);
    return more;
}

/* --- the conversation --------------------------------------------------------------------- */

static void
begin_anew(struct repl *r)
{
    free(r->code);
    r->code = xstrdup("");
    r->indent[0] = '\0';
}

static void
run(struct repl *r)
{
    json_t *body = json_pack("{s:s,s:b}", "code", r->code, "stdin", !r->o->json);

    if (body == NULL) {
        terminal_misused("repl", "the code is no UTF-8");
        return;
    }
    if (r->o->timeout > 0)
        json_object_set_new(body, "timeout", json_real(r->o->timeout));
    r->last = r->o->json ? execute_in_json(r->client, "repl", &r->session, body)
                         : execute(r->client, "repl", &r->session, body, r->show);
}

static void
take_line(struct repl *r, const char *text)
{
    const bool blank = text[strspn(text, " \t")] == '\0';
    struct err err = ERR_INIT;
    char *code;
    int more = 0;

    if (blank && r->code[0] == '\0')
        return;
    /* Only a line that is empty ends a block, and this one had its indent from here. */
    code = xasprintf("%s%s%s", r->code, r->code[0] ? "\n" : "", blank ? "" : text);
    free(r->code);
    r->code = code;
    r->indent[0] = '\0';
    if (strlen(code) < MAX_CODE)
        more = wants_more(r, &err);
    if (more > 0)
        return;
    /* One that came with the answer, too: nothing has begun that it could end instead. */
    if (interrupt_taken() && more == 0)
        more = err_set(&err, ERR_NONE, "interrupted");
    if (more < 0)
        r->last = terminal_fail("repl", &err);
    else if (!interrupt_is_final())
        run(r);
    begin_anew(r);
}

/* A file may end inside a block; who leaves a terminal there, or whose terminal goes, has not finished it. */
static void
take_end(struct repl *r)
{
    if (r->code[0] && !r->at_terminal && !interrupt_is_final())
        run(r);
}

static bool
turn(struct repl *r)
{
    cleanup_free char *text = NULL;
    const enum line_end end = line_read(r->line, r->code[0] ? "... " : ">>> ", r->indent, &text);

    if (end == LINE_INTERRUPTED) {
        begin_anew(r);
        return true;
    }
    if (end == LINE_OVER) {
        take_end(r);
        return false;
    }
    if (r->code[0] == '\0' && text[0] == ':')
        return colon_obey(&r->colon, text);
    take_line(r, text);
    return true;
}

static void
greet(const struct repl *r)
{
    if (!r->at_terminal || r->o->json)
        return;
    fputs("Session ", stdout);
    terminal_put(stdout, r->session.id);
    fputs(", ", stdout);
    terminal_put(stdout, r->session.kernel);
    puts(".  :help says more.");
}

static enum exit_status
status_of(const struct repl *r)
{
    if (interrupt_is_final())
        return STATUS_INTERRUPTED;
    return r->at_terminal ? STATUS_OK : r->last;
}

static enum exit_status
converse(struct repl *r)
{
    cleanup_free char *history = line_history_path();
    struct err err = ERR_INIT;

    if (session_take(r->client, r->o, &r->session, &err) < 0) {
        session_clear(&r->session);
        return terminal_fail("repl", &err);
    }
    r->show = show_new(r->o->images);
    r->line = line_new(history, complete, r);
    r->colon = (struct colon){
        .place = {r->client, r->session.id, r->o->quiet || r->o->json},
        .session = &r->session,
        .line = r->line,
        .as_json = r->o->json,
    };
    begin_anew(r);
    greet(r);
    while (!interrupt_is_final() && turn(r))
        ;
    session_leave(r->client, &r->session, "repl");
    free(r->code);
    line_free(r->line);
    show_free(r->show);
    session_clear(&r->session);
    return status_of(r);
}

enum exit_status
repl_command(int argc, char *argv[])
{
    struct options o;
    struct repl r = {.o = &o, .at_terminal = isatty(STDIN_FILENO)};
    struct err err = ERR_INIT;
    enum exit_status status;

    if (!begin(argc, argv, TAKES_JSON | TAKES_SESSION | TAKES_RUN | TAKES_QUIET, usage, &o,
               &status))
        return status;
    if (o.n_words > 0)
        return terminal_misused("repl", "there is a word too many");
    r.client = client_open(&o.place, &err);
    if (r.client == NULL)
        return terminal_fail("repl", &err);
    interrupt_catch();
    interrupt_catch_pipe();
    status = converse(&r);
    client_free(r.client);
    return status;
}
