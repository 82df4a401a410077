/*
 * log.c - see log.h.
 *
 * stderr may be a file, a terminal, a pipe or a socket, and it is shared with whoever started us:
 * setting O_NONBLOCK on it would change it for them.  So a terminal or pipe is opened a second
 * time, which gives a file description of our own; a socket is written with MSG_DONTWAIT; where
 * neither can be done, poll says whether a line fits.  A line is shorter than PIPE_BUF, so a pipe
 * takes it whole or not at all.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "requestid.h"

#define MAX_MESSAGE 2048 /* bytes of a message after escaping */
#define MAX_LINE (MAX_MESSAGE + REQUESTID_MAX + 160)
_Static_assert(MAX_LINE <= PIPE_BUF, "a line must go into a pipe in one piece");

enum sink_kind { SINK_PLAIN, SINK_POLLED, SINK_NONBLOCKING, SINK_SOCKET };

static const char *const level_name[] = {"error", "warn", "info", "debug"};
static const char *const level_padded[] = {"error ", "warn  ", "info  ", "debug "};

static struct {
    enum log_level level;
    enum log_format format;
    enum sink_kind kind;
    int fd;
    bool torn; /* the last line was written in part: the next one begins with a newline */
    unsigned long dropped;        /* lines since the last one that got through */
    char request[REQUESTID_SIZE]; /* "": none */
} sink = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, SINK_POLLED, STDERR_FILENO, false, 0, ""};

struct text { /* a string that is cut at its size and never overflows */
    char *data;
    size_t len, size;
    bool cut;
};

static void
close_sink(void)
{
    if (sink.kind == SINK_NONBLOCKING)
        close(sink.fd);
    sink.kind = SINK_POLLED;
    sink.fd = STDERR_FILENO;
}

static void
open_sink(void)
{
    struct stat st;
    int fd;

    close_sink();
    if (fstat(STDERR_FILENO, &st) < 0)
        return;
    if (S_ISSOCK(st.st_mode)) {
        sink.kind = SINK_SOCKET;
    } else if (S_ISREG(st.st_mode)) {
        sink.kind = SINK_PLAIN; /* a second description would have a file offset of its own */
    } else {
        fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            return;
        sink.kind = SINK_NONBLOCKING;
        sink.fd = fd;
    }
}

void
log_setup(enum log_level level, enum log_format format)
{
    int saved = errno;

    sink.level = level;
    sink.format = format;
    open_sink();
    errno = saved;
}

void
log_request(const char *id)
{
    snprintf(sink.request, sizeof(sink.request), "%s", id ? id : "");
}

int
log_enabled(enum log_level level)
{
    return level <= sink.level;
}

/* Appends n bytes, or nothing at all. */
static void
append(struct text *t, const char *data, size_t n)
{
    if (t->cut || n > t->size - t->len) {
        t->cut = true;
        return;
    }
    memcpy(t->data + t->len, data, n);
    t->len += n;
}

static void
append_string(struct text *t, const char *s)
{
    append(t, s, strlen(s));
}

/* The bytes of the UTF-8 character at s, and its code point; 0 when there is none (RFC 3629). */
static size_t
utf8_char(const unsigned char *s, size_t len, uint32_t *cp)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xc2 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;

    if (n == 0 || n > len)
        return 0;
    *cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *cp = *cp << 6 | (s[i] & 0x3f);
    }
    if (*cp < lowest[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff))
        return 0;
    return n;
}

/* What would move a terminal's cursor, end a line in some viewer, or turn the reading direction
 * round. */
static bool
must_escape(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029 ||
           (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == '\\' ||
           (cp == '"' && sink.format == LOG_FORMAT_JSON);
}

static void
append_escape(struct text *t, uint32_t cp)
{
    char buf[16];

    if (cp == '\n' || cp == '\r' || cp == '\t')
        snprintf(buf, sizeof(buf), "\\%c", cp == '\n' ? 'n' : cp == '\r' ? 'r' : 't');
    else if (cp == '\\' || cp == '"')
        snprintf(buf, sizeof(buf), "\\%c", (char)cp);
    else
        snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)cp);
    append_string(t, buf);
}

