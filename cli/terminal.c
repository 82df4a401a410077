/* terminal.c - see terminal.h. */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/mem.h"
#include "interrupt.h"
#include "late.h"
#include "outlet.h"
#include "sift.h"
#include "width.h"

static bool json_failures;

bool
terminal_has_colours(FILE *file)
{
    const char *no = getenv("NO_COLOR");

    return isatty(fileno(file)) && (no == NULL || no[0] == '\0');
}

/* --- escape sequences (ECMA-48) ----------------------------------------------------------- */

static size_t
length_of_csi(const char *s)
{
    size_t n = 0;

    while (s[n] >= 0x20 && s[n] <= 0x3f)
        n++;
    return s[n] >= 0x40 && s[n] <= 0x7e ? n + 1 : n;
}

/* A command string, up to BEL or ST. */
static size_t
length_of_string(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0' && s[n] != '\a' && !(s[n] == '\033' && s[n + 1] == '\\'))
        n++;
    if (s[n] == '\0')
        return n;
    return s[n] == '\a' ? n + 1 : n + 2;
}

/* Of the sequence after ESC. */
static size_t
length_of_escape(const char *s)
{
    switch (*s) {
    case '\0':
        return 0;
    case '[':
        return 1 + length_of_csi(s + 1);
    case ']':
    case 'P':
    case '^':
    case '_':
    case 'X':
        return 1 + length_of_string(s + 1);
    default:
        return 1;
    }
}

void
terminal_strip(char *text)
{
    char *out = text;

    while (*text)
        if (*text == '\033')
            text += 1 + length_of_escape(text + 1);
        else
            *out++ = *text++;
    *out = '\0';
}

char *
terminal_clean(char *text)
{
    unsigned char *p = (unsigned char *)text;

    for (; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
    return text;
}

void
terminal_put(FILE *file, const char *text)
{
    cleanup_free char *copy = text ? xstrdup(text) : NULL;

    if (copy)
        fputs(terminal_clean(copy), file);
}

void
terminal_put_lines(FILE *file, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n\t");
        cleanup_free char *piece = xasprintf("%.*s", (int)n, text);

        terminal_put(file, piece);
        text += n;
        if (*text)
            fputc(*text++, file);
    }
}

void
terminal_cell(const char *text, size_t width)
{
    cleanup_free char *copy = terminal_clean(xstrdup(text));
    const size_t used = width_of(copy);

    printf("%s%*s  ", copy, used < width ? (int)(width - used) : 0, "");
}

/* --- messages ----------------------------------------------------------------------------- */

static enum exit_status
status_of(enum err_code code)
{
    switch (code) {
    case ERR_CONFIG:
        return STATUS_USAGE;
    case ERR_TIMEOUT:
        return STATUS_TIMEOUT;
    case ERR_SYSTEM:
        return STATUS_FAILED;
    case ERR_NONE: /* only an interrupt ends something without an error */
        return STATUS_INTERRUPTED;
    default:
        return STATUS_SERVER;
    }
}

static const char *
code_of(const struct err *err)
{
    if (err->field[0])
        return err->field;
    switch (err->code) {
    case ERR_NONE:
        return "interrupted";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CONFIG:
    case ERR_SYSTEM:
        return "client_error";
    default:
        return "unreachable";
    }
}

static void
fail_in_json(const struct err *err)
{
    json_t *object = xnotnull(json_pack("{s:{s:s,s:s}}", "error", "code", code_of(err), "message",
                                        err->code == ERR_NONE ? "interrupted" : err->msg));

    terminal_json(object);
    json_decref(object);
}

void
terminal_fail_in_json(bool on)
{
    json_failures = on;
}

enum exit_status
terminal_fail(const char *command, const struct err *err)
{
    if (json_failures) {
        fail_in_json(err);
        return status_of(err->code);
    }
    if (err->code == ERR_NONE && (interrupt_was_pipe() || outlet_error()))
        return STATUS_INTERRUPTED; /* nobody minds, or main tells why */
    fflush(stdout);
    fprintf(stderr, "tci %s: ", command);
    terminal_put(stderr, err->code == ERR_NONE ? "interrupted" : err->msg);
    fputc('\n', stderr);
    return status_of(err->code);
}

enum exit_status
terminal_misused(const char *command, const char *what)
{
    fprintf(stderr, "tci %s: %s\nTry 'tci %s --help'.\n", command, what, command);
    return STATUS_USAGE;
}

/* DEL is what jansson takes for ASCII that can be shown. */
static int
put_json(const char *bytes, size_t len, void *file)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == 0x7f)
            fputs("\\u007f", file);
        else
            fputc(bytes[i], file);
    return 0;
}

void
terminal_json(const json_t *value)
{
    const size_t shape = isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT;
    cleanup_free char *text = NULL;
    size_t len;
    FILE *file = xnotnull(open_memstream(&text, &len));

    json_dump_callback(value, put_json, file,
                       shape | JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    fputc('\n', file);
    if (fclose(file) == 0)
        outlet_put(stdout, text, len);
}

static char *
field(const json_t *value)
{
    if (json_is_array(value))
        return xasprintf("%zu", json_array_size(value));
    if (json_is_string(value))
        return xstrdup(json_string_value(value));
    return xnotnull(
        json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)));
}

