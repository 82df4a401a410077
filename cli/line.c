/* line.c - see line.h. */
#include "line.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "gateway/mem.h"
#include "gateway/utf8.h"
#include "interrupt.h"
#include "terminal.h"

enum { MAX_LINES = 1000, MAX_HISTORY_FILE = 256 << 10, MAX_SHOWN = 100, WIDTH = 78 };

struct line {
    EditLine *el; /* NULL: not a terminal */
    History *history;
    const char *path, *prompt;
    line_complete_fn *complete;
    void *owner;
    mbstate_t state;
    bool interrupted;
};

static volatile sig_atomic_t resized;

static struct line *
line_of(EditLine *el)
{
    void *line = NULL;

    el_get(el, EL_CLIENTDATA, &line);
    return line;
}

/* --- what libedit asks for ---------------------------------------------------------------- */

static char *
give_prompt(EditLine *el)
{
    return (char *)line_of(el)->prompt;
}

static void
on_resize(int sig)
{
    (void)sig;
    resized = 1;
}

/* The line is drawn anew for the terminal's new size, below what that, or the shell meanwhile, has made of the old one. */
static void
take_size(struct line *l)
{
    if (!interrupt_has_stopped() && !resized)
        return;
    resized = 0;
    fputs("\r\n", stdout);
    fflush(stdout);
    el_resize(l->el);
    el_set(l->el, EL_REFRESH);
}

/*
 * Waits for a key, or for Ctrl-C.  A final signal may have been taken by a request, of a completion.  What has the line drawn
 * anew comes while this waits, or before it looks: not in between.
 */
static bool
wait_for_key(struct line *l)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = interrupt_fd(), .events = POLLIN}};
    sigset_t redrawing, before;
    int n;

    sigemptyset(&redrawing);
    sigaddset(&redrawing, SIGTSTP);
    sigaddset(&redrawing, SIGCONT);
    sigaddset(&redrawing, SIGWINCH);
    sigprocmask(SIG_BLOCK, &redrawing, &before);
    do {
        take_size(l);
        n = interrupt_is_final() ? 0 : ppoll(fds, 2, NULL, &before);
    } while (n < 0 && errno == EINTR);
    sigprocmask(SIG_SETMASK, &before, NULL);
    l->interrupted = interrupt_taken() || interrupt_is_final();
    return !l->interrupted;
}

/* 1; 0 at the end; -1 for Ctrl-C. */
static int
next_byte(struct line *l, char *byte)
{
    ssize_t n = -1;

    if (terminal_take_unread(byte))
        return 1;
    do {
        if (!wait_for_key(l))
            return -1;
        n = terminal_read_byte(byte);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

/* One character: 1; 0 at the end; -1 for Ctrl-C.  What is no character of the locale is passed over. */
static int
give_char(EditLine *el, wchar_t *out)
{
    struct line *l = line_of(el);
    char byte;
    int n;

    while ((n = next_byte(l, &byte)) != 0) {
        if (n < 0)
            return -1;
        switch (mbrtowc(out, &byte, 1, &l->state)) {
        case (size_t)-1:
            memset(&l->state, 0, sizeof(l->state));
            break;
        case (size_t)-2:
            break;
        default:
            return 1;
        }
    }
    return 0;
}

/* --- completion --------------------------------------------------------------------------- */

static size_t
common_length(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] != '\0' && a[n] == b[n])
        n++;
    return utf8_valid_prefix(a, n);
}

/* What all of them begin with; a new string. */
static char *
common_start(const json_t *matches)
{
    char *start = xstrdup(json_string_value(json_array_get(matches, 0)));

    for (size_t i = 0; i < json_array_size(matches); i++)
        start[common_length(start, json_string_value(json_array_get(matches, i)))] = '\0';
    return start;
}

static void
list(const json_t *matches)
{
    int column = 0;

    fputs("\r\n", stdout);
    for (size_t i = 0; i < json_array_size(matches); i++) {
        const char *match = json_string_value(json_array_get(matches, i));
        const int width = ((int)strlen(match) / 20 + 1) * 20;

        if (i == MAX_SHOWN)
            break;
        if (column > 0 && column + width > WIDTH) {
            fputs("\r\n", stdout);
            column = 0;
        }
        printf("%-*s", width, match);
        column += width;
    }
    if (json_array_size(matches) > MAX_SHOWN)
        printf("\r\n... %zu", json_array_size(matches));
    fputs("\r\n", stdout);
    fflush(stdout);
}

/* Leaves those out that are no text, or do not belong on a terminal. */
static void
weed_out(json_t *matches)
{
    for (size_t i = json_array_size(matches); i-- > 0;) {
        const char *text = json_string_value(json_array_get(matches, i));
        cleanup_free char *clean = text ? terminal_clean(xstrdup(text)) : NULL;

        if (text == NULL || strcmp(text, clean) != 0)
            json_array_remove(matches, i);
    }
}

static unsigned char
insert(EditLine *el, const json_t *matches, size_t replaces, const char *typed)
{
    cleanup_free char *start = common_start(matches);
    const size_t len = strlen(start), typed_len = strlen(typed);

    /* Nothing more in common than what is there: so they are shown. */
    if (json_array_size(matches) > 1 &&
        (len == 0 || (len <= typed_len && strcmp(typed + typed_len - len, start) == 0))) {
        list(matches);
        return CC_REDISPLAY;
    }
    if (replaces > 0)
        el_deletestr(el, (int)replaces);
    return el_insertstr(el, start) < 0 ? CC_ERROR : CC_REFRESH;
}

