/* test_kernelspec.c - finding a kernel.json, taking it apart, and every way in which it can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "gateway/kernelspec.h"
#include "tests/unit/scratch.h"
#include "worker/protocol.h"

static char top[SCRATCH_PATH];

static int
make_top(void **state)
{
    (void)state;
    return scratch_make(top);
}

static int
remove_top(void **state)
{
    (void)state;
    return scratch_remove(top);
}

static void
write_spec(const char *name, const char *data, size_t len)
{
    cleanup_free char *dir = xasprintf("%s/%s", top, name);
    cleanup_free char *path = xasprintf("%s/kernel.json", dir);
    FILE *f;

    mkdir(dir, 0755);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void
assert_refused(const char *json, const char *words)
{
    struct kernelspec ks;
    struct err err = ERR_INIT;

    write_spec("bad", json, strlen(json));
    assert_int_equal(kernelspec_find(top, "bad", &ks, &err), -1);
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.field, "kernel");
    if (strstr(err.msg, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, err.msg);
    assert_null(ks.name);
    assert_null(ks.argv);
    kernelspec_clear(&ks);
}

static const char *
item(const json_t *array, size_t i)
{
    return json_string_value(json_array_get(array, i));
}

static const char *
variable(const struct kernelspec *ks, const char *name)
{
    return json_string_value(json_object_get(ks->env, name));
}

static void
test_full(void **state)
{
    static const char json[] =
        "{\"argv\": [\"{resource_dir}/run\", \"{resource_dir}:{resource_dir}\", "
        "\"--f={connection_file}\"], \"display_name\": \"Full\", \"language\": \"c\", "
        "\"interrupt_mode\": \"message\", \"env\": {\"A\": \"${B}\", \"PATH\": \"/p\"}, "
        "\"metadata\": {\"debugger\": true, \"tci\": {\"prepare\": [\"{resource_dir}/p\", "
        "\"{skel_dir}\"], \"warmup\": [\"1\", \"\"], \"flow_control\": true}}}";
    struct kernelspec ks;
    struct err err = ERR_INIT;
    cleanup_free char *path = xasprintf("%s/full/p", top);

    (void)state;
    write_spec("full", json, sizeof(json) - 1);
    assert_int_equal(kernelspec_find(top, "full", &ks, &err), 0);
    assert_string_equal(ks.name, "full");
    assert_int_equal(strncmp(ks.dir, path, strlen(ks.dir)), 0);
    assert_int_equal(json_array_size(ks.argv), 3);
    assert_string_equal(item(ks.argv, 0), TCI_PATH_KERNELSPEC "/run");
    assert_string_equal(item(ks.argv, 1), TCI_PATH_KERNELSPEC ":" TCI_PATH_KERNELSPEC);
    assert_string_equal(item(ks.argv, 2), "--f={connection_file}");
    assert_string_equal(ks.display_name, "Full");
    assert_string_equal(ks.language, "c");
    assert_true(ks.interrupt_message);
    assert_string_equal(variable(&ks, "A"), "${B}");
    assert_string_equal(variable(&ks, "PATH"), "/p");
    assert_string_equal(variable(&ks, "HOME"), TCI_PATH_HOME);
    assert_string_equal(item(ks.prepare, 0), path);
    assert_string_equal(item(ks.prepare, 1), "{skel_dir}");
    assert_string_equal(item(ks.warmup, 1), "");
    assert_true(ks.flow_control);
    kernelspec_clear(&ks);
    kernelspec_clear(&ks);
}

static void
test_least(void **state)
{
    static const char json[] = "{\"argv\": [\"k\", \"{connection_file}\"]}";
    struct kernelspec ks;
    struct err err = ERR_INIT;

    (void)state;
    write_spec("least", json, sizeof(json) - 1);
    assert_int_equal(kernelspec_find(top, "least", &ks, &err), 0);
    assert_string_equal(ks.display_name, "least");
    assert_string_equal(ks.language, "");
    assert_false(ks.interrupt_message);
    assert_string_equal(variable(&ks, "LANG"), "C.UTF-8");
    assert_null(ks.prepare);
    assert_null(ks.warmup);
    assert_false(ks.flow_control);
    kernelspec_clear(&ks);
}

static void
test_names(void **state)
{
    static const char *const wrong[] = {"",     ".",   "..",  ".x",       "a/b",
                                        "/etc", "a b", "a\n", "\xc3\xa4", "../full"};
    struct kernelspec ks;
    struct err err;
    char name[66];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err = (struct err)ERR_INIT;
        assert_int_equal(kernelspec_find(top, wrong[i], &ks, &err), -1);
        assert_non_null(strstr(err.msg, "is not usable; allowed: "));
        kernelspec_clear(&ks);
    }
    memset(name, 'n', sizeof(name));
    name[65] = '\0';
    assert_int_equal(kernelspec_find(top, name, &ks, &err), -1);
    assert_non_null(strstr(err.msg, "is not usable"));
    name[64] = '\0';
    assert_int_equal(kernelspec_find(top, name, &ks, &err), -1);
    assert_non_null(strstr(err.msg, "there is no "));
}

static void
test_missing(void **state)
{
    struct kernelspec ks;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(kernelspec_find(top, "missing", &ks, &err), -1);
    assert_string_equal(err.field, "kernel");
    assert_non_null(strstr(err.msg, top));
    assert_non_null(strstr(err.msg, "/usr/local/share/jupyter/kernels"));
    assert_non_null(strstr(err.msg, "/usr/share/jupyter/kernels"));
    assert_int_equal(kernelspec_find(NULL, "missing", &ks, &err), -1);
    assert_non_null(strstr(err.msg, "missing/kernel.json in /usr/local"));
}

static void
test_wrong_shapes(void **state)
{
    static const char *const cases[][2] = {
        {"", ":1: "},
        {"{", ":1: "},
        {"\n\n{\"argv\": [\"a\", \"{connection_file}\"],}", ":3: "},
        {"[]", "must be a JSON object"},
        {"{\"argv\": [\"a\"], \"argv\": [\"b\"]}", "duplicate"},
        {"{}", "argv: must be an array"},
        {"{\"argv\": \"a\"}", "argv: must be an array"},
        {"{\"argv\": []}", "argv: must be an array"},
        {"{\"argv\": [\"a\", 1]}", "argv: must be an array"},
        {"{\"argv\": [\"\", \"{connection_file}\"]}", "the program first"},
        {"{\"argv\": [\"a\", \"b\"]}", "must have {connection_file}"},
        {"{\"argv\": [\"a\", \"x\\u0000y\"]}", ":1: "},
#define REST ", \"argv\": [\"a\", \"{connection_file}\"]}"
        {"{\"env\": []" REST, "env: must be an object"},
        {"{\"env\": {\"A\": 1}" REST, "env: must have variable names"},
        {"{\"env\": {\"A=B\": \"1\"}" REST, "env: must have variable names"},
        {"{\"env\": {\"\": \"1\"}" REST, "env: must have variable names"},
        {"{\"display_name\": 1" REST, "display_name: must be a string"},
        {"{\"language\": []" REST, "language: must be a string"},
        {"{\"interrupt_mode\": \"other\"" REST, "interrupt_mode: must be"},
        {"{\"interrupt_mode\": 1" REST, "interrupt_mode: must be a string"},
        {"{\"metadata\": {\"tci\": 1}" REST, "metadata.tci: must be an object"},
        {"{\"metadata\": {\"tci\": {\"prepare\": \"x\"}}" REST, "metadata.tci.prepare: must be"},
        {"{\"metadata\": {\"tci\": {\"prepare\": []}}" REST, "metadata.tci.prepare: must be"},
        {"{\"metadata\": {\"tci\": {\"warmup\": [1]}}" REST, "metadata.tci.warmup: must be"},
        {"{\"metadata\": {\"tci\": {\"flow_control\": 1}}" REST,
         "metadata.tci.flow_control: must be"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void
test_sizes(void **state)
{
    char *big = xcalloc(1, 70000);
    size_t len;

    (void)state;
    memset(big, ' ', 69999);
    assert_refused(big, "has more than 65535 bytes");
    len = (size_t)sprintf(big, "{\"argv\": [\"{connection_file}\"");
    for (int i = 0; i < 64; i++)
        len += (size_t)sprintf(big + len, ", \"x\"");
    memcpy(big + len, "]}", 3);
    assert_refused(big, "argv: must be an array of 1 to 64");
    len = (size_t)sprintf(big, "{\"argv\": [\"{connection_file}\"], \"env\": {\"X\": \"\"");
    for (int i = 0; i < 128; i++)
        len += (size_t)sprintf(big + len, ", \"A%d\": \"\"", i);
    memcpy(big + len, "}}", 3);
    assert_refused(big, "env: must be an object of at most 128");
    memset(big, '[', 60000);
    big[60000] = '\0';
    assert_refused(big, ":1: "); /* deep nesting ends in a message, not on the stack */
    free(big);
}

