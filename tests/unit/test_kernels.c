/* test_kernels.c - the kernelspecs that there are: found, the broken ones with why, prepared, found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <event2/event.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/kernels.h"
#include "gateway/log.h"
#include "tests/unit/scratch.h"

static char top[SCRATCH_PATH];
static struct event_base *base;
static struct kernels *kernels;

static void
write_spec(const char *name, const char *text)
{
    cleanup_free char *dir = xasprintf("%s/specs/%s", top, name);
    cleanup_free char *path = xasprintf("%s/kernel.json", dir);
    FILE *f;

    mkdir(dir, 0755);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void
remove_spec(const char *name)
{
    cleanup_free char *path = xasprintf("%s/specs/%s/kernel.json", top, name);

    assert_int_equal(unlink(path), 0);
}

#define SPEC(program, language, more)                                                              \
    "{\"argv\": [\"" program "\", \"{connection_file}\"], \"language\": \"" language               \
    "\", \"metadata\": {\"tci\": {" more "}}}"

#define PACKAGES                                                                                   \
    "{\"install\": [\"/bin/sh\", \"{target}\", \"{sources}\", \"{packages}\"],"                    \
    " \"dir\": \"d\", \"from_dir\": [\"{dir}\"]}"

static int
set_up(void **state)
{
    cleanup_free char *specs = NULL;
    struct err err = ERR_INIT;

    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (scratch_make(top) < 0)
        return -1;
    specs = xasprintf("%s/specs", top);
    mkdir(specs, 0755);
    write_spec("zz-plain", SPEC("/bin/sh", "zz", ""));
    base = event_base_new();
    kernels = kernels_new(base, specs, top, "zz-plain", &err);
    return kernels ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    kernels_free(kernels);
    event_base_free(base);
    return scratch_remove(top);
}

static struct kernel_kind *
reload_and_find(const char *name)
{
    kernels_reload(kernels);
    return kernels_find(kernels, name);
}

static void
finds_what_is_there(void **state)
{
    struct kernel_kind *kind = kernels_standard(kernels), *last = NULL;
    struct stat st;

    (void)state;
    assert_string_equal(kind->name, "zz-plain");
    assert_null(kind->why_not);
    assert_ptr_equal(kernels_find(kernels, "zz-plain"), kind);
    assert_null(kernels_find(kernels, "zz-none"));
    assert_int_equal(stat(kind->skel_dir, &st), 0);
    for (kind = kernels_first(kernels); kind; last = kind, kind = kind->next)
        assert_true(last == NULL || strcmp(last->name, kind->name) < 0);
}

static void
lists_the_broken_ones(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{", "kernel.json:1"},
        {"{}", "argv"},
        {SPEC("/nowhere/at-all", "x", "\"package\": \"zz-package\""), "zz-package"},
        {SPEC("zz-no-such-program", "x", ""), "zz-no-such-program"},
        {SPEC("{resource_dir}/zz-none", "x", ""), "zz-none"},
        {SPEC("/bin/sh", "x", "\"needs\": [\"/usr\", \"/nowhere\"]"), "/nowhere"},
        {SPEC("/bin/sh", "x", "\"warm\": -1"), "warm"},
        {SPEC("/bin/sh", "x", "\"warm\": 1.5"), "warm"},
        {SPEC("/bin/sh", "x", "\"limits\": {\"cpu\": 0}"), "limits"},
        {SPEC("/bin/sh", "x", "\"limits\": {\"memory_mb\": 1.5}"), "limits"},
        {SPEC("/bin/sh", "x", "\"limits\": {\"disk\": 1}"), "limits"},
        {SPEC("/bin/sh", "x", "\"package\": 1"), "package"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_spec("zz-broken", cases[i].text);
        const struct kernel_kind *kind = reload_and_find("zz-broken");

        assert_non_null(kind);
        assert_non_null(kind->why_not);
        if (strstr(kind->why_not, cases[i].why) == NULL)
            fail_msg("%s is not in %s", cases[i].why, kind->why_not);
    }
    remove_spec("zz-broken");
    assert_null(reload_and_find("zz-broken"));
}

static void
reads_what_is_ours(void **state)
{
    const struct kernel_kind *kind;

    (void)state;
    write_spec("zz-full", SPEC("/bin/sh", "y",
                               "\"warm\": 3, \"package\": [\"a\", \"b\"], \"limits\": {\"cpu\": "
                               "0.5, \"memory_mb\": 100, \"disk_mb\": 50, \"pids\": 20}"));
    kind = reload_and_find("zz-full");
    assert_null(kind->why_not);
    assert_int_equal(kind->spec.warm, 3);
    assert_true(kind->spec.limits.cpu > 0.49 && kind->spec.limits.cpu < 0.51);
    assert_int_equal(kind->spec.limits.memory_mb, 100);
    assert_int_equal(kind->spec.limits.disk_mb, 50);
    assert_int_equal(kind->spec.limits.pids, 20);
    assert_int_equal(json_array_size(kind->spec.package), 2);
    remove_spec("zz-full");
}

static void
what_has_not_changed_stays(void **state)
{
    struct kernel_kind *standard = kernels_standard(kernels), *old, *new;

    (void)state;
    write_spec("zz-other", SPEC("/bin/sh", "y", ""));
    old = kernel_kind_ref(reload_and_find("zz-other"));
    assert_ptr_equal(reload_and_find("zz-other"), old);
    assert_ptr_equal(kernels_standard(kernels), standard);
    write_spec("zz-other", SPEC("/bin/sh", "y", "\"warm\": 1"));
    new = reload_and_find("zz-other");
    assert_ptr_not_equal(new, old);
    assert_int_equal(old->spec.warm, 0); /* whoever has it can go on with it */
    assert_null(old->kernels);
    kernel_kind_unref(old);
    write_spec("zz-other", SPEC("/bin/sh", "y", "\"warm\": 1, \"packages\": " PACKAGES));
    assert_non_null(reload_and_find("zz-other")->spec.packages);
    remove_spec("zz-other");
}

