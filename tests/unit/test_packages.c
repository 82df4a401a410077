/* test_packages.c - what packages are asked for, how they are installed, where from, and how they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <event2/event.h>

#include "gateway/clock.h"
#include "gateway/imports.h"
#include "gateway/packageindex.h"
#include "gateway/packagetool.h"
#include "gateway/packstore.h"
#include "gateway/requirement.h"

/* --- requirements ------------------------------------------------------------------------- */

static void
test_requirements(void **state)
{
    static const char *const good[] = {
        "six",
        "a",
        "six==1.16.0",
        "zope.interface",
        "A-b_c.d",
        "x[y]",
        "x[y,z]>=1,<2",
        "x~=1.4.2",
        "x!=1.3",
        "x===1.0+local",
        "x>=1!2.0",
        "x==1.*",
        "python3-dateutil",
        "x<2",
        "x>1,!=1.5,<=3",
        "@s/x",
        "@s-t/x.y==1.2",
    };
    static const char *const bad[] = {
        "",        "-r",       "--pre", "-e.",        ".x",       "x-",         "x.",
        "./x",     "/x",       "x/y",   "x y",        "x ==1",    "x==1 ",      "x==",
        "x==1,",   "x=1",      "x;y",   "x@http://y", "http://x", "git+ssh://", "x[",
        "x[]",     "x[y",      "x[y]z", "x[-y]",      "x==-1",    "x\n",        "x==1\n--pre",
        "x>=$(y)", "x==\"1\"", "x,y",   "\xc3\xa9",   "x==1,,<2", "[x]",        "x<<2",
        "@s",      "@/x",      "@s/",   "@s/x/y",     "@@s/x",    "@s/../x",    "x/@s",
    };
    char longest[REQUIREMENT_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!requirement_is_valid(good[i]))
            fail_msg("%s is one", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (requirement_is_valid(bad[i]))
            fail_msg("%s is none", bad[i]);
    memset(longest, 'a', sizeof(longest));
    longest[REQUIREMENT_MAX + 1] = '\0';
    assert_false(requirement_is_valid(longest));
    longest[REQUIREMENT_MAX] = '\0';
    assert_true(requirement_is_valid(longest));
    assert_true(requirement_is_exact("x==1.2"));
    assert_false(requirement_is_exact("x==1.*"));
    assert_false(requirement_is_exact("x>=1.2"));
}

static void
test_lists(void **state)
{
    json_t *sent = json_pack("[s,s,s]", "b", "a==1", "b"),
           *wanted = json_pack("[s,s]", "a==1", "b");
    json_t *nul = json_array(), *groups, *all;
    struct err err = ERR_INIT;
    json_t *list = requirement_list(sent, &err);

    (void)state;
    assert_true(json_equal(list, wanted));
    json_array_append_new(nul, json_stringn("a\0b", 3));
    assert_null(requirement_list(nul, &err));
    assert_string_equal(err.field, "packages");
    assert_null(requirement_list(NULL, &err));
    groups = json_pack("[[s,s],[s,s]]", "a==1", "b", "b", "c");
    all = requirement_all(groups);
    assert_int_equal(json_array_size(all), 3);
    assert_true(requirement_has(groups, wanted));
    assert_false(requirement_has(groups, all));
    assert_false(requirement_has(NULL, wanted));
    json_decref(sent);
    json_decref(wanted);
    json_decref(nul);
    json_decref(list);
    json_decref(groups);
    json_decref(all);
}

/* --- imports ------------------------------------------------------------------------------ */

static void
assert_imports(const char *code, const char *expected)
{
    json_t *names = imports_of(code, strlen(code)), *all = json_loads(expected, 0, NULL);
    char *text = json_dumps(names, JSON_COMPACT);

    if (!json_equal(names, all))
        fail_msg("%s imports %s, not %s", code, text, expected);
    free(text);
    json_decref(names);
    json_decref(all);
}

static void
test_imports(void **state)
{
    (void)state;
    assert_imports("", "[]");
    assert_imports("import a", "[\"a\"]");
    assert_imports("import a.b.c as d, e as f , g", "[\"a\",\"e\",\"g\"]");
    assert_imports("from a.b import c, d\nimport a\nfrom .x import y\nfrom . import z", "[\"a\"]");
    assert_imports("x = 1; import a; y = 2\nif x: import b", "[\"a\",\"b\"]");
    assert_imports("try:\n    import a\nexcept ImportError:\n    import b\n", "[\"a\",\"b\"]");
    assert_imports("'import a'; \"\"\"\nimport b\n\"\"\"\n# import c\n", "[]");
    assert_imports("important = 1\nx.import_ = 2\nyield_from = 3", "[]");
    assert_imports("def f():\n  from a import (b,\n    c)\n  return 1", "[\"a\"]");
    assert_imports("raise X from e\nyield from b", "[]");
    assert_imports("import \nimport ,\nfrom\nimport 1, a", "[]");
    assert_string_equal(imports_distribution("cv2"), "opencv-python-headless");
    assert_string_equal(imports_distribution("numpy"), "numpy");
}

/* --- tools -------------------------------------------------------------------------------- */

static void
assert_argv(const char *tool, const char *dir, const char *index, const char *expected)
{
    json_t *packages = json_loads(tool, 0, NULL), *wanted = json_pack("[s,s]", "x==1", "{target}");
    json_t *argv = packagetool_argv(packages, dir, index, wanted), *all;

    assert_null(packagetool_check(packages));
    all = json_loads(expected, 0, NULL);
    if (!json_equal(argv, all))
        fail_msg("%s is not %s", json_dumps(argv, 0), expected);
    json_decref(packages);
    json_decref(wanted);
    json_decref(argv);
    json_decref(all);
}

static void
test_arguments(void **state)
{
    static const char tool[] =
        "{\"install\": [\"/bin/t\", \"--to={target}\", \"{sources}\", \"--\", \"{packages}\"],"
        " \"from_dir\": [\"-d\", \"{dir}\"], \"from_index\": [\"-i\", \"{index}\"], \"only_dir\": "
        "[\"-n\"]}";

    (void)state;
    assert_argv(tool, "/d", NULL,
                "[\"/bin/t\",\"--to=/workspace/packages\",\"-d\",\"/d\",\"-n\",\"--\",\"x==1\","
                "\"{target}\"]");
    assert_argv(tool, NULL, "http://i",
                "[\"/bin/t\",\"--to=/workspace/packages\",\"-i\",\"http://i\",\"--\",\"x==1\","
                "\"{target}\"]");
    assert_argv(tool, "/d", "http://i",
                "[\"/bin/t\",\"--to=/workspace/packages\",\"-d\",\"/d\",\"-i\",\"http://i\",\"--\","
                "\"x==1\",\"{target}\"]");
}

static void
test_index_without_tls(void **state)
{
    static const char tool[] =
        "{\"install\": [\"/t\", \"{sources}\"], \"from_plain_index\": [\"-t\", \"{host}\"]}";

    (void)state;
    assert_argv(tool, NULL, "http://i:8080/simple", "[\"/t\",\"-t\",\"i\"]");
    assert_argv(tool, NULL, "http://[::1]/simple", "[\"/t\",\"-t\",\"[::1]\"]");
    assert_argv(tool, NULL, "https://i/simple", "[\"/t\"]");
    assert_argv(tool, "/d", NULL, "[\"/t\"]");
}

static void
test_unusable_tools(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"install\": []}",
        "{\"install\": [\"pip\"]}",
        "{\"install\": [\"/pip\", 1]}",
        "{\"install\": [\"/pip\"], \"from_dir\": \"x\"}",
        "{\"install\": [\"/pip\"], \"env\": {\"A\": 1}}",
        "{\"install\": [\"/pip\"], \"env\": {\"A=B\": \"\"}}",
        "{\"install\": [\"/pip\"], \"env\": []}",
        "{\"install\": [\"/pip\"], \"activate\": 1}",
        "{\"install\": [\"/pip\"], \"dir\": \"/etc\"}",
        "{\"install\": [\"/pip\"], \"dir\": \"../etc\"}",
        "{\"install\": [\"/pip\"], \"index\": \"\"}",
        "{\"install\": [\"/pip\"], \"scopes\": 1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *packages = json_loads(bad[i], 0, NULL);

        if (packagetool_check(packages) == NULL)
            fail_msg("%s can be used", bad[i]);
        json_decref(packages);
    }
}

