#include "kernels.h"

#include <dirent.h>
#include <stdio.h>
#include <strings.h>
#include <utlist.h>

#include "child.h"
#include "files.h"
#include "log.h"

enum {
    MAX_KINDS = 200,
    PREPARE_LIMIT_MS = 300000, /* fonts are indexed by then, also on a slow disk */
};

struct kernels {
    struct event_base *base;
    char *own_dir, *state_dir;
    struct kernel_kind *kinds, *standard; /* standard: also when it is none of kinds any more */
    unsigned n_kinds;
    kernels_prepared_fn *prepared;
    void *owner;
};

/* --- one ---------------------------------------------------------------------------------- */

struct kernel_kind *
kernel_kind_ref(struct kernel_kind *kind)
{
    kind->refs++;
    return kind;
}

int
kernel_kind_check(const struct kernel_kind *kind, struct err *err)
{
    if (kind->spec.name)
        return 0;
    return err_field(err, ERR_UNSUPPORTED, "kernel", "kernel: %s cannot be used: %.300s",
                     kind->name, kind->why_not);
}

static void
stop_preparing(struct kernel_kind *kind)
{
    if (kind->child)
        child_cancel(kind->child);
    kind->child = NULL;
}

void
kernel_kind_unref(struct kernel_kind *kind)
{
    if (kind == NULL || --kind->refs > 0)
        return;
    stop_preparing(kind);
    kernelspec_clear(&kind->spec);
    free(kind->name);
    free(kind->why_not);
    free(kind->skel_dir);
    free(kind);
}

/* NULL: there is no such kernelspec in the directory. */
static struct kernel_kind *
kind_load(struct kernels *kernels, const char *dir, const char *name)
{
    struct kernel_kind *kind = xcalloc(1, sizeof(*kind));
    struct err err = ERR_INIT;
    bool missing = false;

    kind->refs = 1;
    kind->kernels = kernels;
    kind->name = xstrdup(name);
    kind->skel_dir = xasprintf("%s/skel/%s", kernels->state_dir, name);
    if (kernelspec_load(dir, name, &kind->spec, &missing, &err) < 0 ||
        kernelspec_check(&kind->spec, &err) < 0 || files_make_dir(kind->skel_dir, 0755, &err) < 0)
        kind->why_not = xstrdup(err.msg);
    if (!missing)
        return kind;
    kernel_kind_unref(kind);
    return NULL;
}

/* --- preparation -------------------------------------------------------------------------- */

static void
on_prepared(void *owner, bool ok, const char *why)
{
    struct kernel_kind *kind = owner;
    const struct kernels *kernels = kind->kernels;

    kind->child = NULL;
    kind->preparation = KERNEL_PREPARED;
    if (!ok)
        log_error("kernelspec %s: preparation failed, first plots will be slow: %s", kind->name,
                  why);
    if (kernels && kernels->prepared)
        kernels->prepared(kernels->owner);
}

static struct child *
spawn_prepare(struct kernel_kind *kind, struct err *err)
{
    size_t n = json_array_size(kind->spec.prepare);
    const char **argv = xcalloc(n + 1, sizeof(*argv));
    /* Nothing of ours: the environment may hold the token. */
    static const char *const env[] = {"LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    const struct child_spec spec = {
        .argv = argv, .env = env, .stdin_fd = -1, .output_fd = -1, .timeout_ms = PREPARE_LIMIT_MS};
    struct child *child;

    for (size_t i = 0; i < n; i++) {
        const char *arg = json_string_value(json_array_get(kind->spec.prepare, i));

        argv[i] = strcmp(arg, "{skel_dir}") == 0 ? kind->skel_dir : arg;
    }
    child = child_spawn(kind->kernels->base, &spec, on_prepared, kind, err);
    free(argv);
    return child;
}

bool
kernel_kind_is_prepared(struct kernel_kind *kind)
{
    struct err err = ERR_INIT;

    if (kind->preparation != KERNEL_UNPREPARED)
        return kind->preparation == KERNEL_PREPARED;
    kind->preparation = KERNEL_PREPARED;
    if (kind->spec.prepare == NULL || kind->kernels == NULL)
        return true;
    kind->child = spawn_prepare(kind, &err);
    if (kind->child)
        kind->preparation = KERNEL_PREPARING;
    else
        log_error("kernelspec %s: %s", kind->name, err.msg);
    return kind->child == NULL;
}

