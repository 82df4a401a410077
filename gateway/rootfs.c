/*
 * rootfs.c - see rootfs.h.  Everything is compared before it is written and replaced by rename, so that a container
 * never sees half a file and a start on an unchanged host writes nothing.
 */
#include "rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "worker/protocol.h"

enum {
    MAX_FILE = 4 << 20, /* of the host's /etc; ld.so.cache is the largest */
    MAX_DEPTH = 6,
};

/* Mount points, and what programs expect to find.  Sorted, so that parents come first. */
static const char *const directories[] = {
    "/dev",
    "/etc",
    TCI_PATH_SKEL,
    "/etc/ssl",
    "/home",
    TCI_PATH_HOME,
    TCI_PATH_KERNELSPEC,
    "/opt",
    TCI_PATH_PACKAGES,
    TCI_PATH_PACKAGE_DIR,
    "/proc",
    "/root",
    "/run",
    TCI_PATH_KERNEL_DIR,
    "/run/tci",
    TCI_PATH_LINK_DIR, /* for runsc, whose mounts from outside come before its tmpfs */
    TCI_PATH_PROXY_DIR,
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    TCI_PATH_WORKSPACE,
};

static const char *const links[][2] = {
    {"/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"},
    {"/etc/mtab", "/proc/self/mounts"},
    {"/etc/os-release", "../usr/lib/os-release"},
    {"/var/run", "../run"},
    {"/var/tmp", "../tmp"},
};

/* Those of them that the host's root has as links into /usr. */
static const char *const usr_links[] = {"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"};

static const char *const files[][2] = {
    {"/etc/group", "root:x:0:\n"
                   "tty:x:5:\n"
                   "sandbox:x:1000:\n"
                   "nogroup:x:65534:\n"},
    {"/etc/host.conf", "multi on\n"},
    {"/etc/hostname", "sandbox\n"},
    {"/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n"},
    {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"
                           "networks: files\nprotocols: files\nservices: files\n"},
    {"/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"
                    "sandbox:x:1000:1000:sandbox:" TCI_PATH_HOME ":/bin/bash\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"/etc/resolv.conf", ""},
    {"/etc/shells", "/bin/sh\n/bin/bash\n"},
    {"/etc/timezone", "Etc/UTC\n"},
    {TCI_PATH_WORKER, ""}, /* mount points */
    {TCI_PATH_KERNEL, ""},
};

/*
 * Copied from the host where it has them: configuration of interpreters and libraries.  Links that lead to
 * /etc/alternatives are how Debian finds its linear algebra.
 */
static const char *const copies[] = {
    "/etc/ImageMagick-6", "/etc/R",          "/etc/alternatives",    "/etc/debian_version",
    "/etc/fonts",         "/etc/gai.conf",   "/etc/java-17-openjdk", "/etc/julia",
    "/etc/ld.so.cache",   "/etc/ld.so.conf", "/etc/ld.so.conf.d",    "/etc/libblas.so.3",
    "/etc/magic",         "/etc/magic.mime", "/etc/mime.types",      "/etc/octave.conf",
    "/etc/protocols",     "/etc/services",   "/etc/ssl/certs",       "/etc/terminfo",
};

/* --- one entry ------------------------------------------------------------------------------ */

static int
make_directory(const char *path, struct err *err)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return err_sys(err, "make %s", path);
    if (chmod(path, 0755) < 0) /* the umask */
        return err_sys(err, "change the mode of %s", path);
    return 0;
}

/* A new name beside path, to be renamed to it. */
static char *
aside(const char *path)
{
    return xasprintf("%s.new", path);
}

static int
make_link(const char *path, const char *target, struct err *err)
{
    char now[PATH_MAX];
    ssize_t n = readlink(path, now, sizeof(now) - 1);

    if (n >= 0 && (size_t)n == strlen(target) && memcmp(now, target, (size_t)n) == 0)
        return 0;
    cleanup_free char *new = aside(path);
    unlink(new);
    if (symlink(target, new) < 0 || rename(new, path) < 0)
        return err_sys(err, "make the link %s", path);
    return 0;
}

/* NULL with errno set if it is no regular file, or larger than MAX_FILE. */
static char *
read_all(const char *path, size_t *len)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE) {
        errno = EINVAL;
        return NULL;
    }
    char *data = xcalloc(1, (size_t)st.st_size + 1);
    ssize_t n = read(fd, data, (size_t)st.st_size);
    if (n < 0) {
        free(data);
        return NULL;
    }
    *len = (size_t)n;
    return data;
}

static bool
has_content(const char *path, const char *data, size_t len)
{
    size_t now_len = 0;
    cleanup_free char *now = read_all(path, &now_len);

    return now != NULL && now_len == len && memcmp(now, data, len) == 0;
}