static void
append_bad_byte(struct text *t, unsigned char byte)
{
    char buf[8];

    if (sink.format == LOG_FORMAT_JSON)
        snprintf(buf, sizeof(buf), "\\ufffd");
    else
        snprintf(buf, sizeof(buf), "\\x%02x", byte);
    append_string(t, buf);
}

static void
append_escaped(struct text *t, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len = strlen(s), n;
    uint32_t cp = 0;

    for (; len > 0 && !t->cut; p += n, len -= n) {
        n = utf8_char(p, len, &cp);
        if (n == 0) {
            n = 1;
            append_bad_byte(t, *p);
        } else if (must_escape(cp)) {
            append_escape(t, cp);
        } else {
            append(t, (const char *)p, n);
        }
    }
}

static void
append_time(struct text *t)
{
    struct timespec now;
    struct tm tm;
    char buf[80];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    snprintf(buf, sizeof(buf), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
    append_string(t, buf);
}

static void
append_message(struct text *line, const char *msg)
{
    char buf[MAX_MESSAGE];
    struct text t = {buf, 0, sizeof(buf) - 3, false};

    append_escaped(&t, msg);
    append(line, buf, t.len);
    if (t.cut)
        append_string(line, "...");
}

static void
append_request(struct text *t, const char *before, const char *after)
{
    if (sink.request[0] == '\0')
        return;
    append_string(t, before);
    append_escaped(t, sink.request);
    append_string(t, after);
}

static size_t
format_line(char *buf, size_t size, enum log_level level, const char *msg)
{
    struct text t = {buf, 0, size, false};

    if (sink.format == LOG_FORMAT_JSON) {
        append_string(&t, "{\"time\":\"");
        append_time(&t);
        append_string(&t, "\",\"level\":\"");
        append_string(&t, level_name[level]);
        append_string(&t, "\",\"msg\":\"");
        append_message(&t, msg);
        append_string(&t, "\"");
        append_request(&t, ",\"request_id\":\"", "\"");
        append_string(&t, "}\n");
    } else {
        append_time(&t);
        append_string(&t, " ");
        append_string(&t, level_padded[level]);
        append_message(&t, msg);
        append_request(&t, " request=", "");
        append_string(&t, "\n");
    }
    return t.len;
}

static bool
would_fit(void)
{
    struct pollfd p = {.fd = sink.fd, .events = POLLOUT};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static ssize_t
write_once(const char *data, size_t len)
{
    ssize_t n;

    do {
        if (sink.kind == SINK_SOCKET)
            n = send(sink.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        else if (sink.kind == SINK_POLLED && !would_fit())
            return -1;
        else
            n = write(sink.fd, data, len);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* A reader that went away is EPIPE here, not the SIGPIPE that would end the process. */
static ssize_t
write_without_sigpipe(const char *data, size_t len)
{
    static const struct timespec at_once = {0, 0};
    sigset_t pipe_set, old, pending;
    ssize_t n;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    n = write_once(data, len);
    if (n < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        sigtimedwait(&pipe_set, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

static bool
put(const char *data, size_t len)
{
    ssize_t n;

    if (sink.torn) {
        if (write_without_sigpipe("\n", 1) != 1)
            return false;
        sink.torn = false;
    }
    n = write_without_sigpipe(data, len);
    if (n <= 0)
        return false;
    sink.torn = (size_t)n < len;
    return !sink.torn;
}

static bool
report_dropped(void)
{
    char msg[80], line[MAX_LINE];

    if (sink.dropped == 0)
        return true;
    snprintf(msg, sizeof(msg), "log: %lu lines were lost, stderr did not take them", sink.dropped);
    if (!put(line, format_line(line, sizeof(line), LOG_LEVEL_WARN, msg)))
        return false;
    sink.dropped = 0;
    return true;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
    char msg[MAX_MESSAGE + 1], line[MAX_LINE];
    int saved = errno;
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    if (vsnprintf(msg, sizeof(msg), fmt, ap) < 0)
        snprintf(msg, sizeof(msg), "log: a message could not be formatted");
    va_end(ap);
    if (!report_dropped() || !put(line, format_line(line, sizeof(line), level, msg)))
        sink.dropped++;
    errno = saved;
}