static unsigned char
on_tab(EditLine *el, int key)
{
    struct line *l = line_of(el);
    const LineInfo *info = el_line(el);
    cleanup_free char *typed = xasprintf("%.*s", (int)(info->cursor - info->buffer), info->buffer);
    unsigned char how = CC_ERROR;
    size_t replaces = 0;
    json_t *matches;

    (void)key;
    if (typed[strspn(typed, " \t")] == '\0')
        return el_insertstr(el, "    ") < 0 ? CC_ERROR : CC_REFRESH;
    matches = l->complete(l->owner, typed, &replaces);
    weed_out(matches);
    if (json_array_size(matches) > 0)
        how = insert(el, matches, replaces, typed);
    json_decref(matches);
    return how;
}

/* --- history ------------------------------------------------------------------------------ */

static void
load(struct line *l)
{
    HistEvent event;
    struct stat st;

    l->history = xnotnull(history_init());
    history(l->history, &event, H_SETSIZE, MAX_LINES);
    history(l->history, &event, H_SETUNIQUE, 1);
    if (l->path == NULL || stat(l->path, &st) < 0)
        return;
    history(l->history, &event, H_LOAD, l->path);
    if (st.st_size > MAX_HISTORY_FILE)
        history(l->history, &event, H_SAVE, l->path);
}

/* At once and at the end of the file, as others may write there, too. */
static void
remember(struct line *l, const char *text)
{
    const mode_t mask = umask(077);
    FILE *file = l->path ? fopen(l->path, "ae") : NULL;
    HistEvent event;

    umask(mask);
    history(l->history, &event, H_ENTER, text);
    if (file == NULL)
        return;
    fseek(file, 0, SEEK_END);
    history(l->history, &event, H_NSAVE_FP, (size_t)1, file);
    fclose(file);
}

/* From the newest backwards, and then forwards. */
void
line_print_history(const struct line *l, unsigned n)
{
    HistEvent event;
    unsigned back = 1;
    int rc;

    if (l->history == NULL || n == 0)
        return;
    rc = history(l->history, &event, H_FIRST);
    while (rc == 0 && back < n && history(l->history, &event, H_NEXT) == 0)
        back++;
    for (; rc == 0; rc = history(l->history, &event, H_PREV)) {
        printf("%5d  ", event.num);
        terminal_put(stdout, event.str);
        putchar('\n');
    }
}

static char *
state_home(void)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (xdg && xdg[0] == '/')
        return xstrdup(xdg);
    return home && home[0] == '/' ? xasprintf("%s/.local/state", home) : NULL;
}

char *
line_history_path(void)
{
    cleanup_free char *home = state_home();
    char *path = home ? xasprintf("%s/tci/history", home) : NULL;

    for (char *slash = path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700); /* what cannot be made is found when it is used */
        *slash = '/';
    }
    return path;
}

/* --- the interface ------------------------------------------------------------------------ */

static void
open_editor(struct line *l)
{
    const struct sigaction action = {.sa_handler = on_resize,
                                     .sa_flags = SA_RESTART}; /* poll ends */

    load(l);
    sigaction(SIGWINCH, &action, NULL);
    l->el = xnotnull(el_init("tci", stdin, stdout, stderr));
    el_set(l->el, EL_CLIENTDATA, l);
    el_set(l->el, EL_PROMPT, give_prompt);
    el_set(l->el, EL_EDITOR, "emacs");
    el_set(l->el, EL_HIST, history, l->history);
    el_set(l->el, EL_GETCFN, give_char);
    /* el_set would copy the two strings for good. */
    el_wset(l->el, EL_ADDFN, L"tci-complete", L"ask the kernel", on_tab);
    el_set(l->el, EL_BIND, "^I", "tci-complete", NULL);
    el_set(l->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(l->el, NULL);
}

struct line *
line_new(const char *path, line_complete_fn *complete, void *owner)
{
    struct line *l = xcalloc(1, sizeof(*l));

    l->path = path;
    l->complete = complete;
    l->owner = owner;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        open_editor(l);
    return l;
}

void
line_free(struct line *l)
{
    if (l == NULL)
        return;
    if (l->el)
        el_end(l->el);
    if (l->history)
        history_end(l->history);
    free(l);
}

static enum line_end
read_plainly(char **text)
{
    struct terminal_input in = {0};
    size_t len;

    fflush(stdout);
    switch (terminal_read(&in, true, text, &len)) {
    case TERMINAL_LINE:
        return LINE_READ;
    case TERMINAL_INTERRUPT:
        return interrupt_taken() && !interrupt_is_final() ? LINE_INTERRUPTED : LINE_OVER;
    default:
        return LINE_OVER;
    }
}

/* What is pasted, say, which brings its own indent. */
static bool
is_typed_ahead(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    return terminal_has_unread() || poll(&fd, 1, 0) > 0;
}

enum line_end
line_read(struct line *l, const char *prompt, const char *begun, char **text)
{
    const char *got;
    int len = 0;

    *text = NULL;
    if (l->el == NULL)
        return read_plainly(text);
    l->prompt = prompt;
    l->interrupted = false;
    memset(&l->state, 0, sizeof(l->state));
    interrupt_has_stopped(); /* what that was about is above */
    resized = 0;
    el_resize(l->el);
    /* Before the prompt is seen, that no key be taken as the terminal takes it. */
    el_set(l->el, EL_PREP_TERM, 1);
    if (begun[0] && !is_typed_ahead())
        el_push(l->el, begun);
    got = el_gets(l->el, &len);
    if (l->interrupted) {
        el_reset(l->el);
        puts("^C");
        return interrupt_is_final() ? LINE_OVER : LINE_INTERRUPTED;
    }
    if (got == NULL || len <= 0)
        return LINE_OVER;
    *text = xasprintf("%.*s", (int)strcspn(got, "\r\n"), got);
    if ((*text)[strspn(*text, " \t")] != '\0')
        remember(l, *text);
    return LINE_READ;
}
