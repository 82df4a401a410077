/* kernelspec.c - see kernelspec.h.  The file is the operator's, but it is read as if it were
 * anybody's. */
#include "kernelspec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "packagetool.h"
#include "worker/protocol.h"

#define MAX_FILE 65536 /* bytes of a kernel.json; bounds everything that is in it */
#define MAX_NAME 64
#define MAX_ARGS 64
#define MAX_VARIABLES 128
#define MAX_WARM 1000
#define MAX_LIMIT 16777216
#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static const char *const system_dirs[] = {"/usr/local/share/jupyter/kernels",
                                          "/usr/share/jupyter/kernels"};

/* What every program expects; the spec's own variables go over these. */
static const char *const base_env[][2] = {
    {"HOME", TCI_PATH_HOME}, {"LANG", "C.UTF-8"},
    {"LOGNAME", "sandbox"},  {"PATH", "/usr/local/bin:/usr/bin:/bin"},
    {"SHELL", "/bin/sh"},    {"USER", "sandbox"},
};

struct file { /* what the messages need to know about where something is wrong */
    const char *path;
    struct err *err;
};

static bool
is_name(const char *s)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && strchr("._-", s[i]) == NULL)
            return false;
    return len >= 1 && len <= MAX_NAME && s[0] != '.';
}

static int
bad_key(const struct file *f, const char *key, const char *wanted)
{
    return err_field(f->err, ERR_CONFIG, "kernel", "%.250s: %s: %s", f->path, key, wanted);
}

/* ---- reading ---- */

/* The whole file as a string.  *missing: there is none. */
static char *
read_file(const struct file *f, bool *missing)
{
    cleanup_close int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    cleanup_free char *text = NULL;
    struct stat st;
    ssize_t n = 1;
    size_t len = 0;

    *missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_sys(f->err, "open %.250s", f->path);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        err_field(f->err, ERR_CONFIG, "kernel", "%.250s is not a regular file", f->path);
        return NULL;
    }
    text = xcalloc(1, MAX_FILE + 1);
    while (n > 0 && len < MAX_FILE) {
        n = read(fd, text + len, MAX_FILE - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0) {
        err_sys(f->err, "read %.250s", f->path);
        return NULL;
    }
    if (len == MAX_FILE) {
        err_field(f->err, ERR_CONFIG, "kernel", "%.250s has more than %d bytes", f->path,
                  MAX_FILE - 1);
        return NULL;
    }
    return mem_steal(&text);
}

static json_t *
parse(const struct file *f, const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL)
        err_field(f->err, ERR_CONFIG, "kernel", "%.250s:%d: %.100s", f->path, error.line,
                  error.text);
    else if (!json_is_object(root))
        err_field(f->err, ERR_CONFIG, "kernel", "%.250s: must be a JSON object", f->path);
    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

/* ---- taking it apart ---- */

/* A new string in which each `what` of s has become `with`. */
static char *
replace(const char *s, const char *what, const char *with)
{
    char *out = xcalloc(1, 1), *next;

    for (const char *hit; (hit = strstr(s, what)) != NULL; s = hit + strlen(what)) {
        next = xasprintf("%s%.*s%s", out, (int)(hit - s), s, with);
        free(out);
        out = next;
    }
    next = xasprintf("%s%s", out, s);
    free(out);
    return next;
}

