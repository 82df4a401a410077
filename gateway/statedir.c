/* statedir.c - see statedir.h. */
#include "statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sodium.h>

#include "files.h"

enum {
    LOCK_LIMIT_MS = 10000,
    LOCK_RETRY_MS = 20,
    TOKEN_MIN = 16, /* characters */
};

/* --- where it is -------------------------------------------------------------------------- */

static const char *
home(void)
{
    const char *dir = getenv("HOME");
    const struct passwd *user;

    if (dir != NULL && dir[0] == '/')
        return dir;
    user = getpwuid(geteuid());
    return user != NULL ? user->pw_dir : "/nonexistent";
}

char *
statedir_default(void)
{
    const char *xdg = getenv("XDG_STATE_HOME");

    if (geteuid() == 0)
        return xstrdup(STATEDIR_OF_ROOT);
    if (xdg != NULL && xdg[0] == '/')
        return xasprintf("%s/tci", xdg);
    return xasprintf("%s/.local/state/tci", home());
}

char *
statedir_path(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

/* --- whose it is -------------------------------------------------------------------------- */

/* A gateway that was killed may leave a child that does not run its program yet, and has the lock for that long. */
static int
take_lock(int fd)
{
    for (unsigned waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_RETRY_MS) {
        if (errno != EWOULDBLOCK || waited_ms >= LOCK_LIMIT_MS)
            return -1;
        usleep(LOCK_RETRY_MS * 1000);
    }
    return 0;
}

/* 0711: containers' users must be able to walk through to the link, and no further. */
int
statedir_open(const char *dir, struct err *err)
{
    cleanup_free char *path = statedir_path(dir, "lock");
    int fd;

    umask(022); /* the modes below are meant */
    if (files_make_dir(dir, 0711, err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, "cannot open %s", path);
    if (take_lock(fd) == 0)
        return fd;
    close(fd);
    return err_set(err, ERR_CONFIG, "TCI_STATE_DIR: another gateway is running on %s", dir);
}

/* --- the token ---------------------------------------------------------------------------- */

/* *token stays NULL where there is no file. */
static int
read_token(const char *path, char **token, struct err *err)
{
    char text[256] = "";
    FILE *file = fopen(path, "re");
    bool ok;

    if (file == NULL)
        return errno == ENOENT ? 0 : err_sys(err, "cannot open %s", path);
    ok = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    text[strcspn(text, "\r\n")] = '\0';
    if (!ok || strlen(text) < TOKEN_MIN)
        return err_set(err, ERR_CONFIG, "%s holds no token of at least %d characters", path,
                       TOKEN_MIN);
    *token = xstrdup(text);
    sodium_memzero(text, sizeof(text));
    return 0;
}

static char *
make_token(const char *path, struct err *err)
{
    uint8_t random[24];
    char text[2 * sizeof(random) + 2], *token;

    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(text, sizeof(text), random, sizeof(random));
    token = xstrdup(text);
    strcat(text, "\n");
    if (files_write(path, 0600, text, err) < 0) {
        free(token);
        token = NULL;
    }
    sodium_memzero(text, sizeof(text));
    sodium_memzero(random, sizeof(random));
    return token;
}

char *
statedir_token(const char *dir, struct err *err)
{
    cleanup_free char *path = statedir_path(dir, "auth_token");
    char *token = NULL;

    if (read_token(path, &token, err) < 0)
        return NULL;
    return token ? token : make_token(path, err);
}

/* --- what others read --------------------------------------------------------------------- */

int
statedir_publish(const char *dir, const char *url, struct err *err)
{
    cleanup_free char *address_path = statedir_path(dir, "address");
    cleanup_free char *pid_path = statedir_path(dir, "gateway.pid");
    cleanup_free char *address = xasprintf("%s\n", url);
    cleanup_free char *pid = xasprintf("%d\n", (int)getpid());

    if (files_write(pid_path, 0644, pid, err) < 0)
        return -1;
    return files_write(address_path, 0644, address, err);
}

void
statedir_unpublish(const char *dir)
{
    cleanup_free char *address_path = statedir_path(dir, "address");
    cleanup_free char *pid_path = statedir_path(dir, "gateway.pid");

    unlink(address_path);
    unlink(pid_path);
}
