/*
 * rootless.c - see rootless.h.
 *
 * A child makes the namespaces, this process has newuidmap(1) and newgidmap(1) map the ids of them, and the child, root
 * in there now, mounts.  Then this process holds the namespaces open and the child ends.  The gateway itself stays
 * outside: as the owner of the user namespace it has every capability over all that is in it and below, also over the
 * containers of an earlier gateway's, which is what it takes to kill them.
 */
#include "rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "subids.h"

enum {
    ENTER_WORDS = 4,
    MAX_PATHS = 8,
    MAP_WORDS = 2 + 3 * (1 + SUBIDS_MAX_RANGES),
    WORD = 16, /* bytes of a number as text */
};

struct rootless {
    int user_ns, mount_ns;
    unsigned slots;
    gid_t link_gid;
    char *enter[ENTER_WORDS + 1];
};

/* A child that makes the namespaces, and is told when to go on. */
struct maker {
    pid_t pid;
    int tell, hear; /* our ends */
};

/* A path that is to be there in the namespace, and the directory on the way to it that has to be shown in part. */
struct sight {
    const char *path;
    int fd; /* of the path, O_PATH; -1: it need not be held */
    char *closed;
    bool directory;
};

bool
rootless_is_needed(void)
{
    return geteuid() != 0;
}

/* --- in the child --------------------------------------------------------------------------- */

/* The topmost directory above path that not everybody may pass; NULL: there is none. */
static char *
find_closed(const char *path)
{
    struct stat st;

    for (const char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        char *dir = xasprintf("%.*s", (int)(slash - path), path);

        if (stat(dir, &st) == 0 && !(st.st_mode & S_IXOTH))
            return dir;
        free(dir);
    }
    return NULL;
}

/* Takes hold of the path, before the directory that hides it from containers is covered. */
static int
look_at(struct sight *sight, const char *path)
{
    struct stat st;

    *sight = (struct sight){.path = path, .fd = -1, .closed = find_closed(path)};
    if (sight->closed == NULL)
        return 0;
    sight->fd = open(path, O_PATH | O_CLOEXEC);
    if (sight->fd < 0 || fstat(sight->fd, &st) < 0)
        return -1;
    sight->directory = S_ISDIR(st.st_mode);
    return 0;
}