static bool
is_string_array(const json_t *array)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(array) || json_array_size(array) == 0 || json_array_size(array) > MAX_ARGS)
        return false;
    json_array_foreach (array, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

/* A copy of an array of strings with {resource_dir} replaced. */
static json_t *
with_resource_dir(const json_t *array, const char *dir)
{
    json_t *out = xnotnull(json_array()), *item;
    size_t i;

    json_array_foreach (array, i, item) {
        cleanup_free char *s = replace(json_string_value(item), "{resource_dir}", dir);

        if (json_array_append_new(out, json_string(s)) < 0)
            abort();
    }
    return out;
}

static bool
mentions(const json_t *array, const char *what)
{
    const json_t *item;
    size_t i;

    json_array_foreach (array, i, item)
        if (strstr(json_string_value(item), what) != NULL)
            return true;
    return false;
}

static int
take_argv(const struct file *f, const json_t *root, struct kernelspec *ks)
{
    const json_t *argv = json_object_get(root, "argv");

    if (!is_string_array(argv) || json_string_length(json_array_get(argv, 0)) == 0)
        return bad_key(f, "argv", "must be an array of 1 to 64 strings, the program first");
    if (!mentions(argv, "{connection_file}"))
        return bad_key(f, "argv", "must have {connection_file} in one of its strings");
    ks->argv = with_resource_dir(argv, TCI_PATH_KERNELSPEC);
    return 0;
}

static json_t *
new_base_env(void)
{
    json_t *env = xnotnull(json_object());

    for (size_t i = 0; i < sizeof(base_env) / sizeof(base_env[0]); i++)
        if (json_object_set_new(env, base_env[i][0], json_string(base_env[i][1])) < 0)
            abort();
    return env;
}

static int
take_env(const struct file *f, const json_t *root, struct kernelspec *ks)
{
    json_t *env = json_object_get(root, "env"), *value;
    const char *name;

    ks->env = new_base_env();
    if (env == NULL)
        return 0;
    if (!json_is_object(env) || json_object_size(env) > MAX_VARIABLES)
        return bad_key(f, "env", "must be an object of at most 128 strings");
    json_object_foreach (env, name, value)
        if (!json_is_string(value) || name[0] == '\0' || strchr(name, '=') != NULL)
            return bad_key(f, "env", "must have variable names as keys and strings as values");
    if (json_object_update(ks->env, env) < 0)
        abort();
    return 0;
}

static int
take_string(const struct file *f, const json_t *root, const char *key, const char *standard,
            char **out)
{
    const json_t *value = json_object_get(root, key);

    if (value != NULL && !json_is_string(value))
        return bad_key(f, key, "must be a string");
    *out = xstrdup(value == NULL ? standard : json_string_value(value));
    return 0;
}

static int
take_interrupt_mode(const struct file *f, const json_t *root, struct kernelspec *ks)
{
    cleanup_free char *mode = NULL;

    if (take_string(f, root, "interrupt_mode", "signal", &mode) < 0 || mode == NULL)
        return -1;
    ks->interrupt_message = strcmp(mode, "message") == 0;
    if (!ks->interrupt_message && strcmp(mode, "signal") != 0)
        return bad_key(f, "interrupt_mode", "must be \"signal\" or \"message\"");
    return 0;
}

/* Our own part of metadata; whatever else is in there belongs to others. */
static int
take_extensions(const struct file *f, const json_t *root, struct kernelspec *ks)
{
    const json_t *tci = json_object_get(json_object_get(root, "metadata"), "tci");
    const json_t *prepare = json_object_get(tci, "prepare");
    const json_t *flow_control = json_object_get(tci, "flow_control");
    json_t *warmup = json_object_get(tci, "warmup");

    if (tci != NULL && !json_is_object(tci))
        return bad_key(f, "metadata.tci", "must be an object");
    if (prepare != NULL && !is_string_array(prepare))
        return bad_key(f, "metadata.tci.prepare", "must be an array of 1 to 64 strings");
    if (warmup != NULL && !is_string_array(warmup))
        return bad_key(f, "metadata.tci.warmup", "must be an array of 1 to 64 strings");
    if (flow_control != NULL && !json_is_boolean(flow_control))
        return bad_key(f, "metadata.tci.flow_control", "must be true or false");
    ks->flow_control = json_is_true(flow_control);
    ks->prepare = prepare == NULL ? NULL : with_resource_dir(prepare, ks->dir);
    ks->warmup = json_incref(warmup);
    return 0;
}

static bool
is_portion(const json_t *limits)
{
    static const char *const names[] = {"cpu", "disk_mb", "memory_mb", "pids"};
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)limits, name, value) {
        size_t i = 0;

        while (i < N_ELEMENTS(names) && strcmp(name, names[i]) != 0)
            i++;
        if (i == N_ELEMENTS(names) || !json_is_number(value) || json_number_value(value) <= 0 ||
            json_number_value(value) > MAX_LIMIT || (i > 0 && !json_is_integer(value)))
            return false;
    }
    return json_is_object(limits);
}