/* An object in an object is lines of its own, with the key before theirs. */
static void
put_fields(const char *before, const json_t *object)
{
    for (void *i = json_object_iter((json_t *)object); i;
         i = json_object_iter_next((json_t *)object, i)) {
        cleanup_free char *key = xasprintf("%s%s", before, json_object_iter_key(i));
        const json_t *value = json_object_iter_value(i);

        if (json_is_object(value) && before[0] == '\0') {
            cleanup_free char *prefix = xasprintf("%s.", key);

            put_fields(prefix, value);
            continue;
        }
        cleanup_free char *shown = field(value);

        terminal_cell(key, 24);
        terminal_put(stdout, shown);
        putchar('\n');
    }
}

void
terminal_fields(const json_t *object)
{
    put_fields("", object);
}

/* --- questions ---------------------------------------------------------------------------- */

static bool
set_echo(bool on)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &t) < 0)
        return false;
    t.c_lflag = on ? t.c_lflag | ECHO : t.c_lflag & ~(tcflag_t)ECHO;
    return tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

void
terminal_ask(struct terminal_input *in, const char *prompt, bool hidden)
{
    struct sift sift = {0};

    fflush(stdout);
    sift_write(&sift, prompt, strlen(prompt), stderr);
    in->hidden = hidden && set_echo(false);
}

void
terminal_leave(struct terminal_input *in)
{
    if (in->hidden && set_echo(true))
        fputc('\n', stderr);
    free(in->line);
    memset(in, 0, sizeof(*in));
}

static struct {
    char bytes[256];
    size_t len, at;
} unread;

void
terminal_unread(const char *bytes, size_t n)
{
    unread.len = n < sizeof(unread.bytes) ? n : sizeof(unread.bytes);
    unread.at = 0;
    memcpy(unread.bytes, bytes, unread.len);
}

bool
terminal_has_unread(void)
{
    return unread.at < unread.len;
}

bool
terminal_take_unread(char *byte)
{
    if (unread.at == unread.len)
        return false;
    *byte = unread.bytes[unread.at++];
    return true;
}

static struct {
    bool expected;
    struct late late;
} answers;

void
terminal_expect_answers(const char *begun, size_t n)
{
    answers.expected = true;
    for (size_t i = 0; i < n; i++)
        (void)late_take(&answers.late, begun[i]);
}

bool
terminal_expects_answers(void)
{
    return answers.expected;
}

ssize_t
terminal_read_byte(char *byte)
{
    const ssize_t n = read(STDIN_FILENO, byte, 1);

    if (n <= 0 || !answers.expected)
        return n;
    switch (late_take(&answers.late, *byte)) {
    case LATE_TYPED:
        terminal_unread(answers.late.held, answers.late.settled);
        (void)terminal_take_unread(byte);
        return 1;
    case LATE_LAST:
        answers.expected = false;
        break;
    case LATE_HELD:
    case LATE_ANSWER:
        break;
    }
    errno = EINTR;
    return -1;
}

/* TERMINAL_LINE: a byte. */
static enum terminal_read
read_byte(bool wait, char *byte)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = interrupt_fd(), .events = POLLIN}};
    ssize_t got;
    int n;

    if (terminal_take_unread(byte))
        return TERMINAL_LINE;
    do {
        while ((n = poll(fds, 2, wait ? -1 : 0)) < 0 && errno == EINTR)
            ;
        if (n == 0)
            return TERMINAL_NOTHING;
        if (n < 0 || fds[1].revents)
            return TERMINAL_INTERRUPT;
        got = terminal_read_byte(byte);
    } while (got < 0 && errno == EINTR);
    return got == 1 ? TERMINAL_LINE : TERMINAL_END;
}

static void
add_byte(struct terminal_input *in, char byte)
{
    if (in->len + 2 > in->size) {
        in->size = in->size ? 2 * in->size : 256;
        in->line = xrealloc(in->line, in->size);
    }
    in->line[in->len++] = byte;
    in->line[in->len] = '\0';
}

/* Without the CR of an end in two bytes; any other one is the line's own. */
static char *
steal_line(struct terminal_input *in, size_t *len)
{
    *len = in->len;
    if (in->line == NULL)
        return xstrdup("");
    if (in->len > 0 && in->line[in->len - 1] == '\r')
        in->line[--*len] = '\0';
    return mem_steal(&in->line);
}

/* Byte by byte, as what follows the line may be for somebody else. */
enum terminal_read
terminal_read(struct terminal_input *in, bool wait, char **text, size_t *len)
{
    enum terminal_read rc;
    char byte = '\0';

    *text = NULL;
    *len = 0;
    while ((rc = read_byte(wait, &byte)) == TERMINAL_LINE && byte != '\n')
        add_byte(in, byte);
    if (rc == TERMINAL_NOTHING)
        return rc;
    if (rc == TERMINAL_LINE || (rc == TERMINAL_END && in->len > 0)) {
        *text = steal_line(in, len);
        rc = TERMINAL_LINE;
    }
    terminal_leave(in);
    return rc;
}
