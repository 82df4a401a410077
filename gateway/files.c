#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int
own_directory(char dir[PATH_MAX], struct err *err)
{
    ssize_t len = readlink("/proc/self/exe", dir, PATH_MAX - 1);

    if (len < 0)
        return err_sys(err, "cannot read /proc/self/exe");
    dir[len] = '\0';
    *strrchr(dir, '/') = '\0';
    return 0;
}

static int
check(const char *path, const char *what, struct err *err)
{
    if (access(path, R_OK) < 0)
        return err_sys(err, "%s is not at %s", what, path);
    return 0;
}

/* Only the very tree this program was built in is trusted; elsewhere what is installed counts. */
int
files_find(struct files *out, struct err *err)
{
    char dir[PATH_MAX];
    bool in_tree;

    memset(out, 0, sizeof(*out));
    if (own_directory(dir, err) < 0)
        return -1;
    in_tree = strcmp(dir, TCI_BUILD_TREE "/gateway") == 0;
    out->worker =
        xstrdup(in_tree ? TCI_BUILD_TREE "/worker/tci-worker" : TCI_LIBEXECDIR "/tci-worker");
    out->kernel =
        xstrdup(in_tree ? TCI_BUILD_TREE "/kernel/tci-kernel" : TCI_LIBEXECDIR "/tci-kernel");
    out->proxy = xstrdup(in_tree ? TCI_BUILD_TREE "/proxy/tci-proxy" : TCI_LIBEXECDIR "/tci-proxy");
    out->kernelspecs =
        xstrdup(in_tree ? TCI_SOURCE_TREE "/kernelspecs" : TCI_DATADIR "/kernelspecs");
    out->web = xstrdup(in_tree ? TCI_SOURCE_TREE "/web" : TCI_DATADIR "/web");
    out->scan_rules =
        xstrdup(in_tree ? TCI_SOURCE_TREE "/gateway/scan.rules" : TCI_DATADIR "/scan.rules");
    if (check(out->worker, "the worker program", err) == 0 &&
        check(out->kernel, "the kernel program", err) == 0 &&
        check(out->proxy, "the proxy program", err) == 0 &&
        check(out->kernelspecs, "the directory of kernelspecs", err) == 0 &&
        check(out->web, "the directory of pages", err) == 0 &&
        check(out->scan_rules, "the scan's rules", err) == 0)
        return 0;
    files_clear(out);
    return -1;
}

void
files_clear(struct files *files)
{
    free(files->worker);
    free(files->kernel);
    free(files->proxy);
    free(files->kernelspecs);
    free(files->web);
    free(files->scan_rules);
    memset(files, 0, sizeof(*files));
}

int
files_make_dir(const char *path, unsigned mode, struct err *err)
{
    cleanup_free char *copy = xstrdup(path);

    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_sys(err, "cannot make the directory %s", copy);
        *p = c;
        if (c == '\0')
            return 0;
    }
}

static int
write_all(const char *path, unsigned mode, const char *text, struct err *err)
{
    size_t len = strlen(text);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        return err_sys(err, "cannot make %s", path);
    if (fchmod(fd, mode) < 0 || write(fd, text, len) != (ssize_t)len)
        return err_sys(err, "cannot write %s", path);
    return 0;
}

int
files_write(const char *path, unsigned mode, const char *text, struct err *err)
{
    cleanup_free char *aside = xasprintf("%s.new", path);

    if (unlink(aside) < 0 && errno != ENOENT)
        return err_sys(err, "cannot remove %s", aside);
    if (write_all(aside, mode, text, err) < 0)
        return -1;
    if (rename(aside, path) < 0)
        return err_sys(err, "cannot rename %s", aside);
    return 0;
}