static unsigned
whole(const json_t *object, const char *key)
{
    return (unsigned)json_integer_value(json_object_get(object, key));
}

static int
take_limits(const struct file *f, const json_t *tci, struct kernelspec *ks)
{
    const json_t *limits = json_object_get(tci, "limits");

    if (limits == NULL)
        return 0;
    if (!is_portion(limits))
        return bad_key(f, "metadata.tci.limits",
                       "must be an object of cpu, disk_mb, memory_mb and pids, numbers over 0");
    ks->limits.cpu = json_number_value(json_object_get(limits, "cpu"));
    ks->limits.disk_mb = whole(limits, "disk_mb");
    ks->limits.memory_mb = whole(limits, "memory_mb");
    ks->limits.pids = whole(limits, "pids");
    return 0;
}

static int
take_packages(const struct file *f, const json_t *tci, struct kernelspec *ks)
{
    json_t *packages = json_object_get(tci, "packages");
    const char *wrong = packages ? packagetool_check(packages) : NULL;

    if (wrong)
        return bad_key(f, "metadata.tci.packages", wrong);
    if (packages == NULL)
        return 0;
    ks->packages = xnotnull(json_copy(packages));
    json_object_set_new(
        ks->packages, "install",
        with_resource_dir(json_object_get(packages, "install"), TCI_PATH_KERNELSPEC));
    return 0;
}

/* What is about having several kernels. */
static int
take_registry(const struct file *f, const json_t *tci, struct kernelspec *ks)
{
    const json_t *warm = json_object_get(tci, "warm");
    json_t *package = json_object_get(tci, "package");
    json_t *needs = json_object_get(tci, "needs");

    if (warm != NULL && (!json_is_integer(warm) || json_integer_value(warm) < 0 ||
                         json_integer_value(warm) > MAX_WARM))
        return bad_key(f, "metadata.tci.warm", "must be a whole number, 0 to 1000");
    if (package != NULL && !json_is_string(package) && !is_string_array(package))
        return bad_key(f, "metadata.tci.package",
                       "must be a string or an array of 1 to 64 strings");
    if (needs != NULL && !is_string_array(needs))
        return bad_key(f, "metadata.tci.needs", "must be an array of 1 to 64 strings");
    ks->warm = (unsigned)json_integer_value(warm);
    ks->package = json_incref(package);
    ks->needs = json_incref(needs);
    return take_limits(f, tci, ks) < 0 ? -1 : take_packages(f, tci, ks);
}

static int
take_all(const struct file *f, const json_t *root, struct kernelspec *ks)
{
    if (take_argv(f, root, ks) < 0 || take_env(f, root, ks) < 0)
        return -1;
    if (take_string(f, root, "display_name", ks->name, &ks->display_name) < 0 ||
        take_string(f, root, "language", "", &ks->language) < 0)
        return -1;
    if (take_interrupt_mode(f, root, ks) < 0 || take_extensions(f, root, ks) < 0)
        return -1;
    return take_registry(f, json_object_get(json_object_get(root, "metadata"), "tci"), ks);
}

/* ---- finding it ---- */

enum found { FOUND, MISSING, UNUSABLE };

static enum found
try_dir(const char *parent, const char *name, struct kernelspec *ks, struct err *err)
{
    cleanup_free char *path = xasprintf("%s/%s/kernel.json", parent, name);
    cleanup_free char *dir = xasprintf("%s/%s", parent, name);
    const struct file f = {path, err};
    bool missing;
    cleanup_free char *text = read_file(&f, &missing);
    json_auto_t *root = NULL;

    if (text == NULL)
        return missing ? MISSING : UNUSABLE;
    ks->name = xstrdup(name);
    ks->dir = realpath(dir, NULL);
    if (ks->dir == NULL) {
        err_sys(err, "resolve %.250s", dir);
        return UNUSABLE;
    }
    root = parse(&f, text);
    return root != NULL && take_all(&f, root, ks) == 0 ? FOUND : UNUSABLE;
}

void
kernelspec_dirs(const char *own_dir, const char *dirs[KERNELSPEC_DIRS + 1])
{
    size_t n = 0;

    if (own_dir != NULL)
        dirs[n++] = own_dir;
    dirs[n++] = system_dirs[0];
    dirs[n++] = system_dirs[1];
    dirs[n] = NULL;
}