static void
test_not_a_file(void **state)
{
    cleanup_free char *dir = xasprintf("%s/odd", top);
    cleanup_free char *path = xasprintf("%s/odd/kernel.json", top);
    struct kernelspec ks;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(kernelspec_find(top, "odd", &ks, &err), -1);
    assert_non_null(strstr(err.msg, "is not a regular file"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(kernelspec_find(top, "odd", &ks, &err), -1);
    assert_non_null(strstr(err.msg, "is not a regular file"));
}

static void
test_links_are_resolved(void **state)
{
    static const char json[] = "{\"argv\": [\"k\", \"{connection_file}\"]}";
    cleanup_free char *link = xasprintf("%s/linked", top);
    cleanup_free char *dir = xasprintf("%s/target", top);
    struct kernelspec ks;
    struct err err = ERR_INIT;

    (void)state;
    write_spec("target", json, sizeof(json) - 1);
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(kernelspec_find(top, "linked", &ks, &err), 0);
    assert_string_equal(ks.name, "linked");
    assert_string_equal(ks.dir, dir);
    kernelspec_clear(&ks);
}

/* The ones that come with the program. */
static void
test_our_own(void **state)
{
    const char *srcdir = getenv("srcdir");
    cleanup_free char *dir = xasprintf("%s/kernelspecs", srcdir == NULL ? "." : srcdir);
    struct kernelspec ks;
    struct err err = ERR_INIT;

    (void)state;
    if (kernelspec_find(dir, "python3", &ks, &err) < 0)
        fail_msg("%s", err.msg);
    assert_non_null(strstr(ks.dir, "/kernelspecs/python3"));
    assert_string_equal(ks.language, "python");
    assert_false(ks.interrupt_message);
    assert_non_null(ks.prepare);
    assert_non_null(ks.warmup);
    kernelspec_clear(&ks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),         cmocka_unit_test(test_least),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_wrong_shapes), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_a_file),   cmocka_unit_test(test_links_are_resolved),
        cmocka_unit_test(test_our_own),
    };

    return cmocka_run_group_tests_name("kernelspec", tests, make_top, remove_top);
}
