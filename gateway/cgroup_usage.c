/* cgroup_usage.c - see cgroup_usage.h. */
#include "cgroup_usage.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_host.h"
#include "smallfile.h"

enum { STAT_SIZE = 8192 }; /* more than memory.stat has */

/* The number behind the name at the beginning of a line; not the first one. */
static uint64_t
stat_number(const char *text, const char *name)
{
    cleanup_free char *word = xasprintf("\n%s ", name);
    const char *line = strstr(text, word);

    return line == NULL ? 0 : strtoull(line + strlen(word), NULL, 10);
}

/* A file of the memory controller, which there must be; free it. */
static char *
memory_path(const struct cgroup_host *host, const char *id, const char *v1, const char *v2)
{
    cleanup_free char *dir = cgroup_dir(host, host->memory, id);

    return xasprintf("%s/%s", dir, host->v2 ? v2 : v1);
}

/* Linux before 5.19 has none in version 2. */
static char *
peak_path(const struct cgroup_host *host, const char *id)
{
    return memory_path(host, id, "memory.max_usage_in_bytes", "memory.peak");
}

static uint64_t
file_number(const char *path)
{
    char text[32];

    smallfile_read(path, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

uint64_t
cgroup_memory_used(const struct cgroup_host *host, const char *id)
{
    if (host->memory == NULL)
        return 0;
    cleanup_free char *path = memory_path(host, id, "memory.usage_in_bytes", "memory.current");

    return file_number(path);
}

/* Files in a container's own file systems are memory, and count as anonymous. */
struct cgroup_memory
cgroup_memory(const struct cgroup_host *host, const char *id)
{
    struct cgroup_memory m = {.used = cgroup_memory_used(host, id)};
    char text[STAT_SIZE];

    if (host->memory == NULL)
        return m;
    cleanup_free char *path = memory_path(host, id, "memory.stat", "memory.stat");
    smallfile_read(path, text, sizeof(text));
    m.cache = stat_number(text, "inactive_file") + stat_number(text, "active_file");
    if (m.cache > m.used)
        m.cache = m.used;
    return m;
}

static double
cpu_seconds(const struct cgroup_host *host, const char *id)
{
    const char *hierarchy = host->v2 ? host->root : cgroup_controller(host, "cpuacct");
    char text[STAT_SIZE];

    if (hierarchy == NULL)
        return 0;
    cleanup_free char *dir = cgroup_dir(host, hierarchy, id);
    cleanup_free char *path = xasprintf("%s/%s", dir, host->v2 ? "cpu.stat" : "cpuacct.usage");

    smallfile_read(path, text, sizeof(text));
    if (!host->v2)
        return (double)strtoull(text, NULL, 10) / 1e9;
    return strncmp(text, "usage_usec ", 11) == 0 ? (double)strtoull(text + 11, NULL, 10) / 1e6 : 0;
}

struct consumption
cgroup_usage(const struct cgroup_host *host, const char *id)
{
    struct consumption usage = {.memory = cgroup_memory_used(host, id)};

    if (host->memory == NULL)
        return usage;
    cleanup_free char *path = peak_path(host, id);

    usage.memory_peak = file_number(path);
    usage.cpu_seconds = cpu_seconds(host, id);
    return usage;
}

/* --- the peak of a while -------------------------------------------------------------------- */

static unsigned long long
read_number(int fd)
{
    char text[32];
    const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return strtoull(text, NULL, 10);
}

static int
open_peak(const struct cgroup_host *host, const char *id)
{
    if (host->memory == NULL)
        return -1;
    cleanup_free char *path = peak_path(host, id);

    return open(path, O_RDWR | O_CLOEXEC);
}

/*
 * Version 1 begins the count anew for everybody who looks, version 2 (from Linux 6.12 on; before, the file cannot be written)
 * for this descriptor only.
 */
void
cgroup_peak_watch(const struct cgroup_host *host, const char *id, struct cgroup_peak *p)
{
    unsigned long long before;

    if (p->fd < 0)
        p->fd = open_peak(host, id);
    if (p->fd < 0)
        return;
    before = read_number(p->fd);
    if (pwrite(p->fd, "0", 1, 0) < 0) {
        cgroup_peak_clear(p);
        return;
    }
    p->watched = true;
    if (!host->v2 && before > p->forgotten)
        p->forgotten = before;
}

unsigned long long
cgroup_peak_take(struct cgroup_peak *p)
{
    const unsigned long long peak = p->watched ? read_number(p->fd) : 0;

    p->watched = false;
    return peak;
}

void
cgroup_peak_clear(struct cgroup_peak *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->watched = false;
}
