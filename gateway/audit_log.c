#include "audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <event2/buffer.h>

#include "metrics.h"

enum {
    MAX_WAITING = 4 << 20, /* bytes */
    MAX_WRITE = 64 << 10,  /* bytes at a time */
};

struct audit_log {
    char *path;
    int fd;
    struct evbuffer *waiting; /* whole lines */
};

int
audit_log_reopen(struct audit_log *log, const char *path, struct err *err)
{
    /* A pipe must not be waited for either. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

    if (fd < 0)
        return err_sys(err, "TCI_AUDIT_LOG: cannot open %s", path);
    if (log->fd >= 0)
        close(log->fd);
    free(log->path);
    log->fd = fd;
    log->path = xstrdup(path);
    return 0;
}

struct audit_log *
audit_log_open(const char *path, struct err *err)
{
    struct audit_log *log = xcalloc(1, sizeof(*log));

    log->fd = -1;
    log->waiting = xnotnull(evbuffer_new());
    if (audit_log_reopen(log, path, err) == 0)
        return log;
    audit_log_close(log);
    return NULL;
}

void
audit_log_close(struct audit_log *log)
{
    if (log == NULL)
        return;
    if (log->fd >= 0)
        close(log->fd);
    evbuffer_free(log->waiting);
    free(log->path);
    free(log);
}

bool
audit_log_add(struct audit_log *log, const struct audit_event *event)
{
    json_auto_t *object = NULL;
    cleanup_free char *line = NULL;

    if (evbuffer_get_length(log->waiting) >= MAX_WAITING)
        return false;
    object = audit_event_json(event);
    line = xnotnull(json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)));
    evbuffer_add_printf(log->waiting, "%s\n", line);
    return true;
}

/* Bytes of data up to the end of its last whole line. */
static size_t
whole_lines(const char *data, size_t len)
{
    const char *end = memrchr(data, '\n', len);

    return end ? (size_t)(end - data) + 1 : 0;
}

/* A line that went out in part is taken back, where that can be done, and written again later. */
static size_t
take_back(const struct audit_log *log, const char *data, size_t written)
{
    size_t whole = whole_lines(data, written);
    off_t size = lseek(log->fd, 0, SEEK_END);

    if (whole == written || size < 0 || ftruncate(log->fd, size - (off_t)(written - whole)) < 0)
        return written;
    return whole;
}

static void
count_lines(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] == '\n')
            metrics_add(METRIC_AUDIT_LOG, 1);
}

int
audit_log_flush(struct audit_log *log, bool *more, struct err *err)
{
    size_t len = evbuffer_get_length(log->waiting), kept;
    const char *data;
    ssize_t n;

    *more = false;
    if (len == 0)
        return 0;
    if (len > MAX_WRITE)
        len = MAX_WRITE;
    data = (const char *)xnotnull(evbuffer_pullup(log->waiting, (ssize_t)len));
    len = whole_lines(data, len); /* a line is shorter than MAX_WRITE */
    n = write(log->fd, data, len);
    if (n < 0)
        return err_sys(err, "%s: cannot write", log->path);
    kept = take_back(log, data, (size_t)n);
    count_lines(data, kept);
    evbuffer_drain(log->waiting, kept);
    *more = evbuffer_get_length(log->waiting) > 0;
    if ((size_t)n < len) {
        errno = ENOSPC;
        return err_sys(err, "%s: cannot write", log->path);
    }
    return 0;
}