static void
one_that_cannot_be_read_is_refused(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(kernel_kind_check(kernels_standard(kernels), &err), 0);
    write_spec("zz-unread", "{");
    assert_int_equal(kernel_kind_check(reload_and_find("zz-unread"), &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_string_equal(err.field, "kernel");
    assert_non_null(strstr(err.msg, "zz-unread"));
    assert_non_null(strstr(err.msg, "kernel.json:1"));
    remove_spec("zz-unread");
}

static void
the_standard_one_stays(void **state)
{
    struct kernel_kind *kind = kernels_standard(kernels);

    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    write_spec("zz-plain", "{");
    kernels_reload(kernels);
    assert_ptr_equal(kernels_standard(kernels), kind);
    assert_ptr_equal(kernels_find(kernels, "zz-plain"), kind);
    assert_null(kind->why_not);
    write_spec("zz-plain", SPEC("/bin/sh", "zz", "\"warm\": 2"));
    kernels_reload(kernels);
    assert_int_equal(kernels_standard(kernels)->spec.warm, 2);
    write_spec("zz-plain", SPEC("/bin/sh", "zz", ""));
    kernels_reload(kernels);
}

static void
finds_by_language(void **state)
{
    (void)state;
    write_spec("zz-a", SPEC("/nowhere/at-all", "ZZ2", ""));
    write_spec("zz-b", SPEC("/bin/sh", "zz2", ""));
    write_spec("zz-c", SPEC("/nowhere/at-all", "zz3", ""));
    write_spec("zz-d", SPEC("/bin/sh", "zz-e", ""));
    write_spec("zz-e", SPEC("/bin/sh", "zz-e", ""));
    write_spec("aa", SPEC("/bin/sh", "zz", ""));
    kernels_reload(kernels);
    assert_string_equal(kernels_for_language(kernels, "zz")->name, "zz-plain");
    assert_string_equal(kernels_for_language(kernels, "Zz2")->name, "zz-b");
    assert_string_equal(kernels_for_language(kernels, "zz3")->name, "zz-c");
    assert_string_equal(kernels_for_language(kernels, "zz-b")->name, "zz-b");
    assert_string_equal(kernels_for_language(kernels, "ZZ-e")->name, "zz-e");
    assert_null(kernels_for_language(kernels, "zz9"));
    for (const char **name = (const char *[]){"zz-a", "zz-b", "zz-c", "zz-d", "zz-e", "aa", NULL};
         *name; name++)
        remove_spec(*name);
    kernels_reload(kernels);
}

static void
on_prepared(void *owner)
{
    ++*(int *)owner;
    event_base_loopbreak(base);
}

static void
prepares_once(void **state)
{
    cleanup_free char *mark = NULL;
    struct kernel_kind *kind;
    int n = 0;

    (void)state;
    write_spec("zz-prepared",
               SPEC("/bin/sh", "y",
                    "\"prepare\": [\"/bin/sh\", \"-c\", \"echo >> $0/mark\", \"{skel_dir}\"]"));
    kind = reload_and_find("zz-prepared");
    kernels_on_prepared(kernels, on_prepared, &n);
    assert_false(kernel_kind_is_prepared(kind));
    assert_false(kernel_kind_is_prepared(kind));
    event_base_dispatch(base);
    assert_int_equal(n, 1);
    assert_true(kernel_kind_is_prepared(kind));
    mark = xasprintf("%s/mark", kind->skel_dir);
    struct stat st;
    assert_int_equal(stat(mark, &st), 0);
    assert_int_equal(st.st_size, 1);
    assert_true(kernel_kind_is_prepared(kernels_standard(kernels)));
    kernels_on_prepared(kernels, NULL, NULL);
    remove_spec("zz-prepared");
    kernels_reload(kernels);
}

static void
start_needs_the_standard_one(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {{NULL, "there is no zz-std/kernel.json"}, {"{", "kernel.json:1"}};
    cleanup_free char *specs = xasprintf("%s/specs", top);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;

        if (cases[i].text)
            write_spec("zz-std", cases[i].text);
        assert_null(kernels_new(base, specs, top, "zz-std", &err));
        assert_string_equal(err.field, "kernel");
        if (strstr(err.msg, cases[i].why) == NULL)
            fail_msg("%s is not in %s", cases[i].why, err.msg);
    }
    remove_spec("zz-std");
}

/* What it needs may be installed while the gateway runs. */
static void
start_bears_a_program_that_is_not_there(void **state)
{
    cleanup_free char *specs = xasprintf("%s/specs", top);
    struct err err = ERR_INIT;
    struct kernels *others;

    (void)state;
    write_spec("zz-std", SPEC("/nowhere/at-all", "x", ""));
    others = kernels_new(base, specs, top, "zz-std", &err);
    assert_non_null(others);
    assert_non_null(kernels_standard(others)->why_not);
    write_spec("zz-std", SPEC("/bin/sh", "x", ""));
    kernels_reload(others);
    assert_null(kernels_standard(others)->why_not);
    kernels_free(others);
    remove_spec("zz-std");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there),
        cmocka_unit_test(lists_the_broken_ones),
        cmocka_unit_test(reads_what_is_ours),
        cmocka_unit_test(what_has_not_changed_stays),
        cmocka_unit_test(one_that_cannot_be_read_is_refused),
        cmocka_unit_test(the_standard_one_stays),
        cmocka_unit_test(finds_by_language),
        cmocka_unit_test(prepares_once),
        cmocka_unit_test(start_needs_the_standard_one),
        cmocka_unit_test(start_bears_a_program_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