/* --- indexes ------------------------------------------------------------------------------ */

static void
test_indexes(void **state)
{
    static const char *const good[][2] = {
        {"https://pypi.org/simple", "pypi.org:443"}, {"http://10.0.0.1/x", "10.0.0.1:80"},
        {"http://a.example:8080", "a.example:8080"}, {"https://[::1]/simple", "[::1]:443"},
        {"http://[::1]:3141/root/", "[::1]:3141"},
    };
    static const char *const bad[] = {"pypi.org",     "ftp://x",         "https://",
                                      "https:///x",   "http://u:p@x/",   "http://x y/",
                                      "http://x,y/",  "-i http://x",     "http://x\n",
                                      "file:///etc/", "http://x/\"--foo"};
    static const char list[] = "https://pypi.org/simple,cran=https://r.example/cran";
    static const char *const bad_lists[] = {
        ",",   "https://x,",        "https://x,https://y", "a=https://x,a=https://y",
        "a=",  "=https://x",        "A=https://x",         "a=https://x,,b=https://y",
        "a=b", "https://x,ftp://y",
    };
    char url[PACKAGEINDEX_MAX + 1];
    struct packageindex index;
    char *allow;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(packageindex_parse(good[i][0], &index), 0);
        assert_string_equal(index.place, good[i][1]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (packageindex_parse(bad[i], &index) == 0)
            fail_msg("%s is none", bad[i]);
    assert_true(packageindex_is_list(list) && packageindex_is_list(""));
    for (size_t i = 0; i < sizeof(bad_lists) / sizeof(bad_lists[0]); i++)
        if (packageindex_is_list(bad_lists[i]))
            fail_msg("%s is no list", bad_lists[i]);
    assert_string_equal(packageindex_find(list, "cran", url), "https://r.example/cran");
    assert_string_equal(packageindex_find(list, "", url), "https://pypi.org/simple");
    assert_null(packageindex_find(list, "npm", url));
    assert_null(packageindex_find("", "", url));
    allow = packageindex_allow(list, "files.pythonhosted.org");
    assert_string_equal(allow, "r.example:443,pypi.org:443,files.pythonhosted.org");
    free(allow);
    allow = packageindex_allow("http://a:81/", "");
    assert_string_equal(allow, "a:81");
    free(allow);
    allow = packageindex_allow("https://pypi.org/simple", "files.pythonhosted.org");
    assert_string_equal(allow, "pypi.org:443,files.pythonhosted.org");
    free(allow);
    allow = packageindex_allow("", "files.pythonhosted.org");
    assert_string_equal(allow, "");
    free(allow);
}

/* --- the store ---------------------------------------------------------------------------- */

struct found {
    bool told;
    char text[64]; /* "": nothing usable */
};

static void
on_found(void *owner, int fd, off_t size)
{
    struct found *f = owner;

    f->told = true;
    f->text[0] = '\0';
    if (fd < 0)
        return;
    assert_true(size < (off_t)sizeof(f->text));
    assert_int_equal(read(fd, f->text, sizeof(f->text) - 1), size);
    f->text[size] = '\0';
    close(fd);
}

/* What the store has under that key. */
static const char *
look(struct event_base *base, struct packstore *store, const char *key)
{
    static struct found found;

    found.told = false;
    packstore_look(store, key, on_found, &found);
    while (!found.told)
        event_base_loop(base, EVLOOP_ONCE);
    return found.text;
}

static void
put(struct packstore *store, const char *key, const char *text, off_t most)
{
    struct err err = ERR_INIT;
    struct packstore_file *file = packstore_create(store, key, 100, &err);

    assert_non_null(file);
    assert_int_equal(packstore_write(file, text, strlen(text), &err), 0);
    assert_int_equal(packstore_commit(file, most, &err), 0);
}

static void
key_of(const char *name, char key[PACKSTORE_KEY_SIZE])
{
    json_t *what = json_pack("{s:s}", "name", name);

    packstore_key(what, key);
    json_decref(what);
}

/* The one file whose name begins so. */
static char *
file_of(const char *dir, const char *key)
{
    char pattern[300];
    glob_t found;
    char *path;

    snprintf(pattern, sizeof(pattern), "%s/%s-*", dir, key);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    path = strdup(found.gl_pathv[0]);
    globfree(&found);
    return path;
}

static void
test_store(void **state)
{
    char dir[] = "/tmp/tci-test-packages.XXXXXX", a[PACKSTORE_KEY_SIZE], b[PACKSTORE_KEY_SIZE];
    struct event_base *base = event_base_new();
    struct err err = ERR_INIT;
    struct packstore *store;
    struct packstore_file *file;
    char *path;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    store = packstore_new(base, dir, &err);
    assert_non_null(store);
    key_of("a", a);
    key_of("b", b);
    assert_string_not_equal(a, b);
    assert_string_equal(look(base, store, a), "");
    put(store, a, "first", 100);
    put(store, b, "second", 100);
    assert_string_equal(look(base, store, a), "first");
    put(store, a, "other", 100);
    assert_string_equal(look(base, store, a), "other");
    packstore_free(store);

    store = packstore_new(base, dir, &err);
    assert_string_equal(look(base, store, a), "other");
    path = file_of(dir, a);
    fd = open(path, O_WRONLY);
    assert_int_equal(write(fd, "bent!", 5), 5);
    close(fd);
    assert_string_equal(look(base, store, a), "");
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    assert_string_equal(look(base, store, b), "second");

    put(store, a, "0123456789", 12); /* b makes room */
    assert_string_equal(look(base, store, b), "");
    assert_string_equal(look(base, store, a), "0123456789");
    file = packstore_create(store, b, 3, &err);
    assert_int_equal(packstore_write(file, "long", 4, &err), -1);
    assert_int_equal(err.code, ERR_INSTALL);
    packstore_abort(file);
    assert_string_equal(look(base, store, b), "");
    path = file_of(dir, a);
    unlink(path);
    free(path);
    assert_string_equal(look(base, store, a), "");
    packstore_free(store);
    event_base_free(base);
    assert_int_equal(rmdir(dir), 0);
}

/* A disk that does not read, in the place of the C library's. */
static bool disk_fails;

ssize_t
pread(int fd, void *buf, size_t len, off_t at)
{
    if (!disk_fails)
        return syscall(SYS_pread64, fd, buf, len, at);
    errno = EIO;
    return -1;
}

/* The lowest descriptor that is free is one too many, or is not any more. */
static void
limit_descriptors(bool limited)
{
    const int lowest = dup(0);
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limited ? (rlim_t)lowest : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (lowest >= 0)
        close(lowest);
}

/* What cannot be read now is not used, and is there again when it can. */
static void
test_faults_that_pass(void **state)
{
    char dir[] = "/tmp/tci-test-packages.XXXXXX", a[PACKSTORE_KEY_SIZE];
    struct event_base *base = event_base_new();
    struct err err = ERR_INIT;
    struct packstore *store = packstore_new(base, mkdtemp(dir), &err);
    char *path;

    (void)state;
    key_of("a", a);
    put(store, a, "text", 100);
    packstore_free(store);
    store = packstore_new(base, dir, &err);
    limit_descriptors(true);
    assert_string_equal(look(base, store, a), "");
    limit_descriptors(false);
    disk_fails = true;
    assert_string_equal(look(base, store, a), "");
    disk_fails = false;
    assert_string_equal(look(base, store, a), "text");

    path = file_of(dir, a);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_string_equal(look(base, store, a), "");
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    packstore_free(store);
    event_base_free(base);
    assert_int_equal(rmdir(dir), 0);
}

/* --- and others meanwhile ----------------------------------------------------------------- */

enum { LARGE = 4 << 20 };

struct other {
    struct event *event;
    unsigned turns;
};

static void
on_other(evutil_socket_t fd, short what, void *arg)
{
    struct other *other = arg;

    (void)fd, (void)what;
    other->turns++;
    clock_arm(other->event, 0);
}

static void
on_large(void *owner, int fd, off_t size)
{
    bool *told = owner;

    assert_true(fd >= 0);
    assert_int_equal(size, LARGE);
    close(fd);
    *told = true;
}

/* Whoever else has something to do gets a turn after each piece that is looked at. */
static void
test_large_archives(void **state)
{
    static char bytes[LARGE];
    char dir[] = "/tmp/tci-test-packages.XXXXXX", a[PACKSTORE_KEY_SIZE];
    struct event_base *base = event_base_new();
    struct other other = {.event = NULL};
    struct err err = ERR_INIT;
    struct packstore *store = packstore_new(base, mkdtemp(dir), &err);
    struct packstore_file *file;
    bool told = false;
    char *path;

    (void)state;
    key_of("a", a);
    file = packstore_create(store, a, LARGE, &err);
    assert_int_equal(packstore_write(file, bytes, sizeof(bytes), &err), 0);
    assert_int_equal(packstore_commit(file, LARGE, &err), 0);
    packstore_free(store);

    store = packstore_new(base, dir, &err);
    other.event = evtimer_new(base, on_other, &other);
    clock_arm(other.event, 0);
    packstore_look(store, a, on_large, &told);
    while (!told)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(other.turns >= LARGE / (256 << 10));
    packstore_free(store);
    event_free(other.event);
    event_base_free(base);
    path = file_of(dir, a);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requirements),      cmocka_unit_test(test_lists),
        cmocka_unit_test(test_imports),           cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_index_without_tls), cmocka_unit_test(test_unusable_tools),
        cmocka_unit_test(test_indexes),           cmocka_unit_test(test_store),
        cmocka_unit_test(test_faults_that_pass),  cmocka_unit_test(test_large_archives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
