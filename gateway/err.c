#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "utf8.h"

/* Both go into JSON, and may repeat what a program or a server said, or a file's name, cut anywhere. */
static void __attribute__((format(printf, 4, 0)))
fill(struct err *err, enum err_code code, const char *field, const char *fmt, va_list ap)
{
    if (err == NULL)
        return;
    err->code = code;
    err->sys_errno = 0;
    snprintf(err->field, sizeof(err->field), "%s", field);
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    utf8_make_valid(err->field);
    utf8_make_valid(err->msg);
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, "", fmt, ap);
    va_end(ap);
    return -1;
}

int
err_field(struct err *err, enum err_code code, const char *field, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(err, code, field, fmt, ap);
    va_end(ap);
    return -1;
}

int
err_sys(struct err *err, const char *fmt, ...)
{
    int saved = errno;
    size_t len;
    va_list ap;

    va_start(ap, fmt);
    fill(err, ERR_SYSTEM, "", fmt, ap);
    va_end(ap);
    if (err != NULL) {
        err->sys_errno = saved;
        len = strlen(err->msg);
        snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(saved));
    }
    return -1;
}
