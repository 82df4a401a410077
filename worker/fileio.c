/* fileio.c - see fileio.h. */
#include "fileio.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bigendian.h"
#include "protocol.h"

enum { EXIT_BROKEN = 1, LEN_SIZE = 4 };

static const struct {
    int error;
    const char *code, *message;
} errors[] = {
    {EACCES, "forbidden", "The sandbox user may not do that"},
    {EBUSY, "invalid", "That cannot be done with the workspace itself"},
    {EDQUOT, "no_space", "There is no room left in the session's workspace"},
    {EEXIST, "conflict", "There is something at this path already"},
    {EFBIG, "no_space", "The file would be too large"},
    {EINVAL, "invalid", "That is no path of a file"},
    {EISDIR, "conflict", "There is a directory at this path"},
    {ELOOP, "forbidden", "A symbolic link in the path leads out of the workspace, or to itself"},
    {EMFILE, "conflict", "The session has too many files open"},
    {ENAMETOOLONG, "invalid", "The path is too long"},
    {ENODEV, "conflict", "This is no regular file"},
    {ENOENT, "not_found", "There is nothing at this path"},
    {ENOMEM, "no_space", "The session has no memory left"},
    {ENOSPC, "no_space", "There is no room left in the session's workspace"},
    {ENOTDIR, "conflict", "A part of the path is no directory"},
    {ENOTEMPTY, "conflict", "The directory is not empty"},
    {ENXIO, "conflict", "This is no regular file"},
    {EPERM, "forbidden", "The sandbox user may not do that"},
    {EROFS, "forbidden", "The sandbox user may not do that"},
    {ETXTBSY, "conflict", "The file is a program that runs"},
    {EXDEV, "forbidden", "A symbolic link in the path leads out of the workspace"},
};

void
fileio_break(void)
{
    _exit(EXIT_BROKEN);
}

size_t
fileio_receive(void *buf, size_t size)
{
    ssize_t n;

    do
        n = read(FILEIO_SOCKET, buf, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        fileio_break();
    return (size_t)n;
}

static void
receive_all(void *buf, size_t size)
{
    for (size_t n = 0, got; n < size; n += got)
        if ((got = fileio_receive((char *)buf + n, size - n)) == 0)
            fileio_break();
}

json_t *
fileio_request(void)
{
    uint8_t head[LEN_SIZE];
    size_t len;
    char *text;
    json_t *request;

    receive_all(head, sizeof(head));
    len = bigendian_get32(head);
    if (len > TCI_FILES_MAX_REQUEST || (text = malloc(len + 1)) == NULL)
        fileio_break();
    receive_all(text, len);
    request = json_loadb(text, len, 0, NULL);
    free(text);
    if (!json_is_object(request))
        fileio_break();
    return request;
}

void
fileio_send(const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        const ssize_t n = write(FILEIO_SOCKET, p, len);

        if (n < 0 && errno != EINTR)
            fileio_break();
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

void
fileio_reply(json_t *reply)
{
    char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
    const size_t len = text ? strlen(text) : 0;
    uint8_t head[LEN_SIZE];

    if (text == NULL || len > TCI_FILES_MAX_REPLY)
        fileio_break();
    bigendian_put32(head, (uint32_t)len);
    fileio_send(head, sizeof(head));
    fileio_send(text, len);
    free(text);
    json_decref(reply);
}

/* For kernels, and files, that sendfile does not do. */
static ssize_t
copy(int file, size_t most)
{
    static char chunk[FILEIO_CHUNK];
    ssize_t n;

    do
        n = read(file, chunk, most < sizeof(chunk) ? most : sizeof(chunk));
    while (n < 0 && errno == EINTR);
    if (n > 0)
        fileio_send(chunk, (size_t)n);
    return n;
}

ssize_t
fileio_send_file(int file, size_t most)
{
    const ssize_t n =
        sendfile(FILEIO_SOCKET, file, NULL, most < FILEIO_CHUNK ? most : FILEIO_CHUNK);

    if (n >= 0)
        return n;
    if (errno == EPIPE || errno == ECONNRESET)
        fileio_break();
    return copy(file, most);
}

void
fileio_fail(const char *code, const char *message)
{
    fileio_reply(json_pack("{s:{s:s,s:s}}", "error", "code", code, "message", message));
    _exit(EXIT_SUCCESS);
}

void
fileio_fail_errno(void)
{
    const int error = errno;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].error == error)
            fileio_fail(errors[i].code, errors[i].message);
    fileio_fail("failed", strerror(error));
}

bool
fileio_has_no_tmpfile(int error)
{
    return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

void
fileio_draw_name(char name[FILEIO_NAME_SIZE])
{
    unsigned long long random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (unsigned long long)getpid();
    snprintf(name, FILEIO_NAME_SIZE, ".tci-upload-%016llx", random);
}