/* --- all of them -------------------------------------------------------------------------- */

static int
compare(const struct kernel_kind *a, const struct kernel_kind *b)
{
    return strcmp(a->name, b->name);
}

static struct kernel_kind *
find(struct kernel_kind *kinds, const char *name)
{
    struct kernel_kind *kind;

    DL_FOREACH (kinds, kind)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}

/* The kernelspecs of one directory that no directory before had. */
static void
read_dir(struct kernels *kernels, const char *path, struct kernel_kind **kinds, unsigned *n)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    struct kernel_kind *kind;

    while (dir && (entry = readdir(dir)) != NULL && *n < MAX_KINDS) {
        if (find(*kinds, entry->d_name) || (kind = kind_load(kernels, path, entry->d_name)) == NULL)
            continue;
        DL_APPEND(*kinds, kind);
        ++*n;
    }
    if (dir)
        closedir(dir);
}

static struct kernel_kind *
read_all(struct kernels *kernels, unsigned *n)
{
    const char *dirs[KERNELSPEC_DIRS + 1];
    struct kernel_kind *kinds = NULL;

    *n = 0;
    kernelspec_dirs(kernels->own_dir, dirs);
    for (size_t i = 0; dirs[i]; i++)
        read_dir(kernels, dirs[i], &kinds, n);
    if (*n == MAX_KINDS)
        log_warn("kernelspecs: there are more than %d, the rest is not looked at", MAX_KINDS);
    /* cppcheck-suppress nullPointer ; the macro looks */
    DL_SORT(kinds, compare);
    return kinds;
}

static bool
is_same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool
is_same_json(const json_t *a, const json_t *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || json_equal(a, b));
}

static bool
is_same_portion(const struct portion *a, const struct portion *b)
{
    return a->cpu == b->cpu && a->memory_mb == b->memory_mb && a->disk_mb == b->disk_mb &&
           a->pids == b->pids;
}

static bool
is_same(const struct kernel_kind *a, const struct kernel_kind *b)
{
    const struct kernelspec *s = &a->spec, *t = &b->spec;

    return is_same_text(a->why_not, b->why_not) && is_same_text(s->dir, t->dir) &&
           is_same_text(s->display_name, t->display_name) &&
           is_same_text(s->language, t->language) && is_same_json(s->argv, t->argv) &&
           is_same_json(s->env, t->env) && is_same_json(s->prepare, t->prepare) &&
           is_same_json(s->warmup, t->warmup) && is_same_json(s->package, t->package) &&
           is_same_json(s->needs, t->needs) && is_same_json(s->packages, t->packages) &&
           s->warm == t->warm && s->interrupt_message == t->interrupt_message &&
           s->flow_control == t->flow_control && is_same_portion(&s->limits, &t->limits);
}

static void
tell(const struct kernel_kind *kind)
{
    if (kind->why_not)
        log_info("kernelspec %s: cannot be used: %s", kind->name, kind->why_not);
}

static void
drop(struct kernels *kernels, struct kernel_kind *kind)
{
    DL_DELETE(kernels->kinds, kind);
    kind->kernels = NULL;
    stop_preparing(kind);
    kind->preparation = KERNEL_PREPARED; /* as well as it is now */
    kernel_kind_unref(kind);
}

/* What has not changed keeps its place in the new list. */
static struct kernel_kind *
merge(struct kernels *kernels, struct kernel_kind *fresh)
{
    struct kernel_kind *merged = NULL, *kind, *next;

    DL_FOREACH_SAFE (fresh, kind, next) {
        struct kernel_kind *old = find(kernels->kinds, kind->name);

        DL_DELETE(fresh, kind);
        if (old && is_same(old, kind)) {
            kernel_kind_unref(kind);
            DL_DELETE(kernels->kinds, old);
            kind = old;
        } else {
            tell(kind);
        }
        DL_APPEND(merged, kind);
    }
    return merged;
}