static int
make_way(const struct sight *sight)
{
    char *path = xstrdup(sight->path);
    int fd;

    for (char *slash = path + strlen(sight->closed); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    if (sight->directory)
        return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? -1 : close(fd);
}

static int
show(const struct sight *sight)
{
    cleanup_free char *source = xasprintf("/proc/self/fd/%d", sight->fd);

    if (make_way(sight) < 0)
        return -1;
    return mount(source, sight->path, NULL, MS_BIND | MS_REC, NULL);
}

static bool
is_covered(const struct sight *sights, size_t n, const char *closed)
{
    for (size_t i = 0; i < n; i++) {
        if (sights[i].closed != NULL && strcmp(sights[i].closed, closed) == 0)
            return true;
    }
    return false;
}

/* What fails is named in *step. */
static int
show_paths(const char *const *paths, size_t n, const char **step)
{
    struct sight sights[MAX_PATHS];

    for (size_t i = 0; i < n; i++) {
        *step = paths[i];
        if (look_at(&sights[i], paths[i]) < 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const struct sight *sight = &sights[i];

        *step = sight->path;
        if (sight->closed == NULL)
            continue;
        if (!is_covered(sights, i, sight->closed) &&
            mount("tmpfs", sight->closed, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64k") < 0)
            return -1;
        if (show(sight) < 0)
            return -1;
    }
    return 0;
}

/*
 * The runtime program is told to leave control groups alone, but looks whether it likes them (it does not, where both
 * versions are mounted): it finds none.
 */
static int
hide_cgroups(const char **step)
{
    *step = "/sys/fs/cgroup";
    if (access(*step, F_OK) < 0)
        return 0;
    return mount("tmpfs", *step, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=4k");
}

static void __attribute__((noreturn)) report(int to, const char *step)
{
    const int error = errno;

    dprintf(to, "%s: %s", step, strerror(error));
    _exit(1);
}

static void
wait_for_word(int from)
{
    char word;

    if (read(from, &word, 1) != 1)
        _exit(1); /* the gateway has ended, or given up */
}

/* Says "." for each step done, or what was wrong. */
static void __attribute__((noreturn))
make_namespaces(int hear, int tell, const char *const *paths, size_t n)
{
    const char *step;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        report(tell, "unshare");
    if (write(tell, ".", 1) != 1)
        _exit(1);
    wait_for_word(hear);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        report(tell, "become root of the namespace");
    if (hide_cgroups(&step) < 0 || show_paths(paths, n, &step) < 0)
        report(tell, step);
    if (write(tell, ".", 1) != 1)
        _exit(1);
    wait_for_word(hear);
    _exit(0);
}

/* --- in the gateway ------------------------------------------------------------------------- */

static void
maker_end(struct maker *m)
{
    close(m->tell);
    close(m->hear);
    if (m->pid > 0)
        waitpid(m->pid, NULL, 0);
}

static int
maker_start(struct maker *m, const char *const *paths, size_t n, struct err *err)
{
    int there[2], back[2];

    if (pipe2(there, O_CLOEXEC) < 0)
        return err_sys(err, "make a pipe");
    if (pipe2(back, O_CLOEXEC) < 0) {
        close(there[0]);
        close(there[1]);
        return err_sys(err, "make a pipe");
    }
    m->pid = fork();
    if (m->pid == 0) {
        close(there[1]);
        close(back[0]);
        make_namespaces(there[0], back[1], paths, n);
    }
    m->tell = there[1];
    m->hear = back[0];
    close(there[0]);
    close(back[1]);
    if (m->pid > 0)
        return 0;
    err_sys(err, "fork");
    maker_end(m);
    return -1;
}

/* Waits for the next step; its failure is said behind what. */
static int
maker_hear(const struct maker *m, const char *what, struct err *err)
{
    char text[200];
    ssize_t n = read(m->hear, text, sizeof(text) - 1);

    if (n == 1 && text[0] == '.')
        return 0;
    text[n > 0 ? n : 0] = '\0';
    return err_set(err, ERR_SYSTEM, "%s%s", what, text);
}

static int
maker_go_on(const struct maker *m, struct err *err)
{
    return write(m->tell, ".", 1) == 1 ? 0 : err_sys(err, "speak to a child");
}

/* newuidmap PID 0 OUR-ID 1 1 FIRST COUNT ... */
static int
map_ids(const char *program, pid_t pid, unsigned own, const struct subids *ids, struct err *err)
{
    char words[MAP_WORDS][WORD];
    char *argv[MAP_WORDS + 1];
    unsigned inside = 1;
    size_t n = 0;
    int status;

    snprintf(words[n++], WORD, "%d", (int)pid);
    snprintf(words[n++], WORD, "0");
    snprintf(words[n++], WORD, "%u", own);
    snprintf(words[n++], WORD, "1");
    for (size_t i = 0; i < ids->n; i++) {
        snprintf(words[n++], WORD, "%u", inside);
        snprintf(words[n++], WORD, "%u", ids->ranges[i].first);
        snprintf(words[n++], WORD, "%u", ids->ranges[i].count);
        inside += ids->ranges[i].count;
    }
    argv[0] = (char *)program;
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = words[i];
    argv[n + 1] = NULL;
    errno = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
    if (errno != 0)
        return err_sys(err, "A user who is not root needs the program %s (package uidmap)",
                       program);
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_SYSTEM, "%s did not map the subordinate ids", program);
    return 0;
}

static int
hold(const struct maker *m, const char *kind, struct err *err)
{
    cleanup_free char *path = xasprintf("/proc/%d/ns/%s", (int)m->pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 ? fd : err_sys(err, "open %s", path);
}

static int
direct(struct rootless *r, const struct maker *m, const struct subids *uids,
       const struct subids *gids, struct err *err)
{
    if (maker_hear(m,
                   "A user who is not root needs user namespaces, which this host refuses "
                   "(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                   "kernel.apparmor_restrict_unprivileged_userns): ",
                   err) < 0 ||
        map_ids("newuidmap", m->pid, geteuid(), uids, err) < 0 ||
        map_ids("newgidmap", m->pid, getegid(), gids, err) < 0 || maker_go_on(m, err) < 0 ||
        maker_hear(m, "The containers' namespace cannot be set up: ", err) < 0)
        return -1;
    r->user_ns = hold(m, "user", err);
    r->mount_ns = r->user_ns < 0 ? -1 : hold(m, "mnt", err);
    return r->mount_ns < 0 ? -1 : maker_go_on(m, err);
}

static int
make(struct rootless *r, const char *const *paths, size_t n, const struct subids *uids,
     const struct subids *gids, struct err *err)
{
    struct maker maker = {.pid = -1};
    int rc = maker_start(&maker, paths, n, err);

    if (rc == 0) {
        rc = direct(r, &maker, uids, gids, err);
        maker_end(&maker);
    }
    return rc;
}

static int
find_ids(struct subids *uids, struct subids *gids, struct err *err)
{
    const struct passwd *user = getpwuid(geteuid());
    const char *name = user != NULL ? user->pw_name : "";
    const unsigned needed = rootless_ids_for(1);

    subids_read(uids, "/etc/subuid", name, geteuid());
    subids_read(gids, "/etc/subgid", name, geteuid());
    if (uids->total >= needed && gids->total >= needed)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "User %s has no subordinate ids, and without them code would run as that user. "
                   "Root gives them: usermod --add-subuids 200000-265535 --add-subgids "
                   "200000-265535 %s (ids that /etc/subuid and /etc/subgid give to nobody else)",
                   name, name);
}

static void
make_command(struct rootless *r)
{
    const int pid = (int)getpid();

    r->enter[0] = xstrdup("nsenter");
    r->enter[1] = xasprintf("--user=/proc/%d/fd/%d", pid, r->user_ns);
    r->enter[2] = xasprintf("--mount=/proc/%d/fd/%d", pid, r->mount_ns);
    r->enter[3] = xstrdup("--");
}

struct rootless *
rootless_open(const char *const *paths, size_t n, struct err *err)
{
    struct rootless *r = xcalloc(1, sizeof(*r));
    struct subids uids, gids;

    r->user_ns = r->mount_ns = -1;
    if (find_ids(&uids, &gids, err) < 0 || make(r, paths, n, &uids, &gids, err) < 0) {
        rootless_close(r);
        return NULL;
    }
    const unsigned ids = uids.total < gids.total ? uids.total : gids.total;
    r->slots = (ids - (ROOTLESS_FIRST_ID - 1)) / ROOTLESS_IDS;
    r->link_gid = gids.ranges[0].first;
    make_command(r);
    return r;
}

void
rootless_close(struct rootless *r)
{
    if (r == NULL)
        return;
    if (r->user_ns >= 0)
        close(r->user_ns);
    if (r->mount_ns >= 0)
        close(r->mount_ns);
    for (size_t i = 0; i < ENTER_WORDS; i++)
        free(r->enter[i]);
    free(r);
}

unsigned
rootless_slots(const struct rootless *r)
{
    return r->slots;
}

unsigned
rootless_ids_for(unsigned slots)
{
    return ROOTLESS_FIRST_ID - 1 + slots * ROOTLESS_IDS;
}

gid_t
rootless_link_gid(const struct rootless *r)
{
    return r->link_gid;
}

const char *const *
rootless_enter(const struct rootless *r)
{
    return (const char *const *)r->enter;
}
