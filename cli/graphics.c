/* graphics.c - see graphics.h. */
#include "graphics.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <sodium.h>

#include "gateway/mem.h"
#include "interrupt.h"
#include "terminal.h"

enum { LIMIT_MS = 500, LAST_LIMIT_MS = 1500, CHUNK = 4096, MAX_PICTURE = 16 << 20 };

static const char question[] = "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\"
                               "\033[>q"
                               "\033[c";

/* --- answers ------------------------------------------------------------------------------ */

/* Those who speak iTerm2's protocol, by the name that they give themselves. */
static bool
is_like_iterm(const char *name)
{
    static const char *const names[] = {"iTerm2", "WezTerm", "mintty"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void
end_sequence(struct graphics_answers *a, char last)
{
    a->text[a->len] = '\0';
    if (a->kind == '_' && strncmp(a->text, "Gi=31;OK", 8) == 0)
        a->kitty = true;
    else if (a->kind == 'P' && strncmp(a->text, ">|", 2) == 0)
        a->iterm = is_like_iterm(a->text + 2);
    else if (a->kind == '[' && last == 'c' && a->text[0] == '?')
        a->over = true;
    a->state = OUTSIDE;
}

static void
keep(struct graphics_answers *a, char byte)
{
    if (a->len + 1 < sizeof(a->text))
        a->text[a->len++] = byte;
}

static void
keep_typed(struct graphics_answers *a, char byte)
{
    if (a->n_typed < sizeof(a->typed))
        a->typed[a->n_typed++] = byte;
}

static void
begin_sequence(struct graphics_answers *a, char byte)
{
    a->kind = byte;
    a->len = 0;
    if (byte == '[')
        a->state = IN_CSI;
    else if (byte == '_' || byte == 'P' || byte == ']')
        a->state = IN_STRING;
    else
        a->state = OUTSIDE; /* a key, such as Alt with another */
}

void
graphics_take(struct graphics_answers *a, char byte)
{
    switch (a->state) {
    case OUTSIDE:
        if (byte == '\033')
            a->state = AFTER_ESCAPE;
        else
            keep_typed(a, byte);
        break;
    case AFTER_ESCAPE:
        begin_sequence(a, byte);
        break;
    case IN_CSI:
        if (byte >= 0x40 && byte <= 0x7e)
            end_sequence(a, byte);
        else
            keep(a, byte);
        break;
    case IN_STRING:
        if (byte == '\a')
            end_sequence(a, byte);
        else if (byte == '\033')
            a->state = IN_STRING_ESCAPE;
        else
            keep(a, byte);
        break;
    case IN_STRING_ESCAPE:
        end_sequence(a, byte);
        break;
    }
}

enum graphics
graphics_of(const struct graphics_answers *a)
{
    if (a->kitty)
        return GRAPHICS_KITTY;
    return a->iterm ? GRAPHICS_ITERM : GRAPHICS_NONE;
}

/* --- asking ------------------------------------------------------------------------------- */

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
read_answers(struct graphics_answers *a)
{
    const int64_t end = now_ms() + LIMIT_MS;

    while (!a->over) {
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        const int64_t left = end - now_ms();
        char bytes[256];
        ssize_t n;

        if (left <= 0 || (poll(&fd, 1, (int)left) <= 0 && errno != EINTR))
            break;
        n = fd.revents ? read(STDIN_FILENO, bytes, sizeof(bytes)) : 0;
        for (ssize_t i = 0; i < n; i++)
            graphics_take(a, bytes[i]);
        if (fd.revents && n <= 0)
            break;
    }
}

/* Whether there is a terminal that may be asked: at both ends, with us before it, and not a plain one. */
static bool
may_ask(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 &&
           strcmp(term, "linux") != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* Has what comes be read as it does, and not shown; *before: how the terminal was. */
static bool
become_raw(struct termios *before)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, before) < 0)
        return false;
    raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* What has not come in time may come yet, the rest of an answer first. */
static void
expect_late(const struct graphics_answers *a)
{
    char begun[sizeof(a->text) + 3] = "\033";
    size_t n = a->state != OUTSIDE;

    if (a->state == IN_CSI || a->state == IN_STRING || a->state == IN_STRING_ESCAPE) {
        begun[n++] = a->kind;
        memcpy(begun + n, a->text, a->len);
        n += a->len;
    }
    if (a->state == IN_STRING_ESCAPE)
        begun[n++] = '\033';
    terminal_expect_answers(begun, n);
}

static enum graphics
ask(void)
{
    struct graphics_answers answers = {.state = OUTSIDE};
    struct termios before;

    if (!may_ask() || !become_raw(&before))
        return GRAPHICS_NONE;
    fflush(stdout);
    if (write(STDOUT_FILENO, question, sizeof(question) - 1) > 0)
        read_answers(&answers);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    terminal_unread(answers.typed, answers.n_typed);
    if (!answers.over)
        expect_late(&answers);
    return graphics_of(&answers);
}

/* Whatever is typed meanwhile is lost; half an answer would be worse in a shell. */
void
graphics_end(void)
{
    const int64_t end = now_ms() + LAST_LIMIT_MS;
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = interrupt_fd(), .events = POLLIN}};
    struct termios before;
    int64_t left;
    char byte;

    if (!terminal_expects_answers() || !may_ask() || !become_raw(&before))
        return;
    while (terminal_expects_answers() && (left = end - now_ms()) > 0) {
        if (poll(fds, 2, (int)left) < 0 && errno == EINTR)
            continue;
        if (fds[1].revents || fds[0].revents == 0 || terminal_read_byte(&byte) == 0)
            break;
    }
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

/* --- pictures ----------------------------------------------------------------------------- */

bool
graphics_can(enum graphics how, const char *type)
{
    if (how == GRAPHICS_KITTY)
        return strcmp(type, "image/png") == 0;
    return how == GRAPHICS_ITERM &&
           (strcmp(type, "image/png") == 0 || strcmp(type, "image/jpeg") == 0 ||
            strcmp(type, "image/gif") == 0);
}

static char *
encode(const unsigned char *bytes, size_t len)
{
    const size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = xcalloc(size, 1);

    return sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
}

/* In pieces; q=2: no answer, which would be taken for input. */
static void
write_kitty(FILE *out, const char *text)
{
    const size_t len = strlen(text);

    for (size_t at = 0; at < len; at += CHUNK) {
        const size_t n = len - at < CHUNK ? len - at : CHUNK;

        fprintf(out, "\033_G%sm=%d;%.*s\033\\", at == 0 ? "a=T,f=100,q=2," : "", at + n < len,
                (int)n, text + at);
    }
}

void
graphics_write(FILE *out, enum graphics how, const unsigned char *bytes, size_t len)
{
    cleanup_free char *text = encode(bytes, len);

    if (how == GRAPHICS_KITTY)
        write_kitty(out, text);
    else
        fprintf(out, "\033]1337;File=inline=1;size=%zu:%s\a", len, text);
    fputc('\n', out);
}

bool
graphics_show(const char *type, const unsigned char *bytes, size_t len)
{
    static bool asked;
    static enum graphics how;

    if (len > MAX_PICTURE)
        return false;
    if (!asked)
        how = ask();
    asked = true;
    if (!graphics_can(how, type))
        return false;
    graphics_write(stdout, how, bytes, len);
    fflush(stdout);
    return true;
}
