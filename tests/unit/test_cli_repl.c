/*
 * test_cli_repl.c - the conversation, where what comes does so at a moment that no server can choose.  The lines that are typed, the
 * server's answers and what runs are this file's, in place of line.c, client.c and execute.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>

#include "cli/client.h"
#include "cli/execute.h"
#include "cli/line.h"
#include "cli/repl.h"

static const char *const *typed; /* up to NULL */
static bool is_interrupted;      /* with the first answer about code */
static char ran[64];             /* the code, each between brackets */

/* --- line.c ------------------------------------------------------------------------------- */

struct line *
line_new(const char *history, line_complete_fn *complete, void *owner)
{
    (void)history;
    (void)complete;
    (void)owner;
    return NULL;
}

void
line_free(struct line *l)
{
    (void)l;
}

enum line_end
line_read(struct line *l, const char *prompt, const char *begun, char **text)
{
    (void)l;
    (void)prompt;
    (void)begun;
    if (*typed == NULL)
        return LINE_OVER;
    *text = xstrdup(*typed++);
    return LINE_READ;
}

void
line_print_history(const struct line *l, unsigned n)
{
    (void)l;
    (void)n;
}

char *
line_history_path(void)
{
    return NULL;
}

/* --- client.c ----------------------------------------------------------------------------- */

struct client *
client_new(const struct place *place, struct err *err)
{
    (void)place;
    (void)err;
    return NULL;
}

struct client *
client_open(const struct place_options *o, struct err *err)
{
    (void)o;
    (void)err;
    return xcalloc(1, 1);
}

void
client_free(struct client *c)
{
    free(c);
}

void
client_draw_key(char line[CLIENT_KEY_SIZE])
{
    line[0] = '\0';
}

int
client_call(struct client *c, const char *method, const char *path, json_t *body, json_t **answer,
            struct err *err)
{
    (void)c;
    (void)method;
    (void)err;
    json_decref(body);
    if (strcmp(path, "/v1/sessions/s/is_complete") == 0 && is_interrupted) {
        is_interrupted = false;
        raise(SIGINT);
    }
    if (answer)
        *answer = json_pack("{s:s}", "status", "complete");
    return 0;
}

int
client_perform(struct client *c, const struct client_request *r, struct client_answer *answer,
               struct err *err)
{
    (void)c;
    (void)err;
    json_decref(r->body);
    memset(answer, 0, sizeof(*answer));
    answer->json = json_pack("{s:s}", "id", "s");
    return 0;
}

/* --- execute.c ---------------------------------------------------------------------------- */

enum exit_status
execute(struct client *c, const char *command, const struct session *session, json_t *body,
        struct show *show)
{
    const size_t len = strlen(ran);

    (void)c;
    (void)command;
    (void)session;
    (void)show;
    snprintf(ran + len, sizeof(ran) - len, "[%s]",
             json_string_value(json_object_get(body, "code")));
    json_decref(body);
    return STATUS_OK;
}

enum exit_status
execute_in_json(struct client *c, const char *command, const struct session *session, json_t *body)
{
    return execute(c, command, session, body, NULL);
}

enum exit_status
execute_status(const char *ended)
{
    (void)ended;
    return STATUS_OK;
}

/* --- the tests ---------------------------------------------------------------------------- */

static enum exit_status
converse_in(const char *const *lines)
{
    char name[] = "repl", option[] = "-s", session[] = "s";
    char *argv[] = {name, option, session, NULL};

    typed = lines;
    ran[0] = '\0';
    return repl_command(3, argv);
}

static void
runs_what_is_complete(void **state)
{
    static const char *const lines[] = {"1", "2", NULL};

    (void)state;
    assert_int_equal(converse_in(lines), STATUS_OK);
    assert_string_equal(ran, "[1][2]");
}

/* It is not for the line after it. */
static void
an_interrupt_with_the_answer_drops_the_code(void **state)
{
    static const char *const last[] = {"1", NULL}, *const lines[] = {"1", "2", NULL};

    (void)state;
    is_interrupted = true;
    assert_int_equal(converse_in(last), STATUS_INTERRUPTED);
    assert_string_equal(ran, "");
    is_interrupted = true;
    assert_int_equal(converse_in(lines), STATUS_OK);
    assert_string_equal(ran, "[2]");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_what_is_complete),
        cmocka_unit_test(an_interrupt_with_the_answer_drops_the_code),
    };

    signal(SIGINT, SIG_DFL); /* which who runs this in the background may ignore */
    if (freopen("/dev/null", "r", stdin) == NULL)
        return 1; /* at a terminal the exit status is another one */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