static int
make_file(const char *path, const char *data, size_t len, struct err *err)
{
    if (has_content(path, data, len))
        return 0;
    cleanup_free char *new = aside(path);
    unlink(new);
    cleanup_close int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len || fchmod(fd, 0644) < 0 ||
        rename(new, path) < 0)
        return err_sys(err, "write %s", path);
    return 0;
}

/* --- copies of the host's ------------------------------------------------------------------- */

static int copy(const char *from, const char *to, int depth, struct err *err);

static int
copy_directory(const char *from, const char *to, int depth, struct err *err)
{
    DIR *dir = opendir(from);
    struct dirent *entry;
    int rc = make_directory(to, err);

    if (dir == NULL)
        return rc; /* it has just been removed */
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        cleanup_free char *source = xasprintf("%s/%s", from, entry->d_name);
        cleanup_free char *target = xasprintf("%s/%s", to, entry->d_name);

        if (entry->d_name[0] != '.')
            rc = copy(source, target, depth + 1, err);
    }
    closedir(dir);
    return rc;
}

static int
copy_link(const char *from, const char *to, struct err *err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof(target) - 1);

    if (n < 0)
        return 0;
    target[n] = '\0';
    return make_link(to, target, err);
}

static int
copy_file(const char *from, const char *to, struct err *err)
{
    size_t len = 0;
    cleanup_free char *data = read_all(from, &len);

    return data == NULL ? 0 : make_file(to, data, len, err);
}

/* What not everybody on the host may read stays there; what is not there, or of another kind, is left out. */
static int
copy(const char *from, const char *to, int depth, struct err *err)
{
    struct stat st;

    if (depth > MAX_DEPTH || lstat(from, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode))
        return copy_link(from, to, err);
    if (S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH))
        return copy_directory(from, to, depth, err);
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
        return copy_file(from, to, err);
    return 0;
}

/* --- fonts ---------------------------------------------------------------------------------- */

/*
 * matplotlib takes glyphs from the first family of font.family that has them, and warns of families that it does not
 * find: only those that are there are named.  The families are those that matplotlib sees, the first of each file.
 */
static const char *const wide_fonts[][2] = {
    {"WenQuanYi Micro Hei", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"},
    {"Noto Sans CJK JP", "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"},
    {"WenQuanYi Zen Hei", "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"},
    {"Droid Sans Fallback", "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"},
};

static int
make_matplotlibrc(const char *path, struct err *err)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "font.family: DejaVu Sans");

    for (size_t i = 0; i < sizeof(wide_fonts) / sizeof(*wide_fonts); i++) {
        if (access(wide_fonts[i][1], R_OK) == 0)
            n += snprintf(text + n, sizeof(text) - (size_t)n, ", %s", wide_fonts[i][0]);
    }
    n += snprintf(text + n, sizeof(text) - (size_t)n, "\n");
    return make_file(path, text, (size_t)n, err);
}

/* --- all of it ------------------------------------------------------------------------------ */

#define N_ELEMENTS(array) (sizeof(array) / sizeof(*(array)))

static int
make_directories(const char *root, struct err *err)
{
    if (make_directory(root, err) < 0)
        return -1;
    for (size_t i = 0; i < N_ELEMENTS(directories); i++) {
        cleanup_free char *path = xasprintf("%s%s", root, directories[i]);

        if (make_directory(path, err) < 0)
            return -1;
    }
    return 0;
}

static int
make_links(const char *root, struct err *err)
{
    for (size_t i = 0; i < N_ELEMENTS(links); i++) {
        cleanup_free char *path = xasprintf("%s%s", root, links[i][0]);

        if (make_link(path, links[i][1], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < N_ELEMENTS(usr_links); i++) {
        cleanup_free char *path = xasprintf("%s%s", root, usr_links[i]);

        if (copy_link(usr_links[i], path, err) < 0)
            return -1;
    }
    return 0;
}

static int
make_files(const char *root, struct err *err)
{
    cleanup_free char *matplotlibrc = xasprintf("%s/etc/matplotlibrc", root);

    for (size_t i = 0; i < N_ELEMENTS(copies); i++) {
        cleanup_free char *path = xasprintf("%s%s", root, copies[i]);

        if (copy(copies[i], path, 0, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < N_ELEMENTS(files); i++) {
        cleanup_free char *path = xasprintf("%s%s", root, files[i][0]);

        if (make_file(path, files[i][1], strlen(files[i][1]), err) < 0)
            return -1;
    }
    return make_matplotlibrc(matplotlibrc, err);
}

int
rootfs_make(const char *dir, struct err *err)
{
    if (make_directories(dir, err) < 0 || make_links(dir, err) < 0)
        return -1;
    return make_files(dir, err);
}
