/* boot.c - see boot.h. */
#include "boot.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "clock.h"
#include "die.h"
#include "protocol.h"

#define PREFIX "unix://"

enum { READ_TIMEOUT_MS = 30000 };
static const double ORPHAN_MAX_SECONDS = 1e9;

static int
fail(const char **why, const char *sentence)
{
    *why = sentence;
    return -1;
}

static int
copy_text(char *out, size_t size, const char *text)
{
    const size_t len = strlen(text);

    if (len >= size)
        return -1;
    memcpy(out, text, len + 1);
    return 0;
}

static int
take_fields(const json_t *root, struct boot *boot, const char **why)
{
    const char *endpoint, *id;
    double orphan;
    json_error_t error;

    if (json_unpack_ex((json_t *)root, &error, JSON_STRICT, "{s:s, s:s, s:F}", "endpoint",
                       &endpoint, "routing_id", &id, "orphan_timeout", &orphan) < 0)
        return fail(why, "has missing, unknown or wrongly typed members");
    if (strncmp(endpoint, PREFIX, strlen(PREFIX)) != 0 || endpoint[strlen(PREFIX)] != '/' ||
        copy_text(boot->path, sizeof(boot->path), endpoint + strlen(PREFIX)) < 0)
        return fail(why, "has an endpoint that is not unix:///path");
    if (id[0] == '\0' || strspn(id, "0123456789abcdef") != strlen(id) ||
        copy_text(boot->routing_id, sizeof(boot->routing_id), id) < 0)
        return fail(why, "has a routing id that is not 1 to 64 hexadecimal digits");
    if (!(orphan > 0 && orphan <= ORPHAN_MAX_SECONDS))
        return fail(why, "has an orphan_timeout that is not a positive number of seconds");
    boot->orphan_ms = (int64_t)(orphan * 1000) + 1;
    return 0;
}

int
boot_parse(const char *text, size_t len, struct boot *boot, const char **why)
{
    json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    memset(boot, 0, sizeof(*boot));
    if (!json_is_object(root))
        return fail(why, "is not a JSON object");
    return take_fields(root, boot, why);
}

/* Bytes of fd up to its end; dies when there are more than size, or no end in time. */
static size_t
read_all(int fd, char *buf, size_t size)
{
    const int64_t deadline = clock_ms() + READ_TIMEOUT_MS;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    for (;;) {
        const int64_t left = deadline - clock_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            die(TCI_EXIT_BOOT, "the boot record did not come to its end in time");
        n = read(fd, buf + len, size - len);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            die(TCI_EXIT_BOOT, "cannot read the boot record: %s", strerror(errno));
        if (n == 0)
            return len;
        if (n > 0 && (len += (size_t)n) == size)
            die(TCI_EXIT_BOOT, "the boot record is too long");
    }
}

void
boot_read(int fd, struct boot *boot)
{
    char text[BOOT_MAX + 1];
    const size_t len = read_all(fd, text, sizeof(text));
    const char *why;

    if (boot_parse(text, len, boot, &why) < 0)
        die(TCI_EXIT_BOOT, "the boot record %s", why);
    explicit_bzero(text, sizeof(text));
}