int
kernelspec_load(const char *dir, const char *name, struct kernelspec *ks, bool *missing,
                struct err *err)
{
    enum found found = MISSING;

    memset(ks, 0, sizeof(*ks));
    if (is_name(name))
        found = try_dir(dir, name, ks, err);
    *missing = found == MISSING;
    if (found == FOUND)
        return 0;
    kernelspec_clear(ks);
    return -1;
}

/* ---- whether it can run ---- */

static int
lacks(const struct kernelspec *ks, const char *what, struct err *err)
{
    if (ks->package == NULL)
        return err_field(err, ERR_CONFIG, "kernel", "there is no %.150s on this host", what);
    if (json_is_string(ks->package))
        return err_field(err, ERR_CONFIG, "kernel",
                         "there is no %.150s on this host; install the package %.100s", what,
                         json_string_value(ks->package));
    return err_field(err, ERR_CONFIG, "kernel",
                     "there is no %.150s on this host; sh start.sh --with %s installs it", what,
                     ks->name);
}

static bool
is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

/* Where the PATH of kernelspecs that name none goes. */
static bool
is_in_path(const char *name)
{
    static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};

    for (size_t i = 0; i < N_ELEMENTS(dirs); i++) {
        cleanup_free char *path = xasprintf("%s/%s", dirs[i], name);

        if (is_program(path))
            return true;
    }
    return false;
}

static bool
has_program(const struct kernelspec *ks)
{
    const char *name = json_string_value(json_array_get(ks->argv, 0));
    const size_t len = strlen(TCI_PATH_KERNELSPEC);
    cleanup_free char *own = NULL;

    if (strcmp(name, TCI_PATH_KERNEL) == 0)
        return true; /* ours, and in every container */
    if (strchr(name, '/') == NULL)
        return is_in_path(name);
    if (strncmp(name, TCI_PATH_KERNELSPEC, len) != 0 || name[len] != '/')
        return is_program(name);
    own = xasprintf("%s%s", ks->dir, name + len);
    return is_program(own);
}

int
kernelspec_check(const struct kernelspec *ks, struct err *err)
{
    const json_t *path;
    size_t i;

    if (!has_program(ks))
        return lacks(ks, json_string_value(json_array_get(ks->argv, 0)), err);
    json_array_foreach (ks->needs, i, path)
        if (access(json_string_value(path), F_OK) < 0)
            return lacks(ks, json_string_value(path), err);
    return 0;
}

static int
find(const char *own_dir, const char *name, struct kernelspec *ks, struct err *err)
{
    const char *const dirs[] = {own_dir, system_dirs[0], system_dirs[1]};

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        enum found found = dirs[i] == NULL ? MISSING : try_dir(dirs[i], name, ks, err);

        if (found != MISSING)
            return found == FOUND ? 0 : -1;
    }
    return err_field(err, ERR_CONFIG, "kernel",
                     "kernel = \"%s\": there is no %s/kernel.json in %.120s%s%s or %s", name, name,
                     own_dir == NULL ? "" : own_dir, own_dir == NULL ? "" : ", ", system_dirs[0],
                     system_dirs[1]);
}

int
kernelspec_find(const char *own_dir, const char *name, struct kernelspec *ks, struct err *err)
{
    memset(ks, 0, sizeof(*ks));
    if (!is_name(name))
        return err_field(err, ERR_CONFIG, "kernel",
                         "kernel = \"%.80s\" is not usable; allowed: 1 to 64 of A-Z a-z 0-9 . _ -, "
                         "not starting with a dot",
                         name);
    if (find(own_dir, name, ks, err) < 0) {
        kernelspec_clear(ks);
        return -1;
    }
    return 0;
}

void
kernelspec_clear(struct kernelspec *ks)
{
    free(ks->name);
    free(ks->dir);
    free(ks->display_name);
    free(ks->language);
    json_decref(ks->argv);
    json_decref(ks->env);
    json_decref(ks->prepare);
    json_decref(ks->warmup);
    json_decref(ks->package);
    json_decref(ks->needs);
    json_decref(ks->packages);
    memset(ks, 0, sizeof(*ks));
}