/* The standard one stays as it was, if what there is now cannot be used. */
static void
keep_standard(struct kernels *kernels)
{
    struct kernel_kind *now = find(kernels->kinds, kernels->standard->name);

    if (now == kernels->standard)
        return;
    if (now == NULL || now->spec.name == NULL) {
        log_error("kernelspec %s: %s; it stays as it was", kernels->standard->name,
                  now ? now->why_not : "it is not there any more");
        return;
    }
    kernel_kind_unref(kernels->standard);
    kernels->standard = kernel_kind_ref(now);
}

void
kernels_reload(struct kernels *kernels)
{
    struct kernel_kind *fresh = read_all(kernels, &kernels->n_kinds);
    struct kernel_kind *merged = merge(kernels, fresh);

    while (kernels->kinds)
        drop(kernels, kernels->kinds);
    kernels->kinds = merged;
    keep_standard(kernels);
}

/* Also says why, where its file is there. */
static int
find_standard(struct kernels *kernels, const char *name, struct err *err)
{
    struct kernel_kind *kind = find(kernels->kinds, name);
    struct kernelspec spec;

    if (kind == NULL || kind->spec.name == NULL) { /* the same error, in full */
        if (kernelspec_find(kernels->own_dir, name, &spec, err) < 0)
            return -1;
        kernelspec_clear(&spec);
        return err_field(err, ERR_CONFIG, "kernel", "the kernelspec %s cannot be read", name);
    }
    if (kind->why_not) /* it may be installed while we run */
        log_error("kernelspec %s: %s", name, kind->why_not);
    kernels->standard = kernel_kind_ref(kind);
    return 0;
}

struct kernels *
kernels_new(struct event_base *base, const char *own_dir, const char *state_dir,
            const char *standard, struct err *err)
{
    struct kernels *kernels = xcalloc(1, sizeof(*kernels));
    const struct kernel_kind *kind;

    kernels->base = base;
    kernels->own_dir = xstrdup(own_dir);
    kernels->state_dir = xstrdup(state_dir);
    kernels->kinds = read_all(kernels, &kernels->n_kinds);
    if (find_standard(kernels, standard, err) < 0) {
        kernels_free(kernels);
        return NULL;
    }
    DL_FOREACH (kernels->kinds, kind)
        tell(kind);
    return kernels;
}

void
kernels_free(struct kernels *kernels)
{
    if (kernels == NULL)
        return;
    while (kernels->kinds)
        drop(kernels, kernels->kinds);
    kernel_kind_unref(kernels->standard);
    free(kernels->own_dir);
    free(kernels->state_dir);
    free(kernels);
}

void
kernels_on_prepared(struct kernels *kernels, kernels_prepared_fn *fn, void *owner)
{
    kernels->prepared = fn;
    kernels->owner = owner;
}

struct kernel_kind *
kernels_standard(const struct kernels *kernels)
{
    return kernels->standard;
}

struct kernel_kind *
kernels_first(const struct kernels *kernels)
{
    return kernels->kinds;
}

struct kernel_kind *
kernels_find(const struct kernels *kernels, const char *name)
{
    if (strcmp(kernels->standard->name, name) == 0)
        return kernels->standard;
    return find(kernels->kinds, name);
}

static bool
speaks(const struct kernel_kind *kind, const char *language)
{
    return kind->spec.language && strcasecmp(kind->spec.language, language) == 0;
}

struct kernel_kind *
kernels_for_language(const struct kernels *kernels, const char *language)
{
    struct kernel_kind *kind, *able = NULL, *broken = NULL;

    if (speaks(kernels->standard, language))
        return kernels->standard;
    DL_FOREACH (kernels->kinds, kind) {
        if (!speaks(kind, language))
            continue;
        if (kind->why_not == NULL && strcasecmp(kind->name, language) == 0)
            return kind;
        if (kind->why_not == NULL && able == NULL)
            able = kind;
        if (broken == NULL)
            broken = kind;
    }
    if (able)
        return able;
    return broken ? broken : find(kernels->kinds, language);
}
